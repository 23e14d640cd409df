// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"slices"

	"croft/lease"
)

// Check holds the promises against the ledger as it is after a step. The error
// matches ErrBroken; numbers in the comments are of the invariants in
// docs/simulation.md.
func (o *Oracle) Check(l *lease.Ledger) error {
	now := l.Now()
	last := [2]int64{o.facts, now}
	if o.err != nil || o.checked == last {
		return o.err // nothing was decided, and no time has passed
	}
	o.checked = last
	var live []*binding
	for _, b := range o.bindings {
		if b.ended {
			continue
		}
		live = append(live, b)
		o.notLate(l, b, now) // 2
	}
	o.graces(live, now)
	pools := l.Pools()
	for _, at := range o.instants(live, max(now, o.cfg.Epoch)) {
		o.withinPools(l, pools, live, at) // 1
		o.withinClaims(live, at)          // 3
	}
	o.oneInSlot(live)
	o.sameAsLedger(l, live)
	return o.err
}

// instants lists when to look: whenever something that binds begins or ends, for
// between those nothing changes, and now and then at every second, lest the ledger
// say otherwise.
func (o *Oracle) instants(live []*binding, now int64) (list []int64) {
	last := o.cfg.Until
	if last > 0 && o.steps%8 == 0 {
		for at := now; at < last; at++ {
			list = append(list, at)
		}
		return list
	}
	list = append(list, now, max(now, last))
	for _, b := range live {
		for _, at := range []int64{b.term.From, b.starts, b.term.Until, b.endAt} {
			if at > now && (last == 0 || at < last) {
				list = append(list, at)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// notLate: nothing lives beyond its instant, and the ledger asks to be woken at it.
func (o *Oracle) notLate(l *lease.Ledger, b *binding, now int64) {
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
		o.fail("at %d this still binds, and was due at %d: hold %s lease %s", now-o.cfg.Epoch, due-o.cfg.Epoch, b.hold.Short(), b.lease.Short())
	}
	if wake, ok := l.NextWake(); !ok || wake.Unix() > due {
		o.fail("at %d the next wake is %v, but hold %s lease %s is due at %d", now-o.cfg.Epoch, wake, b.hold.Short(), b.lease.Short(), due-o.cfg.Epoch)
	}
}

// load adds up what is drawn at one instant; a replacement that is only held costs
// no more than the rise above what it replaces. An announced end frees the time
// after it at once.
func (o *Oracle) load(live []*binding, at int64, counts func(*binding) bool) (sum lease.RSet) {
	for _, b := range live {
		if !counts(b) || !b.covers(at) {
			continue
		}
		amount := b.rset
		if old := o.replaced(b); old != nil && old.covers(at) && counts(old) {
			amount = amount.Minus(old.rset)
		}
		sum = sum.Plus(amount)
	}
	return sum
}

// booked is the same of what a pool is charged: only from when there is room, and
// a rise only over what is of that pool.
func (o *Oracle) booked(live []*binding, at int64, rule lease.PoolRule) (sum lease.RSet) {
	pool := rule.Pool
	charge := func(b *binding) lease.RSet {
		if b.alone {
			return rule.Capacity
		}
		return b.charge
	}
	for _, b := range live {
		if b.pool != pool || !b.covers(at) || at < b.starts {
			continue
		}
		amount := charge(b)
		if old := o.replaced(b); old != nil && old.pool == pool && old.covers(at) && at >= old.starts {
			amount = amount.Minus(charge(old))
		}
		sum = sum.Plus(amount)
	}
	return sum
}

// replaced is the lease that b, a hold, is to replace.
func (o *Oracle) replaced(b *binding) *binding {
	if old := o.bound[b.replaces]; b.lease.IsZero() && old != nil && !old.ended {
		return old
	}
	return nil
}

func (b *binding) covers(at int64) bool { return b.term.Covers(at) && (b.endAt == 0 || at < b.endAt) }

// withinPools: nothing is promised twice. What tickets have not drawn may be lent:
// those pools have together what they have.
func (o *Oracle) withinPools(l *lease.Ledger, pools []lease.PoolRule, live []*binding, at int64) {
	var lent, lending lease.RSet
	for _, rule := range pools {
		sum := o.booked(live, at, rule)
		if rule.Pool == lease.PoolSharp || rule.Borrow {
			lent, lending = lent.Plus(sum), lending.Plus(rule.Capacity)
		}
		if rule.Borrow {
			for _, r := range o.cfg.Lent {
				sum[r] = 0 // as much as the others leave
			}
		}
		if !sum.Within(rule.Capacity) {
			o.fail("pool %s at %d: %s of %s are promised", rule.Pool, at-o.cfg.Epoch, sum, rule.Capacity)
		}
		if rule.Borrow {
			continue
		}
		if free := l.Free(rule.Pool, lease.Term{From: at, Until: at + 1}); free != rule.Capacity.Minus(sum) {
			o.fail("pool %s at %d: the calendar says %s are free, brute force %s", rule.Pool, at-o.cfg.Epoch, free, rule.Capacity.Minus(sum))
		}
	}
	if !lent.Within(lending) {
		o.fail("at %d: %s of %s are drawn and lent", at-o.cfg.Epoch, lent, lending)
	}
}

// withinClaims: no claim is drawn beyond its rset by what stands below it.
func (o *Oracle) withinClaims(live []*binding, at int64) {
	for id := range o.above(live) {
		_, s, _ := o.claim(id)
		sum := o.load(live, at, func(b *binding) bool {
			return b.redeem != nil && o.below(b.redeem.Parent, id)
		})
		if !sum.Within(s) {
			o.fail("claim %s of %s is drawn by %s at %d", id.Short(), s, sum, at-o.cfg.Epoch)
		}
	}
}

// oneInSlot: per slot and instant one lease is active, and one is held at most
// that is to replace it.
func (o *Oracle) oneInSlot(live []*binding) {
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
				o.fail("slot %d of %s has hold %s and hold %s at once", a.redeem.Slot, a.redeem.Parent.Short(), b.hold.Short(), a.hold.Short())
			}
		}
	}
}

