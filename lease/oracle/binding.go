// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"crypto/sha256"
	"slices"

	"croft/lease"
)

// binding is one granted wish as its statements say.
type binding struct {
	wish       lease.ID
	asked      lease.Statement
	redeem     *lease.Redeem // nil for an ask
	pool       lease.Pool
	rset       lease.RSet
	term       lease.Term // ends early where the lease did or is replaced
	replaces   lease.ID
	hold       lease.ID
	lease      lease.ID // zero while it is held
	commitBy   int64
	activateBy int64 // zero once active
	endAt      int64 // of an announced end
	endIn      int   // the step in which it was announced
	ended      bool
	charge     lease.RSet // of the pool
	alone      bool       // nobody else may be there: it is charged all of it
	starts     int64      // when there is room for it
	grace      int64
	sliver     lease.ID
}

// floor is what the node owes a sliver whose lease it revoked: that it runs as it
// was promised, until the stated grace is over.
type floor struct {
	sliver lease.ID
	lease.Term
}

// Follow reads one durable fact, in order.
func (o *Oracle) Follow(f lease.Fact) {
	o.facts++
	o.kept[sha256.Sum256(f.Signed)] = true
	if o.err != nil {
		return
	}
	b := o.bound[f.Claim]
	if b == nil && (f.K == lease.FactCommitted || f.K == lease.FactActivated || f.K == lease.FactAnnounced || f.K == lease.FactEnded) {
		o.fail("%s about what was never held", f)
		return
	}
	switch f.K {
	case lease.FactHeld:
		o.held(f)
	case lease.FactCommitted:
		signed := o.see(f.Signed)
		st, ok := signed.Statement.(*lease.Lease)
		if !ok {
			o.fail("a commitment without a lease")
			return
		}
		b.lease, b.activateBy, b.grace, b.sliver = signed.ID, st.ActivateBy, int64(st.Grace), signed.ID
		if !st.Sliver.IsZero() {
			b.sliver = st.Sliver
		}
		o.bound[signed.ID] = b
		if old := o.bound[st.Replaces]; old != nil && !st.Replaces.IsZero() {
			old.term.Until = min(old.term.Until, st.From)
		}
	case lease.FactActivated:
		b.activateBy = 0
	case lease.FactAnnounced:
		at := f.At
		switch st := o.see(f.Signed).Statement.(type) {
		case *lease.Close:
			at = max(at, st.At)
			o.floors = slices.DeleteFunc(o.floors, func(f floor) bool { return f.sliver == b.sliver }) // its holder's own will
		case *lease.Revoke:
			at = max(at, st.At)
			if !b.lease.IsZero() && b.activateBy == 0 {
				t := lease.Term{From: max(f.At, b.starts), Until: min(f.At+b.grace, o.promised(b))}
				o.floors = append(o.floors, floor{b.sliver, t})
				o.sight(b, t)
			}
		}
		b.endIn = o.steps
		switch b.endAt = at; {
		case b.lease.IsZero():
			b.endAt = f.At
		case b.activateBy != 0:
			b.endAt = min(at, b.activateBy)
		}
	case lease.FactEnded:
		b.ended, b.term.Until = true, min(b.term.Until, max(f.At, b.term.From))
	}
}

func (o *Oracle) held(f lease.Fact) {
	wish, hold := o.see(f.Wish), o.see(f.Signed)
	h, ok := hold.Statement.(*lease.Hold)
	if !ok || wish.Statement == nil {
		o.fail("a hold without a wish and a hold")
		return
	}
	b := &binding{wish: wish.ID, asked: wish.Statement, hold: hold.ID, rset: h.RSet, term: h.Term(), commitBy: h.CommitBy, pool: lease.PoolSharp,
		charge: h.RSet, starts: h.From}
	if f.Allotted != nil { // nothing that is signed says it
		b.starts = max(b.starts, f.Allotted.Starts)
		if late := b.starts - max(h.From, f.At); late > o.cfg.Lead {
			o.fail("a lease starts %d s late, and the capacity's lead is %d s", late, o.cfg.Lead)
		} else if late > 0 {
			o.cfg.Sight("late starts")
		}
	}
	var request lease.Request
	switch st := wish.Statement.(type) {
	case *lease.Redeem:
		b.redeem, b.replaces, request = st, st.Replaces, st.Request
	case *lease.Ask:
		b.pool, b.replaces, request = st.Pool, st.Replaces, st.Request
		b.alone = st.Alone != 0
	}
	for _, before := range o.bindings {
		other := before.asked
		var q lease.Request
		switch st := other.(type) {
		case *lease.Redeem:
			q = st.Request
		case *lease.Ask:
			q = st.Request
		}
		if other.Kind() == wish.Kind() && other.By() == wish.By() && q == request {
			o.fail("request %x of %s was granted twice", request, wish.By().Short())
		}
	}
	o.bindings = append(o.bindings, b)
	o.bound[hold.ID] = b
}

// sight counts what a revoke shows.
func (o *Oracle) sight(b *binding, owed lease.Term) {
	o.cfg.Sight("revokes of what runs")
	if b.pool == lease.PoolShare {
		o.cfg.Sight("revokes of what is lent")
	}
	if owed.Until > b.term.Until {
		o.cfg.Sight("revokes across a renewal")
	}
	if old := o.bound[b.replaces]; old != nil && !old.ended {
		o.cfg.Sight("revokes of a renewal to come")
	}
}

// promised is where the sliver of b would end, had this step not announced anything.
func (o *Oracle) promised(b *binding) int64 {
	if b.endAt != 0 && b.endIn != o.steps && b.endAt < b.term.Until {
		return b.endAt
	}
	for _, heir := range o.bindings {
		if heir.replaces == b.lease && !heir.lease.IsZero() && !heir.ended {
			return max(b.term.Until, o.promised(heir))
		}
	}
	return b.term.Until
}

// graces: no sliver ends before the grace of a lease that the node revoked, unless
// its holder has it end.
func (o *Oracle) graces(live []*binding, now int64) {
	for _, f := range o.floors {
		for at := max(f.From, now); at < f.Until; at++ {
			if !slices.ContainsFunc(live, func(b *binding) bool { return b.sliver == f.sliver && !b.lease.IsZero() && b.covers(at) }) {
				o.fail("sliver %s has nothing to run under at %d, and by the grace of what was revoked runs to %d", f.sliver.Short(), at-o.cfg.Epoch, f.Until-o.cfg.Epoch)
			}
		}
	}
	o.floors = slices.DeleteFunc(o.floors, func(f floor) bool { return f.Until <= now })
}
