// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"croft/sim/report"
	"croft/sim/scenario"
)

const faulty = `nodes 8
join wave=4 every=1s
at 20s slice web nodes=5 term=1m
at 25s slice one nodes=1 term=40s
at 40s fault kill fraction=1 for=5s
at 50s fault loss rate=0.05 for=20s
at 60s renew web for=2m
at 62s fault restart fraction=1
at 80s fault skew count=3 by=90s
at 90s fault partition count=3 for=10s
end 4m
expect safety
expect slice web running = 0
`

// unsafe plays with nodes that were tampered with.
func unsafe(t *testing.T, text string, tamper func(*Stack)) (r *report.Report) {
	t.Helper()
	s, err := scenario.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		st, err := newStack(s, dir)
		if err != nil {
			t.Error(err)
			return
		}
		tamper(st)
		r, err = st.run(context.Background(), Options{})
		if err != nil {
			t.Error(err)
		}
	})
	if r == nil {
		t.FailNow()
	}
	return r
}

// No promise is broken under any fault, and the ledgers are looked at.
func TestSafety(t *testing.T) {
	r := unsafe(t, faulty, func(*Stack) {})
	if !r.OK() || r.Safety.Checks < 100 || r.Safety.Sweeps < 8 {
		t.Errorf("%+v %+v %+v", r.Safety, r.Expects, r.Slices)
	}
}

// A disk that forgets what it said was there breaks promises, and so does a sandbox
// that does not end what it runs: the checks see both.
func TestBrokenIsSeen(t *testing.T) {
	for want, tamper := range map[string]func(*Stack){
		"not in the journal": func(s *Stack) {
			for _, n := range s.nodes {
				n.machine.disk.lossy = true
			}
		},
		"after its lease": func(s *Stack) {
			for _, n := range s.nodes {
				n.machine.deathless = true
			}
		},
	} {
		r := unsafe(t, faulty, tamper)
		if len(r.Safety.Breaches) == 0 || !strings.Contains(r.Safety.Breaches[0].Text, want) || r.OK() {
			t.Errorf("%s: %+v", want, r.Safety)
		}
	}
}
