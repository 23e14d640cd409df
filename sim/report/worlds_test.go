// SPDX-License-Identifier: Apache-2.0

package report

import (
	"testing"
	"time"
)

// A run is held to what is expected of its own world, and to nothing else.
func TestExpectedElsewhere(t *testing.T) {
	s := read(t, "nodes 5\nend 1m\nexpect delivery p50 <= 1s in world,stack\nexpect delivery p50 <= 9s in lab\nexpect known max >= 1 in stack")
	for world, want := range map[string][]bool{"world": {false}, "stack": {false, false}, "lab": {true}} {
		r := NewRecorder(world, s)
		r.Measure("delivery", "").Add(time.Second, int64(2*time.Second))
		got := r.Report(time.Minute, false, "").Expects
		if len(got) != len(want) {
			t.Fatalf("%s: %+v", world, got)
		}
		for i, v := range got {
			if v.OK != want[i] {
				t.Errorf("%s: %+v", world, v)
			}
		}
	}
}
