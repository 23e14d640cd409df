// SPDX-License-Identifier: Apache-2.0

package optout

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"time"

	"croft/lease"
	"croft/lease/judge"
)

// Config is fixed for the life of a Set. The zero value is the protocol's.
type Config struct {
	Cap        int // entries; 0 is MaxEntries
	PerNetwork int // 0 is PerNetwork
}

// Set is the opt-outs that this node accepts: one entry an address.
//
// When a network has [PerNetwork] entries, a newcomer takes the place of that
// which ends first in the same network, if it holds longer itself. When the set
// is full, a newcomer takes the place of the entry that ends first in the network
// that has most, if its own network has fewer even with it. So a flood displaces
// its own kind.
type Set struct {
	cfg      Config
	nodes    []Node            // by principal
	networks [2][]netip.Prefix // of nodes that attest for IPv4 and IPv6
	live     map[netip.Addr]bool

	kept   map[netip.Addr]*kept
	parts  parts
	crowds crowds
	wake   time.Time // no entry ends before; zero when there is none

	judged  judged
	senders map[lease.Principal]*allowance
	all     allowance
}

type kept struct {
	Entry
	heard bool // by gossip, not only by pull
}

// New returns an empty set that knows no nodes.
func New(cfg Config) *Set {
	cfg.Cap, cfg.PerNetwork = cmp.Or(cfg.Cap, MaxEntries), cmp.Or(cfg.PerNetwork, PerNetwork)
	return &Set{cfg: cfg, live: map[netip.Addr]bool{}, kept: map[netip.Addr]*kept{},
		crowds: newCrowds(cfg.PerNetwork), judged: newJudged(), senders: map[lease.Principal]*allowance{}, all: allowance{left: BurstAll}}
}

// Step advances the set to now and applies one input.
func (s *Set) Step(now time.Time, in Input) []Effect {
	ended := s.expire(now)
	changed := len(ended) > 0
	var effects []Effect
	switch in := in.(type) {
	case Received:
		effects = s.receive(now, in)
	case Local:
		effects = s.receive(now, Received{Bytes: in.Bytes, Pulled: true})
	case Kept:
		effects = s.reload(now, in.Bytes)
	case Known:
		changed = s.know(in.Nodes) || changed
	}
	changed = changed || len(effects) > 1 // more than a verdict
	if effects = append(effects, ended...); changed {
		effects = append(effects, Changed{})
	}
	return effects
}

// NextWake reports when the next entry ends.
func (s *Set) NextWake() (time.Time, bool) { return s.wake, !s.wake.IsZero() }

// receive returns the verdict first. What costs least is looked at first, and
// signatures last.
func (s *Set) receive(now time.Time, in Received) []Effect {
	if len(in.Bytes) > MaxEntry {
		return []Effect{Verdict{judge.Reject, judge.TooBig}}
	}
	e, err := readEntry(in.Bytes)
	if err != nil {
		return []Effect{verdictOf(err)}
	}
	old := s.kept[e.Addr]
	if old != nil && old.ID == e.ID {
		if !in.Pulled && !old.heard {
			old.heard = true // a pull was faster; the neighbours may still need it
			return []Effect{Verdict{judge.Accept, judge.None}}
		}
		return []Effect{Verdict{judge.Ignore, judge.Duplicate}}
	}
	if reason := s.admissible(now, &e, old); reason != judge.None {
		return []Effect{Verdict{judge.Ignore, reason}}
	}
	if reason := s.attested(&e); reason != judge.None {
		return []Effect{Verdict{judge.Ignore, reason}}
	}
	holds, known := s.judged.get(e.ID)
	if !known {
		if !in.Pulled && !s.spend(now, in.From) {
			return []Effect{Verdict{judge.Ignore, judge.TooOften}}
		}
		holds = e.verify() == nil
		s.judged.put(e.ID, holds)
	}
	if !holds {
		return []Effect{Verdict{judge.Reject, judge.Signature}}
	}
	return s.take(&kept{e, !in.Pulled}, old)
}

// reload takes an entry from this node's disk.
func (s *Set) reload(now time.Time, b []byte) []Effect {
	e, err := readEntry(b)
	if err != nil {
		return []Effect{verdictOf(err)}
	}
	old := s.kept[e.Addr]
	if old != nil && old.ID == e.ID {
		return []Effect{Verdict{judge.Ignore, judge.Duplicate}}
	}
	if reason := s.admissible(now, &e, old); reason != judge.None {
		return []Effect{Verdict{judge.Ignore, reason}}
	}
	return s.take(&kept{e, false}, old)
}

// admissible holds an entry against the clock and what is there.
func (s *Set) admissible(now time.Time, e *Entry, old *kept) judge.Reason {
	switch {
	case now.Unix() >= e.Until:
		return judge.Expired
	case e.From > now.Add(MaxSkew).Unix():
		return judge.Early
	case old != nil && !e.after(&old.Entry):
		return judge.Superseded
	}
	return judge.None
}

// attested holds an entry against what is known of nodes.
func (s *Set) attested(e *Entry) judge.Reason {
	if s.live[e.Addr] {
		return LiveNode
	}
	var by [Attesters]Node
	for i, a := range e.By {
		n, ok := s.Node(a.Node)
		if !ok || !n.Door(e.Addr).IsValid() {
			return judge.Stranger
		}
		by[i] = n
	}
	for i, n := range by {
		for _, m := range by[:i] {
			switch {
			case n.Site == m.Site:
				return SameSite
			case n.Network(e.Addr) == m.Network(e.Addr):
				return SameNetwork
			}
		}
	}
	for i, n := range by {
		if !slices.Contains(chosen(s.networks[family(e.Addr)], e.Addr, Day(e.By[i].From)), n.Network(e.Addr)) {
			return NotChosen
		}
	}
	return judge.None
}

