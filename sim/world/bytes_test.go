// SPDX-License-Identifier: Apache-2.0

package world

import (
	"math"
	"testing"
	"time"
)

// What a node sends is told by kind, and the kinds add up.
func TestBytesAddUpByKind(t *testing.T) {
	r, err := Run(t.Context(), read(t, "nodes 40\njoin wave=10 every=1s\nat 30s slice one nodes=5 term=60s\nat 40s change fraction=0.5\nend 2m\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	sum, mean := 0.0, 0.0
	for _, f := range r.Figures {
		switch {
		case f.Figure != "bytes" || f.Stat != "mean":
		case f.Of == "":
			mean = f.Value
		default:
			sum += f.Value
			if f.Value <= 0 {
				t.Errorf("no bytes of %s", f.Of)
			}
		}
	}
	if mean == 0 || math.Abs(sum-mean) > mean/100 {
		t.Errorf("kinds add up to %.1f bytes/s of %.1f", sum, mean)
	}
}

// Some have no neighbours in the mesh any more. Ids bring them what is said, and take
// along what they say, within seconds.
func TestIdsGoBesideTheMesh(t *testing.T) {
	w, err := newWorld(read(t, "nodes 100\njoin wave=20 every=1s\nat 91s change fraction=0.3\nend 2m\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.in(90*time.Second, func() {
		for _, n := range w.nodes[:10] {
			for len(n.neighbour) > 0 {
				o := w.nodes[n.neighbour[0]]
				n.unlink(o.index)
				o.unlink(n.index)
			}
		}
	})
	due, missed := 0, 0
	w.in(97*time.Second, func() {
		for _, m := range w.messages {
			for i := range w.nodes {
				if m.at >= 91*time.Second && m.at < 92*time.Second {
					due++
					if !m.seen.has(i) {
						missed++
					}
				}
			}
		}
	})
	if _, err := w.run(t.Context(), Options{}); err != nil || due < 20*100 || missed > 0 {
		t.Errorf("%d of %d were not told, %v", missed, due, err)
	}
}
