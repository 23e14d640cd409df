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
	n.w.figures.stretch.add(n.load.Stretch())
	n.later(gossip.MeasureEvery, n.measure)
}

// stretches are those of all nodes, at all times.
type stretches struct{ sum, count, most float64 }

func (s *stretches) add(v float64) { s.sum, s.count, s.most = s.sum+v, s.count+1, max(s.most, v) }

// reportBytes tells what nodes sent in a second, by kind, and by how much they
// stretched their periods for it.
func (w *World) reportBytes() {
	f := &w.figures
	var of [kinds + 1]float64
	count := 0.0
	for _, n := range w.nodes {
		if n.evil != nil {
			continue
		}
		was := n.was
		if n.up {
			was += w.now - n.since
		}
		if was <= time.Second {
			continue
		}
		f.bytes.Observe(int64(float64(n.sent) / was.Seconds()))
		count++
		rest := n.sent
		for k, bytes := range n.sentOf {
			of[k] += float64(bytes) / was.Seconds()
			rest -= bytes
		}
		of[kinds] += float64(rest) / was.Seconds()
	}
	for k, name := range append(kindNames[:], "slices") {
		if count > 0 {
			f.Set("bytes", name, "mean", of[k]/count)
		}
	}
	if s := f.stretch; s.count > 0 {
		f.Set("stretch", "", "mean", s.sum/s.count)
		f.Set("stretch", "", "max", s.most)
	}
}
