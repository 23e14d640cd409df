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
