// SPDX-License-Identifier: Apache-2.0

package scenarios

// flags are those with which scenarios are meant to be played, where it is not in the
// world alone.
var flags = map[string]string{
	"agree":    "--world world,stack",
	"obsolete": "--world stack",
	"rates":    "--baseline",
	"seeded":   "--world stack",
	"thousand": "--world world,stack", // in the stack beside its baseline, as what it expects wants that
	"three":    "--world world,stack",
}

// Flags returns the flags of `croft sim run` with which a scenario is meant to be played;
// none: as it is.
func Flags(name string) string { return flags[name] }
