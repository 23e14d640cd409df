// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
)

// Who is silent is asked at growing distances, and again as at first once it answered.
func TestTheSilentAreAskedLessOften(t *testing.T) {
	now, node := time.Unix(1_000_000, 0), leasetest.Who("n1")
	w := NewWitness(leasetest.Who("w"), 0)
	w.Step(now, Known{Nodes: []Candidate{{Node: leasetest.Who("w")}, {Node: node}}})
	wait := func(in WitnessInput, want time.Duration) {
		t.Helper()
		w.Step(now, in)
		at, ok := w.NextWake()
		if !ok || at.Sub(now) != want {
			t.Fatalf("after %s it asks again in %s, %v, not in %s", in, at.Sub(now), ok, want)
		}
		now = at
		if asked := w.Step(now, Passed{}); len(asked) != 1 {
			t.Fatalf("asked: %v", asked)
		}
	}
	for _, want := range []time.Duration{1, 2, 4, 5, 5} {
		wait(Silent{Node: node}, want*time.Minute)
	}
	wait(Grown{Node: node}, WitnessEvery) // whatever it showed
	wait(Silent{Node: node}, time.Minute)
}

// Whom a witness follows is by whom it knows now, also where nothing but a site is
// another.
func TestAWitnessChoosesAnewByWhatIsNew(t *testing.T) {
	now, self := time.Unix(1_000_000, 0), leasetest.Who("n0")
	known := func(site func(int) string) (all []Candidate) {
		for i := range 60 {
			all = append(all, Candidate{Node: leasetest.Who(fmt.Sprint("n", i)), Site: site(i)})
		}
		return all
	}
	follows := func(w *Witness) (nodes []lease.Principal) {
		for _, e := range w.Watched() {
			if e.Follows {
				nodes = append(nodes, e.Node)
			}
		}
		return nodes
	}
	w := NewWitness(self, 0)
	apart := known(func(i int) string { return fmt.Sprint("s", i) })
	together := known(func(i int) string { return fmt.Sprint("s", min(i, 10)) }) // all others are of one site
	var before []lease.Principal
	for i, nodes := range [][]Candidate{apart, together, together, together[:50], apart} {
		fresh := NewWitness(self, 0)
		w.Step(now, Known{Nodes: nodes})
		fresh.Step(now, Known{Nodes: nodes})
		now := follows(w)
		if !slices.Equal(now, follows(fresh)) {
			t.Errorf("round %d: %d are followed, by a new witness %d", i, len(now), len(follows(fresh)))
		}
		if i != 2 && slices.Equal(now, before) {
			t.Errorf("round %d: that others are known changes nothing", i)
		}
		before = now
	}
}
