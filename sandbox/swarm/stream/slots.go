// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"net/netip"
	"slices"
	"sync"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"croft/lease"
	"croft/sandbox/swarm"
)

// slots bound what is under way, in all and for each of those who ask.
type slots[K comparable] struct {
	mu         sync.Mutex
	most, each int
	by         map[K]int
	all        int
}

func newSlots[K comparable](most, each int) *slots[K] {
	return &slots[K]{most: most, each: each, by: map[K]int{}}
}

// take returns what gives the slot back; nil if there is none.
func (s *slots[K]) take(key K) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= s.most || s.by[key] >= s.each {
		return nil
	}
	s.all++
	s.by[key]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.by[key]--; s.by[key] == 0 {
			delete(s.by, key)
		}
	}
}

// servingSlots is how many pieces are sent at once at a rate in bytes/s: few, rather
// than many that are all too slow.
func servingSlots(rate float64) int {
	return int(min(max(rate/leastEach, 1), MaxServing))
}

// networkOf is what counts as one source: a /24 of IPv4, a /48 of IPv6.
func networkOf(addr ma.Multiaddr) netip.Prefix {
	ip, err := manet.ToIP(addr)
	if err != nil {
		return netip.Prefix{}
	}
	a, _ := netip.AddrFromSlice(ip)
	bits := 48
	if a = a.Unmap(); a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
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
