// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"croft/lease"
)

// ErrField: a fact or question that cannot be.
var ErrField = lease.ErrField

// Tenure is the time during which a sliver has a place of the node, and with it
// a block of source ports and its leased public ports.
type Tenure struct {
	Sliver string       `cbor:"0,keyasint" json:"sliver"`
	Slice  string       `cbor:"1,keyasint" json:"slice"`
	Place  int          `cbor:"2,keyasint" json:"place"`
	First  uint16       `cbor:"3,keyasint" json:"first"` // source ports, first to last
	Last   uint16       `cbor:"4,keyasint" json:"last"`
	Ports  []lease.Port `cbor:"5,keyasint,omitempty" json:"ports,omitempty"`
	From   int64        `cbor:"6,keyasint" json:"from"`
	Until  int64        `cbor:"7,keyasint,omitempty" json:"until,omitempty"` // 0: still on
}

// Check reports whether t can be.
func (t Tenure) Check() error {
	if t.Sliver == "" || len(t.Sliver) > 64 || t.Slice == "" || len(t.Slice) > 256 || t.Place < 0 || t.First > t.Last ||
		len(t.Ports) > lease.MaxPorts || t.From <= 0 || t.Until != 0 && t.Until < t.From {
		return fmt.Errorf("tenure %+v: %w", t, ErrField)
	}
	return nil
}

// During reports whether t was on at some time in [from, until].
func (t Tenure) During(from, until int64) bool {
	return t.From <= until && (t.Until == 0 || t.Until >= from)
}

// sends reports whether a packet of proto from the node's port may be t's.
func (t Tenure) sends(proto uint8, port uint16) bool {
	if port == 0 || port >= t.First && port <= t.Last {
		return true
	}
	return slices.ContainsFunc(t.Ports, func(p lease.Port) bool {
		return p.Number == port && (proto == 0 || uint8(p.Proto) == proto)
	})
}

// Tenures is a list with at most one tenure of a sliver and beginning, sorted
// by both. The zero value is empty.
type Tenures []Tenure

// Put adds t or puts it in the place of the one with its sliver and beginning.
func (ts Tenures) Put(t Tenure) Tenures {
	i, found := slices.BinarySearchFunc(ts, t, compare)
	if found {
		ts[i] = t
		return ts
	}
	return slices.Insert(ts, i, t)
}

// EndedBefore returns ts without those that ended before the time at.
func (ts Tenures) EndedBefore(at int64) Tenures {
	return slices.DeleteFunc(slices.Clone(ts), func(t Tenure) bool { return t.Until != 0 && t.Until < at })
}

// Of returns the tenure of a sliver at the time at, or its nearest: a row is a
// little older or younger than the facts around it.
func (ts Tenures) Of(sliver string, at int64) (Tenure, bool) {
	first, _ := slices.BinarySearchFunc(ts, Tenure{Sliver: sliver}, compare)
	best, found := Tenure{}, false
	for _, t := range ts[first:] {
		if t.Sliver != sliver || found && t.From > at {
			break
		}
		best, found = t, true
	}
	return best, found
}

// Span returns the time from the beginning of a slice's first tenure to the end
// of its last (math.MaxInt64: one is still on), and false if it has none.
func (ts Tenures) Span(slice string) (from, until int64, ok bool) {
	for _, t := range ts {
		if t.Slice != slice {
			continue
		}
		if !ok || t.From < from {
			from = t.From
		}
		if until = max(until, t.Until); t.Until == 0 {
			until = math.MaxInt64
		}
		ok = true
	}
	return from, until, ok
}

func compare(a, b Tenure) int {
	return cmp.Or(cmp.Compare(a.Sliver, b.Sliver), cmp.Compare(a.From, b.From))
}
