// SPDX-License-Identifier: Apache-2.0

package report

import (
	"testing"
	"time"
)

// Finds are judged by what there was; what they take stands beside a plain get.
func TestFinds(t *testing.T) {
	r := NewRecorder("world", read(t, "nodes 5\nend 1m"))
	f := r.Finds()
	f.Ask(0, 0, 20, false) // nothing was there
	f.Ask(5, 5, 20, true)
	f.Ask(30, 19, 20, true)
	f.Ask(30, 20, 20, true)
	f.Ask(30, 0, 20, false)
	f.Gets, f.Got = 4, 3
	for i := range 20 {
		f.Lookup.Add(time.Second, int64(300*time.Millisecond))
		f.Get.Add(time.Second, int64(200*time.Millisecond))
		f.Page.Add(time.Second, int64(time.Duration(400+20*i)*time.Millisecond))
	}
	f.Close()
	rep := r.Report(time.Minute, false, "")
	for _, want := range []struct {
		figure, stat string
		value        float64
	}{{"lookup", "success", .75}, {"page", "success", 1. / 3}, {"get", "success", .75}, {"lookup", "ratio", 1.5}, {"lookup", "tail", 1}, {"page", "ratio", 2.9}, {"page", "tail", 1.33}} {
		got, ok := rep.Value(want.figure, "", want.stat)
		if !ok || got.Value < want.value*.96 || got.Value > want.value*1.04 {
			t.Errorf("%s %s is %v (%t), want %g", want.figure, want.stat, got.Value, ok, want.value)
		}
	}
}
