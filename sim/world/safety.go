// SPDX-License-Identifier: Apache-2.0

package world

import (
	"fmt"

	"croft/sim/report"
)

func (w *World) breach(n *peer, err error) {
	w.note(n.index, "breach: %v", err)
	w.figures.Breach(report.Breach{At: w.now, Node: n.index, Text: err.Error()})
}

// check looks at the books of one node, after each of its steps and when what it
// decided is durable.
func (w *World) check(n *peer) {
	w.figures.Safety.Checks++
	if n.oracle != nil && !n.broken {
		if err := n.oracle.Check(n.core.Ledger()); err != nil {
			n.broken = true // once is enough
			w.breach(n, err)
		}
	}
	if w.figures.Safety.Checks%sweepEvery == 0 {
		w.sweep()
	}
}

// sweep looks at every node: its books again, and that what runs has a lease.
func (w *World) sweep() {
	w.figures.Safety.Sweeps++
	for _, n := range w.nodes {
		for _, s := range n.slivers {
			if s.running && !s.ending && w.now > s.deadline+outlive {
				w.breach(n, fmt.Errorf("sliver %s lives on %s after its lease", s.name, w.now-s.deadline))
			}
		}
		if !n.up || n.busy || n.broken || n.evil != nil || len(n.inbox) > 0 {
			continue // it is in the middle of something
		}
		n.oracle.Restarted()
		if err := n.oracle.Check(n.core.Ledger()); err != nil {
			n.broken = true
			w.breach(n, err)
			continue
		}
		for _, s := range n.slivers {
			if e, ok := n.core.Ledger().Sliver(s.name); s.running && !s.ending && (!ok || !e.State.Live()) {
				n.broken = true
				w.breach(n, fmt.Errorf("sliver %s runs without a lease", s.name))
			}
		}
	}
}