// above returns the claims on the paths of all redeems.
func (o *Oracle) above(live []*binding) map[lease.ID]bool {
	all := map[lease.ID]bool{}
	for _, b := range live {
		if b.redeem == nil {
			continue
		}
		for id := b.redeem.Parent; !id.IsZero(); id, _, _ = o.claim(id) {
			all[id] = true
		}
	}
	return all
}

func (o *Oracle) below(id, top lease.ID) bool {
	for ; !id.IsZero(); id, _, _ = o.claim(id) {
		if id == top {
			return true
		}
	}
	return false
}

// claim returns a claim's parent, rset and term.
func (o *Oracle) claim(id lease.ID) (parent lease.ID, s lease.RSet, t lease.Term) {
	switch st := o.cfg.Claim(id).(type) {
	case *lease.Ticket:
		return st.Parent, st.RSet, st.Term()
	case *lease.Capacity:
		return lease.ID{}, st.RSet, st.Term()
	}
	return lease.ID{}, lease.RSet{}, lease.Term{}
}

// sameAsLedger: what the ledger says binds it is what its journal says.
func (o *Oracle) sameAsLedger(l *lease.Ledger, live []*binding) {
	var want, got []lease.ID
	for _, b := range live {
		want = append(want, b.hold)
	}
	for _, e := range l.Leases() {
		if e.State.Live() {
			got = append(got, e.Hold)
		}
	}
	compare := func(a, b lease.ID) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(want, compare)
	slices.SortFunc(got, compare)
	if !slices.Equal(want, got) {
		o.fail("the journal binds %d, the ledger says %d", len(want), len(got))
	}
}
