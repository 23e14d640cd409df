// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"testing"
	"time"
)

// ran is a run that measured one delivery.
func ran(t *testing.T, name, world string, seed uint64, d time.Duration) *Report {
	s := read(t, "nodes 5")
	s.Seed = seed
	r := NewRecorder(world, s)
	r.Measure("delivery", "").Add(time.Second, int64(d))
	if world == "world" {
		r.Measure("bytes", "").Observe(10)
	}
	out := r.Report(time.Minute, false, "")
	out.Name = name
	return out
}

func TestCompare(t *testing.T) {
	a, b := ran(t, "join", "world", 0, time.Second), ran(t, "join", "lab", 0, 3*time.Second)
	list := Compare([]*Report{a, b})
	if len(list) != 1 || list[0].Figure != "delivery" || fmt.Sprint(list[0].Runs) != "[0 1]" {
		t.Fatalf("%+v", list)
	}
	if d := list[0].Distances[1]; d.KS != 1 || d.Earth < 1.97 || d.Earth > 2.03 || d.Relative < 1.97 || d.Relative > 2.03 {
		t.Errorf("%+v, want 2 s", d)
	}
	if list := Compare([]*Report{a, ran(t, "slice", "world", 0, time.Second)}); len(list) != 2 {
		t.Errorf("two scenarios have %d figures in common", len(list))
	}
	if list := Compare([]*Report{a, ran(t, "slice", "world", 0, 1), ran(t, "find", "world", 0, 1), b}); len(list) != 1 || fmt.Sprint(list[0].Runs) != "[0 3]" {
		t.Errorf("of three scenarios: %+v", list)
	}
}

func TestLabels(t *testing.T) {
	runs := []*Report{ran(t, "join", "world", 0, 1), ran(t, "join", "lab", 0, 1), ran(t, "join", "world", 7, 1), ran(t, "slice", "world", 0, 1)}
	if got := fmt.Sprintf("%q", Labels(runs)); got != `["join, world, seed 0" "join, lab, seed 0" "join, world, seed 7" "slice"]` {
		t.Error(got)
	}
}
