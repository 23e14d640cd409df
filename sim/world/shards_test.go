// SPDX-License-Identifier: Apache-2.0

package world

import (
	"math/rand/v2"
	"testing"
)

// Where there are more nodes than a view holds each knows whom it is to know, near
// all of them and of who is far some, and its view does not overflow.
func TestLargeNetworksDivide(t *testing.T) {
	s := read(t, "nodes 400 view=80\njoin wave=10 every=1s\nend 75s")
	w, err := newWorld(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.run(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	wanted, known, far, divided := 0, 0, 0, 0
	for _, n := range w.nodes {
		if n.view.Len() > 80 {
			t.Errorf("node %d knows %d", n.index, n.view.Len())
		}
		if n.sharded.level > 1 {
			divided++
		}
		for _, o := range w.nodes {
			p := w.areas.places[o.index]
			if o == n || !n.sharded.crowd.Wants(p.area, p.rank) {
				continue
			}
			wanted++
			if n.view.Has(o.principal()) {
				known++
			}
			if w.areas.places[n.index].area.Common(p.area) == 0 {
				far++
			}
		}
	}
	t.Logf("%d of %d who are wanted are known, %d of them far away; %d nodes are in topics of areas; delivered %v", known, wanted, far, divided, r.Figures)
	if f := &w.figures; f.due < 1000 || f.reached*100 < f.due*97 {
		t.Errorf("of %d copies of offers that were due %d came", f.due, f.reached)
	}
	if known*100 < wanted*95 || far == 0 || divided < 300 || wanted > 400*80 {
		t.Error("that is not the network divided")
	}
}

func TestFew(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var f few
	there := map[int]bool{}
	for range 3000 {
		i := rng.IntN(5000)
		if f.has(i) != there[i] {
			t.Fatalf("%d: %v", i, !there[i])
		}
		if rng.IntN(2) == 0 {
			f.mark(i)
			there[i] = true
		}
	}
	if f.count != len(there) || len(f.slots) < 2*f.count {
		t.Errorf("%d of %d in %d slots", f.count, len(there), len(f.slots))
	}
}
