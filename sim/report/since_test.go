// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"testing"
	"time"
)

// What came about since an instant is held against what came before it.
func TestSince(t *testing.T) {
	s := read(t, "nodes 5\nend 1m\nexpect lookup p50 <= 2x since 20s\nexpect lookup mean <= 3x since 20s\nexpect get p50 <= 2x since 20s\nexpect lookup p50 <= 9x since 50s")
	r := NewRecorder("world", s)
	lookup, get := r.Measure("lookup", ""), r.Measure("get", "")
	for at := time.Duration(0); at < 40*time.Second; at += time.Second {
		took := 100 * time.Millisecond
		if at >= 20*time.Second {
			took = 250 * time.Millisecond
			get.Add(at, int64(took)) // and nothing before
		}
		lookup.Add(at, int64(took))
	}
	got := r.Report(time.Minute, false, "").Expects
	for i, want := range []bool{false, true, false, false} { // since 50 s nothing came about
		if got[i].OK != want {
			t.Errorf("%s: %t, %s", got[i].Expect, got[i].OK, got[i].Got)
		}
	}
	if !strings.HasPrefix(got[1].Got, "2.5x: 250ms") || !strings.Contains(got[0].Got, "before") {
		t.Errorf("%s; %s", got[0].Got, got[1].Got)
	}
}
