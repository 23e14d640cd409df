// SPDX-License-Identifier: Apache-2.0

package world

import (
	"errors"
	"math"
	"testing"

	"croft/lease"
	"croft/sim/scenario"
)

// A thousandth of a core on each of four nodes for half of the run, of what they offer.
func TestUtilisation(t *testing.T) {
	s, err := scenario.Parse("nodes 4 profile=flat\njoin wave=4\nat 40s slice all nodes=3 rset=cpu=500,memory=64MiB,pids=8 term=20s\nend 80s\nexpect utilisation share > 1%")
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWorld(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.run(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	offered := 0.0
	for _, n := range w.nodes {
		offered += float64(n.capacity()[lease.CPU]) * 80
	}
	got, ok := r.Value("utilisation", "", "share")
	want := 3 * 500 * 20 / offered
	if !ok || math.Abs(got.Value/want-1) > .08 || !r.OK() || w.use.leases != 0 {
		t.Errorf("%.5f of all is leased, want %.5f; %+v; in the end %g", got.Value, want, r.Expects, w.use.leases)
	}
}

// What only trials have is refused by name.
func TestTrialsAreNotPlayedHere(t *testing.T) {
	for _, text := range []string{"tickets units=2 redeem=0.5", "nodes 3\nexpect law sigma <= 3", "nodes 3\nexpect served x share >= 0.5"} {
		s, err := scenario.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Run(t.Context(), s, Options{}); !errors.Is(err, ErrCannot) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
