// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"crypto/sha256"
	"slices"

	"croft/lease"
)

// The oracle knows what binds the node from the journal's signed bytes alone: a
// hold until its fuse or its lease, a lease until its end. It adds up instant by
// instant, without calendars.

// binding is one granted wish as its statements say.
type binding struct {
	wish       lease.ID
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
	charge     lease.RSet // of the pool: all of it, if nobody else may be there
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

func digest(b []byte) lease.Digest { return sha256.Sum256(b) }

// follow reads one durable fact.
func (w *world) follow(f lease.Fact) {
	b := w.bound[f.Claim]
	switch f.K {
	case lease.FactHeld:
		w.held1(f)
	case lease.FactCommitted:
		o := w.see(f.Signed)
		st := o.Statement.(*lease.Lease)
		b.lease, b.activateBy, b.grace, b.sliver = o.ID, st.ActivateBy, int64(st.Grace), o.ID
		if !st.Sliver.IsZero() {
			b.sliver = st.Sliver
		}
		w.bound[o.ID] = b
		if old := w.bound[st.Replaces]; old != nil && !st.Replaces.IsZero() {
			old.term.Until = min(old.term.Until, st.From)
		}
	case lease.FactActivated:
		b.activateBy = 0
	case lease.FactAnnounced:
		at := f.At
		switch st := w.see(f.Signed).Statement.(type) {
		case *lease.Close:
			at = max(at, st.At)
			w.floors = slices.DeleteFunc(w.floors, func(f floor) bool { return f.sliver == b.sliver }) // its holder's own will
		case *lease.Revoke:
			at = max(at, st.At)
			if !b.lease.IsZero() && b.activateBy == 0 {
				t := lease.Term{From: max(f.At, b.starts), Until: min(f.At+b.grace, w.promised(b))}
				w.floors = append(w.floors, floor{b.sliver, t})
				w.sight(b, t)
			}
		}
		b.endIn = w.steps
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

func (w *world) held1(f lease.Fact) {
	wish, hold := w.see(f.Wish), w.see(f.Signed)
	h := hold.Statement.(*lease.Hold)
	b := &binding{wish: wish.ID, hold: hold.ID, rset: h.RSet, term: h.Term(), commitBy: h.CommitBy, pool: lease.PoolSharp,
		charge: h.RSet, starts: h.From}
	if f.Allotted != nil { // nothing that is signed says it
		b.starts = max(b.starts, f.Allotted.Starts)
		if late := b.starts - max(h.From, f.At); late > notice {
			w.fail("a lease starts %d s late, and the capacity's lead is %d s", late, notice)
		} else if late > 0 {
			w.sights["late starts"]++
		}
	}
	var request lease.Request
	switch st := wish.Statement.(type) {
	case *lease.Redeem:
		b.redeem, b.replaces, request = st, st.Replaces, st.Request
	case *lease.Ask:
		b.pool, b.replaces, request = st.Pool, st.Replaces, st.Request
		if st.Alone != 0 {
			b.charge = capacity()
		}
	}
	for _, o := range w.bindings {
		other := w.signed[o.wish].Statement
		var q lease.Request
		switch st := other.(type) {
		case *lease.Redeem:
			q = st.Request
		case *lease.Ask:
			q = st.Request
		}
		if other.Kind() == wish.Kind() && other.By() == wish.By() && q == request {
			w.fail("request %x of %s was granted twice", request, wish.By().Short())
		}
	}
	w.bindings = append(w.bindings, b)
	w.bound[hold.ID] = b
}

// sight counts what a revoke shows.
func (w *world) sight(b *binding, owed lease.Term) {
	w.sights["revokes of what runs"]++
	if b.pool == lease.PoolShare {
		w.sights["revokes of what is lent"]++
	}
	if owed.Until > b.term.Until {
		w.sights["revokes across a renewal"]++
	}
	if old := w.bound[b.replaces]; old != nil && !old.ended {
		w.sights["revokes of a renewal to come"]++
	}
}

// promised is where the sliver of b would end, had this step not announced anything.
func (w *world) promised(b *binding) int64 {
	if b.endAt != 0 && b.endIn != w.steps && b.endAt < b.term.Until {
		return b.endAt
	}
	for _, o := range w.bindings {
		if o.replaces == b.lease && !o.lease.IsZero() && !o.ended {
			return max(b.term.Until, w.promised(o))
		}
	}
	return b.term.Until
}

// graces: no sliver ends before the grace of a lease that the node revoked, unless
// its holder has it end.
func (w *world) graces(live []*binding, now int64) {
	for _, f := range w.floors {
		for at := max(f.From, now); at < f.Until; at++ {
			if !slices.ContainsFunc(live, func(b *binding) bool { return b.sliver == f.sliver && !b.lease.IsZero() && b.covers(at) }) {
				w.fail("sliver %s has nothing to run under at %d, and by the grace of what was revoked runs to %d", f.sliver.Short(), at-epoch, f.Until-epoch)
			}
		}
	}
	w.floors = slices.DeleteFunc(w.floors, func(f floor) bool { return f.Until <= now })
}

// check holds the invariants at the ledger's time.
func (w *world) check() {
	now := w.l.Now()
	if last := [2]int64{int64(len(w.journal)), now}; w.checked == last {
		return // nothing was decided, and no time has passed
	} else {
		w.checked = last
	}
	var live []*binding
	for _, b := range w.bindings {
		if b.ended {
			continue
		}
		live = append(live, b)
		w.notLate(b, now) // 2
	}
	w.graces(live, now)
	pools := w.l.Pools()
	for _, at := range w.instants(live, max(now, epoch)) {
		w.withinPools(pools, live, at) // 1
		w.withinClaims(live, at)       // 3
	}
	w.oneInSlot(live)
	w.sameAsLedger(live)
}

// instants lists when to look: whenever something that binds begins or ends, for
// between those nothing changes, and now and then at every second, lest the ledger
// say otherwise.
func (w *world) instants(live []*binding, now int64) (list []int64) {
	const last = epoch + horizon + 20
	if w.steps%8 == 0 {
		for at := now; at < last; at++ {
			list = append(list, at)
		}
		return list
	}
	list = append(list, now, last)
	for _, b := range live {
		for _, at := range []int64{b.term.From, b.starts, b.term.Until, b.endAt} {
			if at > now && at < last {
				list = append(list, at)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// notLate: nothing lives beyond its instant, and the ledger asks to be woken at it.
func (w *world) notLate(b *binding, now int64) {
	due := b.term.Until
	if b.lease.IsZero() {
		due = min(due, b.commitBy)
	} else if b.activateBy != 0 {
		due = min(due, b.activateBy)
	}
	if b.endAt != 0 {
		due = min(due, b.endAt)
	}
	if due <= now {
		w.fail("at %d this still binds, and was due at %d: hold %s lease %s", now-epoch, due-epoch, b.hold.Short(), b.lease.Short())
	}
	if wake, ok := w.l.NextWake(); !ok || wake.Unix() > due {
		w.fail("at %d the next wake is %v, but hold %s lease %s is due at %d", now-epoch, wake, b.hold.Short(), b.lease.Short(), due-epoch)
	}
}

// load adds up what is drawn at one instant; a replacement that is only held costs
// no more than the rise above what it replaces. An announced end frees the time
// after it at once.
func (w *world) load(live []*binding, at int64, counts func(*binding) bool) (sum lease.RSet) {
	for _, b := range live {
		if !counts(b) || !b.covers(at) {
			continue
		}
		amount := b.rset
		if old := w.replaced(b); old != nil && old.covers(at) && counts(old) {
			amount = amount.Minus(old.rset)
		}
		sum = sum.Plus(amount)
	}
	return sum
}

// booked is the same of what a pool is charged: only from when there is room, and
// a rise only over what is of that pool.
func (w *world) booked(live []*binding, at int64, pool lease.Pool) (sum lease.RSet) {
	for _, b := range live {
		if b.pool != pool || !b.covers(at) || at < b.starts {
			continue
		}
		amount := b.charge
		if old := w.replaced(b); old != nil && old.pool == pool && old.covers(at) && at >= old.starts {
			amount = amount.Minus(old.charge)
		}
		sum = sum.Plus(amount)
	}
	return sum
}

// replaced is the lease that b, a hold, is to replace.
func (w *world) replaced(b *binding) *binding {
	if old := w.bound[b.replaces]; b.lease.IsZero() && old != nil && !old.ended {
		return old
	}
	return nil
}

func (b *binding) covers(at int64) bool { return b.term.Covers(at) && (b.endAt == 0 || at < b.endAt) }

// withinPools: nothing is promised twice. What tickets have not drawn may be lent:
// those pools have together what they have.
func (w *world) withinPools(pools []lease.PoolRule, live []*binding, at int64) {
	var lent, lending lease.RSet
	for _, rule := range pools {
		sum := w.booked(live, at, rule.Pool)
		if rule.Pool == lease.PoolSharp || rule.Borrow {
			lent, lending = lent.Plus(sum), lending.Plus(rule.Capacity)
		}
		if rule.Borrow {
			sum[lease.Pids] = 0 // as much as the others leave
		}
		if !sum.Within(rule.Capacity) {
			w.fail("pool %s at %d: %s of %s are promised", rule.Pool, at-epoch, sum, rule.Capacity)
		}
		if rule.Borrow {
			continue
		}
		if free := w.l.Free(rule.Pool, lease.Term{From: at, Until: at + 1}); free != rule.Capacity.Minus(sum) {
			w.fail("pool %s at %d: the calendar says %s are free, brute force %s", rule.Pool, at-epoch, free, rule.Capacity.Minus(sum))
		}
	}
	if !lent.Within(lending) {
		w.fail("at %d: %s of %s are drawn and lent", at-epoch, lent, lending)
	}
}

// withinClaims: no claim is drawn beyond its rset by what stands below it.
func (w *world) withinClaims(live []*binding, at int64) {
	for id := range w.above(live) {
		_, s, _ := w.claim(id)
		sum := w.load(live, at, func(b *binding) bool {
			return b.redeem != nil && w.below(b.redeem.Parent, id)
		})
		if !sum.Within(s) {
			w.fail("claim %s of %s is drawn by %s at %d", id.Short(), s, sum, at-epoch)
		}
	}
}

// oneInSlot: per slot and instant one lease is active, and one is held at most
// that is to replace it.
func (w *world) oneInSlot(live []*binding) {
	for i, a := range live {
		for _, b := range live[:i] {
			if a.redeem == nil || b.redeem == nil || a.redeem.Parent != b.redeem.Parent || a.redeem.Slot != b.redeem.Slot {
				continue
			}
			until := b.term.Until
			if b.endAt != 0 {
				until = min(until, b.endAt)
			}
			if a.term.From < until && b.term.From < a.term.Until && a.replaces != b.lease {
				w.fail("slot %d of %s has hold %s and hold %s at once", a.redeem.Slot, a.redeem.Parent.Short(), b.hold.Short(), a.hold.Short())
			}
		}
	}
}

// above returns the claims on the paths of all redeems.
func (w *world) above(live []*binding) map[lease.ID]bool {
	all := map[lease.ID]bool{}
	for _, b := range live {
		if b.redeem == nil {
			continue
		}
		for id := b.redeem.Parent; !id.IsZero(); id, _, _ = w.claim(id) {
			all[id] = true
		}
	}
	return all
}

func (w *world) below(id, top lease.ID) bool {
	for ; !id.IsZero(); id, _, _ = w.claim(id) {
		if id == top {
			return true
		}
	}
	return false
}

// claim returns a claim's parent, rset and term.
func (w *world) claim(id lease.ID) (parent lease.ID, s lease.RSet, t lease.Term) {
	switch st := w.signed[id].Statement.(type) {
	case *lease.Ticket:
		return st.Parent, st.RSet, st.Term()
	case *lease.Capacity:
		return lease.ID{}, st.RSet, st.Term()
	}
	return lease.ID{}, lease.RSet{}, lease.Term{}
}

// sameAsLedger: what the ledger says binds it is what its journal says.
func (w *world) sameAsLedger(live []*binding) {
	var want, got []lease.ID
	for _, b := range live {
		want = append(want, b.hold)
	}
	for _, e := range w.l.Leases() {
		if e.State.Live() {
			got = append(got, e.Hold)
		}
	}
	compare := func(a, b lease.ID) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(want, compare)
	slices.SortFunc(got, compare)
	if !slices.Equal(want, got) {
		w.fail("the journal binds %d, the ledger says %d", len(want), len(got))
	}
}
