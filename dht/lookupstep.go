// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Contact is a peer as others tell of it: where it lies among the keys, and the
// networks of its addresses. Without any Groups it is not counted to a network.
type Contact struct {
	Key    Key
	Groups []netip.Prefix
}

// Groups returns the networks that addresses count to: a /16 of IPv4, a /32 of
// IPv6, which is what one party gets cheaply. No address is one network too.
func Groups(addrs []netip.Addr) []netip.Prefix {
	groups := make([]netip.Prefix, 0, 1)
	for _, a := range addrs {
		a, bits := a.Unmap().WithZone(""), 32
		if a.Is4() {
			bits = 16
		}
		if p, err := a.Prefix(bits); err == nil && !slices.Contains(groups, p) && len(groups) < MaxGroups {
			groups = append(groups, p)
		}
	}
	if len(groups) == 0 {
		groups = append(groups, netip.Prefix{})
	}
	return groups
}

// MaxGroups is the number of networks that one peer counts to: as many addresses
// as an offer has.
const MaxGroups = 8

// LookupInput is what a Lookup takes: Closer, Failed or Tick.
type LookupInput interface {
	fmt.Stringer
	lookupInput()
}

// Closer is the answer of a peer that was asked: the peers nearest to the target
// that it knows, in any order. Groups are its networks as the connection shows
// them, if it does: they count, and not what others said.
type Closer struct {
	From   Key
	Groups []netip.Prefix
	Peers  []Contact
}

// Failed says that a peer that was asked cannot be: it is not to be reached, or
// what it answers is no answer.
type Failed struct{ Peer Key }

func (Closer) lookupInput() {}
func (Failed) lookupInput() {}
func (Tick) lookupInput()   {}

func (i Closer) String() string {
	s := "closer " + i.From.String()
	for _, c := range i.Peers {
		s += " " + c.Key.String()
	}
	return s
}
func (i Failed) String() string { return "failed " + i.Peer.String() }

// LookupEffect is what a Lookup wants done or known: Ask, PassedOver, Found.
type LookupEffect interface {
	fmt.Stringer
	lookupEffect()
}

// Ask wants a peer asked for those nearest to the target. It is asked once, on
// one path.
type Ask struct {
	Path int
	Peer Key
}

// PassedOver says that a peer is not waited for any more. Its answer still counts
// when it comes before the end.
type PassedOver struct{ Peer Key }

// Found is the end: the nearest peers that answered, nearest first. Cut says that
// time ran out before it was sure that there are no nearer ones.
type Found struct {
	Peers []Key
	Cut   bool
}

func (Ask) lookupEffect()        {}
func (PassedOver) lookupEffect() {}
func (Found) lookupEffect()      {}

func (e Ask) String() string        { return fmt.Sprintf("ask %d %s", e.Path, e.Peer) }
func (e PassedOver) String() string { return "pass over " + e.Peer.String() }
func (e Found) String() string {
	var s strings.Builder
	s.WriteString("found")
	for _, k := range e.Peers {
		s.WriteString(" " + k.String())
	}
	if e.Cut {
		s.WriteString(" cut")
	}
	return s.String()
}

// LookupStats counts what a look-up did, and what it dropped of what it was told.
type LookupStats struct {
	Asked, Answered, Failed uint64
	PassedOver              uint64 // of those asked
	Late                    uint64 // of those passed over, answers in time for the end

	Surplus   uint64 // named beyond MaxCloser in one answer
	Self      uint64 // named the one who looks, or whoever names
	Far       uint64 // farther than the MaxHeard that a path keeps
	Unasked   uint64 // answers that nobody waits for
	Disproved uint64 // peers whose word no longer counted
}

// Add sums up look-ups.
func (s *LookupStats) Add(o LookupStats) {
	s.Asked += o.Asked
	s.Answered += o.Answered
	s.Failed += o.Failed
	s.PassedOver += o.PassedOver
	s.Late += o.Late
	s.Surplus += o.Surplus
	s.Self += o.Self
	s.Far += o.Far
	s.Unasked += o.Unasked
	s.Disproved += o.Disproved
}
