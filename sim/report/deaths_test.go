// SPDX-License-Identifier: Apache-2.0

package report

import (
	"testing"
	"time"
)

// A death is noticed when all that knew the node and live leave it out; one that is not
// counts with all the time that it had, unless the node came back soon.
func TestDeaths(t *testing.T) {
	const s = time.Second
	r := NewRecorder("world", read(t, "nodes 9"))
	d := r.Deaths()
	d.Died(10*s, 1, []int{2, 3, 4})
	d.Stands(12*s, 2, 1, true)
	d.Stands(13*s, 7, 1, true) // knew it not
	d.Stands(13*s, 3, 1, true)
	d.Stands(14*s, 3, 1, false)
	d.Died(15*s, 4, []int{2, 3}) // knew the first
	if r.Measure("detection", "").Count() != 0 {
		t.Error("noticed too early")
	}
	d.Stands(18*s, 3, 1, true)
	if m := r.Measure("detection", ""); m.Count() != 1 || m.Quantile(1) != float64(8*s) {
		t.Errorf("%d of %v", m.Count(), m.Quantile(1))
	}
	d.Died(16*s, 8, []int{1, 4, 2}) // two of whom are dead
	d.Stands(20*s, 2, 8, true)
	if m := r.Measure("detection", ""); m.Count() != 2 || m.Quantile(0.5) > float64(4100*time.Millisecond) {
		t.Errorf("%d, half of them within %v", m.Count(), m.Quantile(0.5))
	}
	d.Returned(30*s, 4) // too soon to be missed
	d.Died(40*s, 5, []int{2})
	d.Died(41*s, 6, nil) // nobody knew it
	d.Close(2 * time.Minute)
	if m := r.Measure("detection", ""); m.Count() != 3 || m.Quantile(1) < float64(79*s) || r.Total("deaths") != 1 {
		t.Errorf("%d, to %v", m.Count(), m.Quantile(1))
	}
}

// Who goes otherwise than by dying observes nothing any more, and what a node knew goes
// with its daemon; who was left out before it died is left out.
func TestDeathsObserved(t *testing.T) {
	const s = time.Second
	r := NewRecorder("world", read(t, "nodes 9"))
	d := r.Deaths()
	took := func(n int, most time.Duration) {
		t.Helper()
		if m := r.Measure("detection", ""); int(m.Count()) != n || n > 0 && m.Quantile(1) > 1.01*float64(most) {
			t.Errorf("%d deaths noticed within %v, want %d within %v", m.Count(), m.Quantile(1), n, float64(most))
		}
	}
	d.Stands(5*s, 2, 1, true)
	d.Stands(6*s, 2, 1, true) // says so again
	d.Died(10*s, 1, []int{2, 3, 4})
	d.Stands(12*s, 3, 1, true)
	took(0, 0)
	d.Left(13*s, 4) // the only one that had not noticed
	took(1, 3*s)

	d.Stands(15*s, 2, 5, true)
	d.Left(20*s, 2) // comes back with an empty memory
	d.Died(30*s, 5, []int{2, 3})
	d.Stands(31*s, 3, 5, true)
	d.Left(32*s, 3) // one that had noticed
	took(1, 3*s)
	d.Stands(34*s, 2, 5, true)
	took(2, 4*s)
}
