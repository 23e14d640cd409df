// SPDX-License-Identifier: Apache-2.0

package world

import (
	"fmt"
	"time"
)

// safety is what was looked at, and what was found.
type safety struct {
	checks, sweeps uint64
	breaches       []Breach
	more           int // that are not told
}

// Breach is a promise that was not kept.
type Breach struct {
	At   time.Duration `json:"at_ns"`
	Node int           `json:"node"`
	Text string        `json:"text"`
}

func (w *World) breach(n *peer, err error) {
	w.note(n.index, "breach: %v", err)
	if len(w.safety.breaches) == maxBreaches {
		w.safety.more++
		return
	}
	w.safety.breaches = append(w.safety.breaches, Breach{w.now, n.index, err.Error()})
}

// check looks at the books of one node, after each of its steps and when what it
// decided is durable.
func (w *World) check(n *peer) {
	w.safety.checks++
	if n.oracle != nil && !n.broken {
		if err := n.oracle.Check(n.core.Ledger()); err != nil {
			n.broken = true // once is enough
			w.breach(n, err)
		}
	}
	if w.safety.checks%sweepEvery == 0 {
		w.sweep()
	}
}

// sweep looks at every node: its books again, and that what runs has a lease.
func (w *World) sweep() {
	w.safety.sweeps++
	for _, n := range w.nodes {
		for _, s := range n.slivers {
			if s.running && !s.ending && w.now > s.deadline+outlive {
				w.breach(n, fmt.Errorf("sliver %s lives on %s after its lease", s.name, w.now-s.deadline))
			}
		}
		if !n.up || n.busy || n.broken || len(n.inbox) > 0 {
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
