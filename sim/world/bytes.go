// SPDX-License-Identifier: Apache-2.0

package world

import (
	"time"

	"croft/gossip"
)

// kind is what bytes are for. What is of no kind is the slices' own: wishes, leases
// and what is asked about them.
type kind int

const (
	kindOffers kind = iota // by the mesh
	kindLazy               // ids of what there is, beside it
	kindPulls
	kinds
)

var kindNames = [kinds]string{"offers", "ids", "pulls"}

// count notes of what kind bytes are that are sent anyway.
func (n *peer) count(k kind, bytes int) { n.sentOf[k] += uint64(bytes) }

// measure has the node stretch its periods by what it sends, as the daemon does.
func (n *peer) measure() {
	n.load.Measured(n.wall(), n.sent)
	n.pace.Stretch(n.load.Stretch())
	n.w.figures.stretch.add(int64(1000 * n.load.Stretch()))
	n.later(gossip.MeasureEvery, n.measure)
}

// reportBytes tells what nodes sent in a second, by kind.
func (w *World) reportBytes(r *Report) {
	var all dist
	var of [kinds + 1]float64
	count := 0.0
	for _, n := range w.nodes {
		was := n.was
		if n.up {
			was += w.now - n.since
		}
		if was <= time.Second {
			continue
		}
		all.add(int64(float64(n.sent) / was.Seconds()))
		count++
		rest := n.sent
		for k, bytes := range n.sentOf {
			of[k] += float64(bytes) / was.Seconds()
			rest -= bytes
		}
		of[kinds] += float64(rest) / was.Seconds()
	}
	r.dist("bytes", &all, 1, "B/s")
	for k, name := range append(kindNames[:], "slices") {
		if count > 0 {
			r.value("bytes", name, "mean", of[k]/count, "B/s")
		}
	}
	r.dist("stretch", &w.figures.stretch, 1e-3, "")
}
