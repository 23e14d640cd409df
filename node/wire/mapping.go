// SPDX-License-Identifier: Apache-2.0

package wire

import "net/netip"

// Mapping is what lies between a host and the others, as they see its address.
type Mapping string

const (
	MappingUnknown Mapping = ""        // fewer than two others have told
	MappingNone    Mapping = "none"    // its own address is what they see
	MappingStable  Mapping = "stable"  // one address and port for all: holes can be punched
	MappingVaries  Mapping = "varying" // another port for each: no hole leads anywhere
)

// sighting is one other's word on our address.
type sighting struct {
	by   netip.Addr     // who says so
	from netip.AddrPort // where the connection began here
	seen netip.AddrPort // where it seemed to begin there
	own  bool           // seen is an address of this machine
}

// socket is what a NAT maps: a local port of one family.
type socket struct {
	port uint16
	v4   bool
}

// sightings are the latest words, one of each observer.
type sightings []sighting

// add takes a word in; the oldest goes when there are too many.
func (s *sightings) add(one sighting) {
	kept := (*s)[:0]
	for _, old := range *s {
		if old.by != one.by {
			kept = append(kept, old)
		}
	}
	kept = append(kept, one)
	*s = kept[max(0, len(kept)-maxObservers):]
}

// mapping is what they come to. A word counts only with another of the same
// socket beside it; one that says what nobody else says is outvoted, so that
// no single liar makes of a stable address a varying one.
func (s sightings) mapping() Mapping {
	most := map[socket]map[netip.AddrPort]int{}
	all := map[socket]int{}
	own := 0
	for _, one := range s {
		at := socket{one.from.Port(), one.seen.Addr().Is4()}
		if most[at] == nil {
			most[at] = map[netip.AddrPort]int{}
		}
		most[at][one.seen]++
		all[at]++
		if one.own {
			own++
		}
	}
	verdict := MappingUnknown
	for at, total := range all {
		top := 0
		for _, n := range most[at] {
			top = max(top, n)
		}
		switch {
		case total < 2:
		case 2*top > total:
			verdict = MappingStable
		case verdict == MappingUnknown:
			verdict = MappingVaries
		}
	}
	if verdict == MappingStable && 2*own > len(s) {
		return MappingNone
	}
	return verdict
}
