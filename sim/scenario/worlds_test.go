// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"strings"
	"testing"
)

// An expectation may be of some worlds only, which have to be there.
func TestWorlds(t *testing.T) {
	const run = "nodes 5\nend 1m\nat 1s slice in nodes=1\n"
	s := parse(t, run+"expect delivery p90 <= 2s in world,stack\nexpect safety in lab\nexpect slice in running = 1\nexpect lookup p95 <= 2x since 20s in stack\n")
	for world, want := range map[string]string{
		"world": "expect delivery p90 <= 2s in world,stack; expect slice in running = 1",
		"stack": "expect delivery p90 <= 2s in world,stack; expect slice in running = 1; expect lookup p95 <= 2x since 20s in stack",
		"lab":   "expect safety in lab; expect slice in running = 1",
	} {
		var got []string
		for _, e := range s.Expected(world) {
			got = append(got, e.String())
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%s: %s", world, got)
		}
	}
	for text, want := range map[string]string{
		"expect safety in":                      "4:17: in which world?: want one or more of world,stack,lab",
		"expect delivery p90 <= 2s in lab,moon": "4:34: there is no world \"moon\"",
		"expect delivery p90 <= 2s in lab,lab":  "4:34: the world lab stands there twice",
		"expect delivery p90 <= 2s in lab,":     "4:34: there is no world \"\"",
		"expect delivery p90 <= in lab":         "4:30: this is not how it is written",
		"expect in lab":                         "4:8: unknown figure \"in\"",
	} {
		if _, err := Parse(run + text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if _, err := Parse("tickets units=10 redeem=0.5\nexpect safety in world\n"); err == nil || !strings.HasPrefix(err.Error(), "2:1: trials are in no world") {
		t.Error(err)
	}
}
