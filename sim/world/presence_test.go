// SPDX-License-Identifier: Apache-2.0

package world

import (
	"testing"

	"croft/gossip/alive"
	"croft/sim/report"
)

func figure(t *testing.T, r *report.Report, name, stat string) float64 {
	t.Helper()
	for _, f := range r.Figures {
		if f.Figure == name && f.Stat == stat {
			return f.Value
		}
	}
	t.Errorf("no %s %s", name, stat)
	return -1
}

// The dead are left out, whatever is lost on the way; who is slow, cut off itself or
// back is not.
func TestDetection(t *testing.T) {
	w, err := newWorld(read(t, `
nodes 120 profile=planetlab
join wave=40 every=1s
at 20s  fault loss rate=0.05
at 60s  fault kill fraction=0.1
at 120s fault delay by=50ms jitter=300ms for=30s
at 160s fault blackhole count=1 for=40s      # it hears nobody, and nobody hears it
at 220s fault restart fraction=0.1 after=2s
end 5m
`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	silent := uint64(0)
	w.in(w.scn.Steps[3].At, func() {
		w.in(30e9, func() {
			for _, n := range w.nodes {
				if n.up && n.hole {
					silent = n.live.watch.Stats().Silent
				}
			}
		})
	})
	r, err := w.run(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := figure(t, r, "detection", "max"); got <= 5 || got > 30 {
		t.Errorf("it took %v s to notice a death", got)
	}
	if n := w.figures.Measure("detection", "").Count(); n != 12 {
		t.Errorf("%d deaths were noticed, or should have been", n)
	}
	if got := figure(t, r, "suspicions", "false"); got > 2 {
		t.Errorf("%v suspected though they were there", got)
	}
	if silent == 0 {
		t.Error("who was cut off was not silent")
	}
	for _, n := range w.nodes {
		for _, o := range w.nodes {
			if !n.up || !o.up || n == o {
				continue
			}
			found, ok := n.view.Offer(o.principal())
			if !ok || n.live.watch.Standing(&found.Offer) != alive.Present {
				t.Errorf("node %d at the end takes %d for dead, who is there", n.index, o.index)
			}
		}
	}
}

// If nobody may say so, the dead are noticed by nobody but those who probed them.
func TestUnnoticedDeathsAreCounted(t *testing.T) {
	w, err := newWorld(read(t, "nodes 60 profile=planetlab\nat 40s fault kill count=3\nend 3m\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.in(30e9, func() {
		for _, n := range w.nodes {
			n.certificate = []byte{} // from now on no site vouches for anybody
			n.site = [32]byte{}
			n.offer(true)
		}
	})
	r, err := w.run(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := figure(t, r, "detection", "p50"); got < 60 {
		t.Errorf("noticed after %v s by the word of no site", got)
	}
}
