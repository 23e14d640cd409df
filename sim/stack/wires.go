// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"croft/sim/profile"
	"croft/sim/scenario"
)

// wires is the network below the hosts: distances of the profile, and what faults do
// to them. It implements lean.Wires.
type wires struct {
	profile *profile.Profile

	mu    sync.RWMutex // guards what follows
	cuts  []*cut
	holes []bool
	loss  []struck[*scenario.Loss]
	delay []struck[*scenario.Delay]
	late  []struck[*scenario.Reorder]

	counts                   sync.Mutex
	lost, repeated, heldBack uint64
}

// struck is a fault in force and whom it strikes.
type struck[F comparable] struct {
	fault F
	whom  map[int]bool // nil: everybody
}

func (s struck[F]) strikes(a, b int) bool { return s.whom == nil || s.whom[a] || s.whom[b] }

// Way implements lean.Wires. What is lost is sent again, later each time, until the
// connection is given up.
func (w *wires) Way(a, b, _ int) (time.Duration, bool) {
	way := w.profile.OneWay(a, b)
	d := way + rand.N(way/50+20*time.Microsecond) // queues on the way
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, f := range w.delay {
		if f.strikes(a, b) {
			d += f.fault.By
			if f.fault.Jitter > 0 {
				d += rand.N(f.fault.Jitter)
			}
		}
	}
	for _, f := range w.loss {
		if !f.strikes(a, b) {
			continue
		}
		for try, wait := 0, 2*way+200*time.Millisecond; rand.Float64() < f.fault.Rate; try, wait = try+1, 2*wait {
			if try == maxTries {
				w.count(&w.lost)
				return 0, false
			}
			w.count(&w.repeated)
			d += wait
		}
	}
	for _, f := range w.late {
		if f.strikes(a, b) && rand.Float64() < f.fault.Rate {
			w.count(&w.heldBack)
			d += f.fault.By
		}
	}
	return d, true
}

func (w *wires) count(n *uint64) {
	w.counts.Lock()
	defer w.counts.Unlock()
	*n++
}

// Cut implements lean.Wires.
func (w *wires) Cut(a, b int) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.holes[a] || w.holes[b] {
		return true
	}
	for _, c := range w.cuts {
		if c.inside[a] != c.inside[b] {
			return true
		}
	}
	return false
}

// cut is a partition in force.
type cut struct{ inside map[int]bool }

// partition cuts nodes off until the returned function heals it.
func (w *wires) partition(inside map[int]bool) (heal func()) {
	c := &cut{inside}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cuts = append(w.cuts, c)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.cuts = slices.DeleteFunc(w.cuts, func(o *cut) bool { return o == c })
	}
}

// hole has nodes swallow everything, or no more.
func (w *wires) hole(nodes []*node, is bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range nodes {
		w.holes[n.index] = is
	}
}

// during has a fault of the wires in force until the returned function ends it.
func during[F comparable](w *wires, list *[]struck[F], fault F, whom map[int]bool) (end func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*list = append(*list, struck[F]{fault, whom})
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		*list = slices.DeleteFunc(*list, func(o struck[F]) bool { return o.fault == fault })
	}
}
