// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"

	"croft/lease"
	"croft/lease/purse"
)

// wish picks the tickets to try and has the purse sign under the first.
func (a *Agent) wish(in Wish) {
	p := a.cfg.person(in.By)
	gives := a.candidates(in)
	var err error
	switch over, exceeds := a.live(in.By, in.Term).Plus(in.RSet).Exceeds(p.Most); {
	case p.Most.IsZero():
		err = ErrNobody
	case a.barred(in.By):
		err = ErrQuarantine
	case in.Term.Seconds() <= 0 || in.Term.Seconds() > p.Longest:
		err = fmt.Errorf("%d s: %w: %d s", in.Term.Seconds(), ErrLongest, p.Longest)
	case exceeds:
		err = fmt.Errorf("%s: %w: %s", over, ErrMost, over.Format(p.Most[over]))
	case len(a.pending) >= MaxPending:
		err = ErrBusy
	case len(gives) == 0:
		err = ErrNothing
	}
	if err != nil {
		a.refuse(in, err)
		return
	}
	a.try(&task{wish: &in, to: in.By, rest: gives})
}

func (a *Agent) try(t *task) {
	give := t.rest[0]
	t.rest = t.rest[1:]
	a.sign(t, func(ref uint64) purse.Input {
		give.Ref = ref
		return give
	})
}

func (a *Agent) refuse(in Wish, err error) {
	p := a.cfg.person(in.By)
	a.account.party(p.Name, p.Principal).Refused++
	a.emit(Answer{Ref: in.Ref, Err: err})
	a.emit(Accounted{})
}

// live is what somebody holds of us in a term.
func (a *Agent) live(who lease.Principal, term lease.Term) (sum lease.RSet) {
	for _, h := range a.book.Held() {
		for _, c := range h.Issued {
			if c.Ticket != nil && c.Ticket.Holder == who && c.Term.Overlaps(term) {
				sum = sum.Plus(c.RSet)
			}
		}
	}
	return sum
}

// candidates are the tickets under which a wish may be signed, the one with the
// largest part left first, and those on a node that lately refused somebody last.
func (a *Agent) candidates(in Wish) []purse.Give {
	type choice struct {
		purse.Held
		left  float64
		avoid bool
	}
	var choices []choice
	for _, h := range a.book.Held() {
		if !in.Term.Within(h.Term()) || slices.Contains(in.Not, h.Node) {
			continue
		}
		left := h.Left(in.Term)
		if !in.RSet.Within(left) || h.Free(in.Term) == 0 {
			continue
		}
		choices = append(choices, choice{h, part(left, h.RSet, in.RSet), a.now.Before(a.avoid[h.Node])})
	}
	slices.SortStableFunc(choices, func(x, y choice) int {
		if x.avoid != y.avoid {
			if x.avoid {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(y.left, x.left), bytes.Compare(x.ID[:], y.ID[:]))
	})
	var gives []purse.Give
	for _, c := range choices[:min(len(choices), Tries)] {
		a.last++
		gives = append(gives, purse.Give{Ticket: c.ID, Slot: purse.AnySlot, Holder: in.By, RSet: in.RSet, Term: in.Term,
			Degree: lease.MinDegree, Request: a.request(in, c.ID)})
	}
	return gives
}

// part is how much of what is wished for is left, as a share of the whole: of the
// scarcest resource.
func part(left, whole, wished lease.RSet) float64 {
	least := 1e9 // no budget has so many times its whole
	for r := range wished {
		if wished[r] > 0 && whole[r] > 0 {
			least = min(least, float64(left[r])/float64(whole[r]))
		}
	}
	return least
}

// request names one try of one wish. The instant and the count make it another
// after a restart.
func (a *Agent) request(in Wish, ticket lease.ID) lease.Request {
	sum := sha256.Sum256(fmt.Appendf(nil, "croft/agent/wish/1\n%s %d %d %d %s", in.By, in.Ref, a.now.UnixNano(), a.last, ticket))
	return lease.Request(sum[:16])
}
