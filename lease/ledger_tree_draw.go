// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"slices"
	"sort"
)

// drawn is what one booking takes through one claim.
type drawn struct {
	from  *claimBook
	spans []span
}

// mayDraw judges a redeem on its whole path: its slot, and then that it fits
// every claim from its ticket up to the capacity.
func (l *Ledger) mayDraw(w *want, old *booking) *Refusal {
	k := w.leaf
	if k.redeems >= MaxRedeems {
		return refuse(Local, ReasonBound, "%d redeems of ticket %s are kept, limit %d", k.redeems, k.ID.Short(), MaxRedeems)
	}
	for _, b := range k.live[w.slot] {
		if b != old && b.span().Overlaps(w.term) {
			return refuse(Local, ReasonSlot, "slot %d has lease %s in that term: name it as replaced, or use another slot", w.slot, b.claim().Short())
		}
	}
	for x := k; x != nil; x = x.up {
		for _, s := range x.rises(w, old) {
			if r, over := x.draws.peak(s.Term).Plus(s.rset).Exceeds(x.rset); over {
				return l.full(w, old, x, r, x.first(s, r))
			}
		}
	}
	return nil
}

// rises returns what w takes through k: its rset during its term, or over what it
// replaces only the rise, if that is drawn through k too.
func (k *claimBook) rises(w *want, old *booking) []span {
	if old == nil || !k.on(old.leaf) {
		return []span{{w.term, w.rset}}
	}
	return skyline{}.raise(old.span(), old.rset, 0).rise(w.term, w.rset)
}

// first returns the first instant of s at which k cannot carry s.
func (k *claimBook) first(s span, r Resource) int64 {
	seconds := sort.Search(int(s.Seconds()), func(i int) bool {
		return k.draws.peak(Term{s.From, s.From + int64(i) + 1})[r]+s.rset[r] > k.rset[r]
	})
	return s.From + int64(seconds)
}

// draw charges b to every claim on its path, as it is now: a hold that is to
// replace a lease at the rise over it, a lease to where it ends.
func (l *Ledger) draw(b *booking) {
	b.undraw()
	for x := b.leaf; x != nil; x = x.up {
		var spans []span
		if b.state == Held {
			spans = x.rises(&b.want, b.old)
		} else if t := (Term{b.term.From, b.last()}); t.Seconds() > 0 {
			spans = []span{{t, b.rset}}
		}
		for _, s := range spans {
			x.draws.add(s)
		}
		b.drawn = append(b.drawn, drawn{x, spans})
	}
}

func (b *booking) undraw() {
	for _, d := range b.drawn {
		for _, s := range d.spans {
			d.from.draws.remove(s)
		}
	}
	b.drawn = nil
}

// last is where b ends as far as is known: at an end that was announced, if that
// comes before its term's.
func (b *booking) last() int64 {
	if b.state == Closing {
		return max(b.term.From, min(b.until, b.endAt))
	}
	return b.until
}

// enter puts a booking into the tree, to stay in its weights for good.
func (l *Ledger) enter(b *booking, o Opened) {
	k := b.leaf
	if k == nil {
		return
	}
	k.weights.Add(o)
	if k.live == nil {
		k.live = make(map[uint8][]*booking)
	}
	k.live[b.slot] = append(k.live[b.slot], b)
	k.redeems++
	l.draw(b)
}

// leave takes what has ended out of the draws.
func (b *booking) leave() {
	b.undraw()
	k := b.leaf
	if k == nil {
		return
	}
	rest := slices.DeleteFunc(k.live[b.slot], func(o *booking) bool { return o == b })
	if k.live[b.slot] = rest; len(rest) == 0 {
		delete(k.live, b.slot)
	}
}

// bookings lists what is drawn through k, by itself and all that stands below.
func (k *claimBook) bookings() (list []*booking) {
	for slot := range uint8(Slots) {
		list = append(list, k.live[slot]...)
	}
	for _, x := range k.below {
		list = append(list, x.bookings()...)
	}
	return list
}
