// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"croft/sim/profile"
	"croft/sim/scenario"
	law "croft/sim/wires"
)

// wires is the network below the hosts: distances of the profile, and what faults do
// to them. It implements lean.Wires.
type wires struct {
	profile *profile.Profile

	mu     sync.RWMutex // guards what follows
	cuts   []*cut
	holes  []bool
	faults law.Faults

	counts                   sync.Mutex
	lost, repeated, heldBack uint64
}

// chance is the random numbers of all goroutines.
type chance struct{}

func (chance) Int64N(n int64) int64 { return rand.Int64N(n) }
func (chance) Float64() float64     { return rand.Float64() }

// Way implements lean.Wires.
func (w *wires) Way(a, b, _ int) (time.Duration, bool) {
	w.mu.RLock()
	sent, arrives := w.faults.Send(a, b, w.profile.OneWay(a, b), chance{})
	w.mu.RUnlock()
	if sent.Repeated > 0 || sent.Held > 0 || !arrives {
		w.counts.Lock()
		defer w.counts.Unlock()
		w.repeated += uint64(sent.Repeated)
		w.heldBack += uint64(sent.Held)
		if !arrives {
			w.lost++
		}
	}
	return sent.Takes, arrives
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

// begin has a fault in force until the returned function ends it.
func (w *wires) begin(fault scenario.Fault, whom []bool) (end func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stop := w.faults.Begin(fault, whom)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		stop()
	}
}
