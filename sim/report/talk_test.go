// SPDX-License-Identifier: Apache-2.0

package report

import (
	"testing"
	"time"
)

// Of those that are there all the time each should hear what is said, once and in time.
func TestTalk(t *testing.T) {
	r := NewRecorder("world", read(t, "nodes 5\nend 2m"))
	talk := r.Talk()
	const at, lead = 30 * time.Second, 10 * time.Second
	talk.Say("a", at-time.Second, []int{1, 2, 3, 4}, lead)
	talk.Made("a", at)
	talk.Hear("a", 1, at+40*time.Millisecond)
	talk.Hear("a", 1, at+time.Second)                 // again
	talk.Hear("a", 2, at+HeardWithin+1)               // too late
	talk.Hear("b", 2, at)                             // nobody said that
	talk.Hear("a", 0, at)                             // he said it
	talk.Say("c", 115*time.Second, []int{1, 2}, lead) // it may be on the way
	talk.Close(2*time.Minute, func(n int) (time.Duration, bool) {
		return []time.Duration{0, 0, at - lead, 0, at}[n], n != 3 // the third has died, the fourth came late
	})
	out := r.Report(2*time.Minute, false, "")
	if v, ok := out.Value("topic", "", "share"); !ok || v.Value != 0.5 {
		t.Errorf("share %+v, want one of two", v)
	}
	if m := r.Measure("topic", ""); m.Count() != 2 {
		t.Errorf("%d are heard, want 2", m.Count())
	}
	if v, ok := out.Value("topic", "", "p50"); !ok || v.Value < 0.039 || v.Value > 0.041 {
		t.Errorf("p50 %+v, want 40 ms", v)
	}

	none := NewRecorder("world", read(t, "nodes 5"))
	none.Talk().Close(time.Minute, nil)
	if v, ok := none.Report(time.Minute, false, "").Value("topic", "", "share"); ok {
		t.Errorf("of nothing: %+v", v)
	}
}
