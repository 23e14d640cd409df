// SPDX-License-Identifier: Apache-2.0

package world

// reportMesh tells how many neighbours the honest have, how many of those are honest,
// and what came out about who is not.
func (w *World) reportMesh() {
	f := &w.figures
	good, honest := 0, 0
	for _, n := range w.nodes {
		if !n.up || n.evil != nil {
			continue
		}
		honest++
		f.degree.Observe(int64(len(n.neighbour)))
		for _, i := range n.neighbour {
			if w.nodes[i].evil == nil {
				good++
			}
		}
		f.known.Observe(int64(n.honestKnown()))
	}
	if h := w.hostile; h != nil {
		f.Set("degree", "", "honest", float64(good)/float64(max(honest, 1)))
		f.Set("equivocations", "", "count", float64(len(h.caught)))
		f.Set("proofs", "", "accused", float64(len(h.proved)))
	}
}