// family is 0 for IPv4 and 1 for IPv6.
func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// take keeps an entry that holds, if there is room for it.
func (s *Set) take(e, old *kept) []Effect {
	effects := []Effect{Verdict{judge.Accept, judge.None}}
	if old != nil {
		s.forget(old)
		effects = append(effects, Left{old.Addr, old.ID, judge.Superseded})
	} else if victim, full := s.victim(e); full {
		if victim == nil {
			return []Effect{Verdict{judge.Ignore, judge.Crowded}}
		}
		s.forget(victim)
		effects = append(effects, Left{victim.Addr, victim.ID, judge.Crowded})
	}
	s.kept[e.Addr] = e
	s.parts.add(e)
	s.crowds.add(e)
	s.wakeAt(e.Until)
	return append(effects, Entered{e.Entry})
}

// victim is whose place a newcomer takes, if one must go.
func (s *Set) victim(e *kept) (victim *kept, full bool) {
	mine := s.crowds.of(lease.Network(e.Addr))
	if len(mine) >= s.cfg.PerNetwork {
		if first := firstToEnd(mine); e.after(&first.Entry) {
			return first, true
		}
		return nil, true
	}
	if len(s.kept) < s.cfg.Cap {
		return nil, false
	}
	if most := s.crowds.most(); len(most) > len(mine)+1 {
		return firstToEnd(most), true
	}
	return nil, true
}

func (s *Set) forget(e *kept) {
	delete(s.kept, e.Addr)
	s.parts.remove(e)
	s.crowds.remove(e)
}

func (s *Set) wakeAt(until int64) {
	if at := time.Unix(until, 0); s.wake.IsZero() || at.Before(s.wake) {
		s.wake = at
	}
}

func (s *Set) expire(now time.Time) []Effect {
	if s.wake.IsZero() || now.Before(s.wake) {
		return nil
	}
	var ended []*kept
	s.wake = time.Time{}
	for _, e := range s.kept {
		if now.Unix() < e.Until {
			s.wakeAt(e.Until)
		} else {
			ended = append(ended, e)
		}
	}
	slices.SortFunc(ended, func(a, b *kept) int { return a.Addr.Compare(b.Addr) })
	var effects []Effect
	for _, e := range ended {
		s.forget(e)
		effects = append(effects, Left{e.Addr, e.ID, judge.Expired})
	}
	return effects
}

// know replaces what is known of nodes, and reports whether that changes which
// addresses are to be left alone.
func (s *Set) know(nodes []Node) bool {
	before := s.live
	if !slices.IsSortedFunc(nodes, byPrincipal) {
		nodes = slices.SortedFunc(slices.Values(nodes), byPrincipal)
	}
	s.nodes, s.live = nodes, map[netip.Addr]bool{}
	for _, n := range nodes {
		for _, a := range n.Addrs {
			s.live[a.Unmap()] = true
		}
	}
	s.networks = [2][]netip.Prefix{networks(nodes, netip.IPv4Unspecified()), networks(nodes, netip.IPv6Unspecified())}
	for _, side := range [][2]map[netip.Addr]bool{{before, s.live}, {s.live, before}} {
		for a := range side[0] { // whether there is one, not which: the order does not matter
			if s.kept[a] != nil && !side[1][a] {
				return true
			}
		}
	}
	return false
}

// Addrs returns the addresses to be left alone, in order: all that are kept, but
// for those of live nodes, which came to be such after they opted out.
func (s *Set) Addrs() []netip.Addr {
	all := make([]netip.Addr, 0, len(s.kept))
	for a := range s.kept {
		if !s.live[a] {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return all
}

// Entries returns what is kept, by address.
func (s *Set) Entries() []Entry {
	all := make([]Entry, 0, len(s.kept))
	for _, e := range s.kept {
		all = append(all, e.Entry)
	}
	slices.SortFunc(all, func(a, b Entry) int { return a.Addr.Compare(b.Addr) })
	return all
}

// Entry returns that of an address.
func (s *Set) Entry(a netip.Addr) (Entry, bool) {
	if e, ok := s.kept[a.Unmap()]; ok {
		return e.Entry, true
	}
	return Entry{}, false
}

// Len is the number of entries.
func (s *Set) Len() int { return len(s.kept) }

// Live reports whether an address is that of a node, which cannot opt out.
func (s *Set) Live(a netip.Addr) bool { return s.live[a.Unmap()] }

// Node returns what is known of one.
func (s *Set) Node(p lease.Principal) (Node, bool) {
	i, ok := slices.BinarySearchFunc(s.nodes, p, func(n Node, p lease.Principal) int { return bytes.Compare(n.Principal[:], p[:]) })
	if !ok {
		return Node{}, false
	}
	return s.nodes[i], true
}

// Chosen returns the nodes that may attest for an address at an instant.
func (s *Set) Chosen(addr netip.Addr, at int64) []Node {
	return Chosen(s.nodes, addr, at)
}

func byPrincipal(a, b Node) int { return bytes.Compare(a.Principal[:], b.Principal[:]) }
