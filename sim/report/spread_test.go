// SPDX-License-Identifier: Apache-2.0

package report

import (
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	r := NewRecorder("world", read(t, "nodes 5"))
	r.Spread("coordinate", "", []float64{0.4, 0.1, 0.3, 0.2})
	r.Spread("coordinate", "none", nil)
	out := r.Report(time.Minute, false, "")
	for stat, want := range map[string]float64{"p50": 0.2, "p90": 0.4, "max": 0.4, "mean": 0.25} {
		if v, ok := out.Value("coordinate", "", stat); !ok || v.Value < want-1e-9 || v.Value > want+1e-9 {
			t.Errorf("%s is %+v, want %g", stat, v, want)
		}
	}
	if _, ok := out.Value("coordinate", "none", "p50"); ok {
		t.Error("nothing has a median")
	}
}
