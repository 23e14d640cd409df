// SPDX-License-Identifier: Apache-2.0

package world

import (
	"time"

	"croft/lease"
	"croft/sandbox"
)

// sliver is the model of a sandbox with its guard and warden: it ends at its
// deadline by the boot clock, whether or not there is a daemon.
type sliver struct {
	name     string
	running  bool
	ending   bool
	gone     bool
	deadline time.Duration // of the run's clock
	turn     int           // of deadlines: an older one does not count
	cpu      uint64        // of its lease
	counted  uint64        // of that, as long as it runs
}

func (n *peer) sliver(name string) *sliver {
	for _, s := range n.slivers {
		if s.name == name && !s.gone {
			return s
		}
	}
	return nil
}

// runs notes that a sliver runs, or does no more.
func (n *peer) runs(s *sliver, runs bool) {
	if s.running == runs {
		return
	}
	s.running = runs
	n.leases(s, 0)
	if runs {
		n.leases(s, s.cpu)
		n.w.slivers++
	} else {
		n.w.slivers--
	}
	n.w.figures.running.Set(n.w.now, float64(n.w.slivers))
}

// launch starts a sliver, or adopts what runs.
func (n *peer) launch(e sandbox.Launch) {
	w := n.w
	s := n.sliver(e.Sliver)
	if s != nil && s.running {
		n.deadline(s, e.Statement)
		n.later(adoptTime, func() { n.give(sandbox.Launched{Sliver: e.Sliver}) })
		return
	}
	if s == nil {
		s = &sliver{name: e.Sliver}
		n.slivers = append(n.slivers, s)
	}
	n.deadline(s, e.Statement)
	n.later(startLeast+time.Duration(w.rng.Int64N(int64(startMost-startLeast))), func() {
		if s.ending || s.gone {
			return
		}
		n.runs(s, true)
		n.give(sandbox.Launched{Sliver: e.Sliver})
	})
}

func (n *peer) adjust(e sandbox.Adjust) {
	if s := n.sliver(e.Sliver); s != nil {
		n.deadline(s, e.Statement)
	}
}

// deadline winds a sliver's own clock up to its lease's end.
func (n *peer) deadline(s *sliver, statement []byte) {
	o, err := lease.Open(statement)
	if err != nil {
		n.w.breach(n, err)
		return
	}
	l, ok := o.Statement.(*lease.Lease)
	if !ok {
		n.w.breach(n, lease.ErrKind)
		return
	}
	if s.cpu = l.RSet[lease.CPU]; s.running {
		n.leases(s, s.cpu)
	}
	s.turn++
	turn := s.turn
	s.deadline = n.w.now + max(time.Unix(l.Until, 0).Sub(n.w.wall().Add(n.base)), 0)
	n.w.in(s.deadline-n.w.now, func() {
		if s.turn != turn || s.gone {
			return
		}
		n.w.note(n.index, "deadline %s", s.name)
		was := s.running
		n.runs(s, false)
		if was && n.up {
			n.give(sandbox.Exited{Sliver: s.name, Reason: sandbox.ReasonDeadline})
		}
	})
}

func (n *peer) teardown(e sandbox.Teardown) {
	s := n.sliver(e.Sliver)
	if s != nil {
		s.ending = true
		s.turn++
	}
	n.later(endTime, func() {
		if s != nil {
			n.runs(s, false)
			s.gone = true
			n.forget()
		}
		n.give(sandbox.Removed{Sliver: e.Sliver})
	})
}

func (n *peer) forget() {
	kept := n.slivers[:0]
	for _, s := range n.slivers {
		if !s.gone {
			kept = append(kept, s)
		}
	}
	n.slivers = kept
}
