// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"testing"
	"time"
)

// A place, and with it a block of source ports, stays empty for PlaceRest after
// its sliver, also when the node dies meanwhile: the fact says until when.
func TestAPlaceRestsOverACrash(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	m := NewLifecycle(1)
	for _, in := range []Input{Begin{Sliver: "aaaa"}, Launched{Sliver: "aaaa"}, Finish{Sliver: "aaaa", Reason: "closed"}} {
		m.Step(start, in)
	}
	failed := func(m *Lifecycle, at time.Time) bool {
		for _, e := range m.Step(at, Begin{Sliver: "bbbb"}) {
			if c, ok := e.(Changed); ok && c.State == Failed {
				return true
			}
		}
		return false
	}
	if !failed(m, start) {
		t.Error("the place is given away while its sliver is being removed")
	}
	m.Step(start, Removed{Sliver: "aaaa"})
	after := NewLifecycle(1)
	for _, f := range m.Facts() {
		if err := after.Restore(f); err != nil {
			t.Fatal(err)
		}
	}
	for name, m := range map[string]*Lifecycle{"alive": m, "restored": after} {
		if !failed(m, start.Add(PlaceRest-time.Second)) {
			t.Errorf("%s: the place is given away after %s", name, PlaceRest-time.Second)
		}
		if failed(m, start.Add(PlaceRest)) {
			t.Errorf("%s: the place still rests after %s", name, PlaceRest)
		}
	}
}
