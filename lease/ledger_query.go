// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"cmp"
	"slices"
)

// Entry is one hold or lease as people and programs read it.
type Entry struct {
	State      State     `json:"state"`
	Sliver     string    `json:"sliver,omitempty"`
	Lease      ID        `json:"lease,omitzero"`
	Hold       ID        `json:"hold"`
	Holder     Principal `json:"holder"`
	Owner      Principal `json:"owner"` // of the slice: the holder, unless it acts under a grant
	Slice      string    `json:"slice"`
	Pool       Pool      `json:"pool"`
	RSet       RSet      `json:"rset"`
	Term       Term      `json:"term"` // ends early where the lease did, or will be replaced
	Ports      []Port    `json:"ports,omitempty"`
	Ticket     ID        `json:"ticket,omitzero"`
	Replaces   ID        `json:"replaces,omitzero"`
	CommitBy   int64     `json:"commit_by,omitempty"`   // of a hold, Unix seconds
	ActivateBy int64     `json:"activate_by,omitempty"` // of a lease not yet active
	EndsAt     int64     `json:"ends_at,omitempty"`     // of one that is closing
	Reason     string    `json:"reason,omitempty"`      // of an end
	End        []byte    `json:"end,omitempty"`         // the signed close or revoke, if there is one
	Class      Class     `json:"class,omitempty"`       // 1: evictable
	Weight     uint16    `json:"weight,omitempty"`      // of an evictable one
	Exclusive  bool      `json:"exclusive,omitempty"`   // nobody else is in the pool
	FanOut     uint16    `json:"fan_out,omitempty"`     // distinct addresses in a minute, where the lease states it
	Starts     int64     `json:"starts,omitempty"`      // when the room is free, if that is after the term's begin
	Share      RSet      `json:"share,omitzero"`        // what is in force of an evictable one that runs
	Said       string    `json:"said,omitempty"`        // by who decided that it is granted
	Statement  []byte    `json:"statement"`             // the signed lease, before that the signed hold
	Program    []byte    `json:"program,omitempty"`
}

func (b *booking) entry() Entry {
	e := Entry{State: b.state, Lease: b.lease, Hold: b.hold, Holder: b.by, Owner: b.owner, Slice: b.slice, Pool: b.pool, RSet: b.rset,
		Term: b.span(), Ports: slices.Clone(b.chosen), Ticket: b.ticket, Replaces: b.replaces,
		Statement: b.holdBytes, Program: b.program, Reason: b.why(), End: b.endBytes, Class: b.class, Weight: b.weight, Exclusive: b.alone != 0, FanOut: b.fanOut}
	if b.starts() > b.term.From {
		e.Starts = b.starts()
	}
	if b.allotted != nil {
		e.Said = b.allotted.Said
	}
	if b.state.Live() {
		e.Share = b.share
	}
	if !b.lease.IsZero() {
		e.Sliver, e.Statement = SliverName(b.sliver), b.leaseBytes
	}
	switch b.state {
	case Held:
		e.CommitBy = b.commitBy
	case Leased:
		e.ActivateBy = b.activateBy
	case Closing:
		e.EndsAt = min(b.endAt, b.until)
	}
	return e
}

// byAge returns every kept booking, oldest first.
func (l *Ledger) byAge() []*booking { return l.aged(func(*booking) bool { return true }) }

// aged returns those to keep, oldest first.
func (l *Ledger) aged(keep func(*booking) bool) []*booking {
	var list []*booking
	for _, x := range l.timers {
		if b, ok := x.(*booking); ok && keep(b) {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(a, b *booking) int { return cmp.Compare(a.seq, b.seq) })
	return list
}

// Leases returns every hold and lease that is kept, the ended ones until an hour
// after their terms, oldest first.
func (l *Ledger) Leases() []Entry { return l.entries(func(*booking) bool { return true }) }

// Holder returns those of one principal, oldest first.
func (l *Ledger) Holder(p Principal) []Entry {
	return l.entries(func(b *booking) bool { return b.by == p })
}

// Owner returns those for slices of one principal, whoever holds them, oldest
// first.
func (l *Ledger) Owner(p Principal) []Entry {
	return l.entries(func(b *booking) bool { return b.owner == p })
}

func (l *Ledger) entries(keep func(*booking) bool) []Entry {
	list := []Entry{}
	for _, b := range l.aged(keep) {
		list = append(list, b.entry())
	}
	return list
}

// Lease returns the entry of a lease or hold by its id.
func (l *Ledger) Lease(id ID) (Entry, bool) {
	if b := l.bookings[id]; b != nil {
		return b.entry(), true
	}
	return Entry{}, false
}

// Free returns what is free of a pool at every instant of the term.
func (l *Ledger) Free(p Pool, t Term) RSet {
	if l.pools[p] == nil {
		return RSet{}
	}
	load, room := l.room(p, t)
	return room.Minus(load)
}

// Pools returns the rules in force, in the order in which they were given.
func (l *Ledger) Pools() []PoolRule {
	rules := make([]PoolRule, 0, len(l.cfg.Pools))
	for _, r := range l.cfg.Pools {
		rules = append(rules, l.pools[r.Pool].PoolRule)
	}
	return rules
}

// Now returns ledger time in Unix seconds: the latest that any Step or fact said.
func (l *Ledger) Now() int64 { return l.now }
