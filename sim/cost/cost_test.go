// SPDX-License-Identifier: Apache-2.0

package cost

import (
	"testing"
	"testing/synctest"
	"time"

	"croft/sim/report"
	"croft/sim/scenario"
)

// What is measured is real, also where time is virtual, and of what was done.
func TestSpent(t *testing.T) {
	meter := Begin()
	var spent Spent
	synctest.Test(t, func(*testing.T) {
		<-time.After(24 * time.Hour)
		for spent = meter.Spent(); spent.CPU < time.Millisecond; spent = meter.Spent() {
		}
	})
	if spent.Wall <= 0 || spent.Wall > time.Hour || spent.Peak < 1<<20 {
		t.Errorf("%+v", spent)
	}
	before, room := Peak(), make([]byte, 256<<20)
	for i := 0; i < len(room); i += 4096 {
		room[i] = 1
	}
	if grown := Peak() - before; grown < int64(len(room))/2 {
		t.Errorf("%d more bytes are seen as %d", len(room), grown)
	}
}

// The figures are those that scenarios expect, in their units.
func TestFigures(t *testing.T) {
	s, err := scenario.Parse("nodes 4\nend 1m\nexpect cpu share = 5%\nexpect wall time = 3s\nexpect memory max = 7\n")
	if err != nil {
		t.Fatal(err)
	}
	r := report.NewRecorder("world", s)
	Spent{Wall: 3 * time.Second, CPU: 12 * time.Second, Peak: 7e6}.Figures(r, 4, time.Minute)
	for _, v := range r.Report(time.Minute, false, "").Expects {
		if !v.OK {
			t.Errorf("%s: %s", v.Expect, v.Got)
		}
	}
}
