// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"slices"
	"sync"

	"croft/lease"
	"croft/sandbox/swarm"
)

// slots bound what is under way, in all and for each node.
type slots struct {
	mu         *sync.Mutex
	most, each int
	by         map[lease.Principal]int
	all        *int
}

func newSlots(most, each int) slots {
	return slots{&sync.Mutex{}, most, each, map[lease.Principal]int{}, new(int)}
}

// take returns what gives the slot back; nil if there is none.
func (s slots) take(node lease.Principal) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *s.all >= s.most || s.by[node] >= s.each {
		return nil
	}
	*s.all++
	s.by[node]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		*s.all--
		if s.by[node]--; s.by[node] == 0 {
			delete(s.by, node)
		}
	}
}

// trace remembers who asked for which blob: they may have it by now.
type trace struct {
	mu    sync.Mutex
	order []lease.Digest // the latest last
	by    map[lease.Digest][]lease.Principal
}

func newTrace() *trace { return &trace{by: map[lease.Digest][]lease.Principal{}} }

func (t *trace) add(d lease.Digest, node lease.Principal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.order = append(slices.DeleteFunc(t.order, func(o lease.Digest) bool { return o == d }), d)
	if len(t.order) > maxTraced {
		delete(t.by, t.order[0])
		t.order = t.order[1:]
	}
	list := slices.DeleteFunc(t.by[d], func(o lease.Principal) bool { return o == node })
	t.by[d] = append([]lease.Principal{node}, list[:min(len(list), swarm.MaxOthers)]...)
}

// of are those that asked for a blob, the latest first, but for one.
func (t *trace) of(d lease.Digest, but lease.Principal) []lease.Principal {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(t.by[d]), func(o lease.Principal) bool { return o == but })
	return list[:min(len(list), swarm.MaxOthers)]
}
