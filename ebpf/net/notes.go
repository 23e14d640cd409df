// SPDX-License-Identifier: Apache-2.0

package net

import (
	"fmt"
	"slices"
	"strings"
)

// noteMark starts an uplink's alias. What follows are the switches that we
// turned on, as "4/eth0" or "6/eth0".
const noteMark = "croft forwarding:"

func forwardSetting(note string) (setting, string, error) {
	family, dev, ok := strings.Cut(note, "/")
	if !ok || !plainDev(dev) {
		return setting{}, "", fmt.Errorf("note %q of a switched interface: %w", note, ErrConfig)
	}
	switch family {
	case "4":
		return conf4(dev, "forwarding", "1"), dev, nil
	case "6":
		return conf6(dev, "force_forwarding", "1"), dev, nil
	}
	return setting{}, "", fmt.Errorf("note %q of a switched interface: %w", note, ErrConfig)
}

// plainDev accepts dots (VLANs), but nothing that walks out of its directory.
func plainDev(dev string) bool {
	return dev != "" && dev != "." && dev != ".." && !strings.ContainsAny(dev, "/ ")
}

// formatNotes renders an uplink's alias.
func formatNotes(notes []string) (string, error) {
	s := noteMark
	for _, n := range notes {
		s += " " + n
	}
	if len(s) > maxAlias {
		return "", fmt.Errorf("%d interfaces with a default route: %w", len(notes), ErrConfig)
	}
	return s, nil
}

// parseNotes reads it back; an alias that is not ours has no notes.
func parseNotes(alias string) []string {
	rest, ok := strings.CutPrefix(alias, noteMark)
	if !ok {
		return nil
	}
	return strings.Fields(rest)
}

// union keeps the order of first mention.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}
