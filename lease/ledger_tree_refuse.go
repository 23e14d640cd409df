// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"cmp"
	"slices"
)

// full refuses a redeem that does not fit x, a claim on its path, at an instant.
// If a conflict on the path is to blame, it is attached, wherever it is;
// otherwise what fills x is.
func (l *Ledger) full(w *want, old *booking, x *claimBook, r Resource, at int64) *Refusal {
	l.testify(w)
	if proof, v, ok := l.conflictOn(w); ok {
		refusal := refuse(OverIssued, ReasonNone, "%s sold a slot of claim %s twice", v.Principal.Short(), v.About.Short())
		if v.Kind == ProofOver {
			refusal = refuse(OverIssued, ReasonNone, "%s: %s promised %s of claim %s, and may %s", v.Resource, v.Principal.Short(),
				v.Weighed.Format(v.Resource), v.About.Short(), v.Limit.Format(v.Resource))
		}
		refusal.About, refusal.Attachment = v.About, proof
		return refusal
	}
	refusal := &Refusal{Sort: Oversubscribed}
	if x == w.leaf {
		refusal.Sort = Exhausted
	}
	load := x.draws.peak(Term{at, at + 1})[r]
	refusal.Text = refuse(0, 0, "%s: %s of the %s of %s %s are drawn at %s, %s is wished", r, r.Format(load), r.Format(x.rset[r]),
		x.Kind(), x.ID.Short(), unix(at), r.Format(w.rset[r])).Text
	refusal.About, refusal.Resource, refusal.Instant = x.ID, r, at
	if f := x.filling(w, old, r, at); f != nil {
		if b := f.Bytes(); len(b) <= MaxFilling && len(f) <= MaxFillingEntries {
			refusal.Attachment = b
		}
	}
	return refusal
}

// filling shows what fills k at an instant so that w does not fit: as few holds
// and leases as do. A lease and the hold that is to replace it count once, at
// their maximum, and what w replaces does not count.
func (k *claimBook) filling(w *want, old *booking, r Resource, at int64) Filling {
	var fill []*booking
	for _, b := range k.bookings() {
		if b == old || b.last() <= at || b.term.From > at {
			continue
		}
		if other := b.partner(); other != nil && k.on(other.leaf) && other.span().Covers(at) && other.fills(b, r) {
			continue
		}
		fill = append(fill, b)
	}
	slices.SortFunc(fill, func(a, b *booking) int {
		return cmp.Or(cmp.Compare(b.rset[r], a.rset[r]), bytes.Compare(a.id[:], b.id[:]))
	})
	sum := w.rset[r]
	for i, b := range fill {
		if sum += b.rset[r]; sum > k.rset[r] {
			f := make(Filling, i+1)
			for j, b := range fill[:i+1] {
				f[j] = b.evidence(k)
			}
			return f
		}
	}
	return nil
}

// partner is the lease that b, a hold, is to replace, or the hold that is to
// replace b.
func (b *booking) partner() *booking {
	if b.old != nil && b.state == Held {
		return b.old
	}
	if b.heir != nil && b.heir.state == Held {
		return b.heir
	}
	return nil
}

// fills reports whether b counts, and not other, of the two that run as one.
func (b *booking) fills(other *booking, r Resource) bool {
	return b.rset[r] > other.rset[r] || b.rset[r] == other.rset[r] && b == other.old
}

// evidence lists the statements below k that lead to b, and the node's answer.
func (b *booking) evidence(k *claimBook) (list [][]byte) {
	for x := b.leaf; x != k; x = x.up {
		list = append(list, x.bytes)
	}
	slices.Reverse(list)
	list = append(list, b.bytes)
	if b.lease.IsZero() {
		return append(list, b.holdBytes)
	}
	return append(list, b.leaseBytes)
}

// conflictOn returns the proof of a conflict about a claim on the path of w
// whose promises collide during its term, the one nearest to w first. Where one
// is kept there may be others; where none is, there are none.
func (l *Ledger) conflictOn(w *want) (proof []byte, v Verdict, ok bool) {
	for x := w.leaf; x != nil; x = x.up {
		known := false
		for _, p := range l.byProof() {
			if p.verdict.About != x.ID || !p.verdict.Kind.Conflict() {
				continue
			}
			if known = true; p.verdict.Term.Overlaps(w.term) {
				return p.bytes, p.verdict, true
			}
		}
		if !known {
			continue
		}
		if found := x.weights.Search(w.term); found != nil {
			proof := found.Proof(x.chain())
			if v, err := proof.Verify(); err == nil {
				return proof.Bytes(), v, true
			}
		}
	}
	return nil, Verdict{}, false
}

// maySign reports whether a refusal is one that the node can stand by: what is
// signed and not borne out is proof against the node.
func (w *want) maySign(r *Refusal) bool {
	if w.op == KindAsk {
		return true // nothing was promised
	}
	switch r.Sort {
	case Exhausted, OverIssued:
		return r.Attachment != nil
	case Oversubscribed:
		for x := w.leaf; x != nil; x = x.up {
			if x.ID == r.About {
				return r.Attachment != nil && x.degree > MinDegree
			}
		}
		return false
	}
	if w.leaf.capacity().degree > MinDegree {
		return true
	}
	if r.Reason == ReasonQuarantine {
		return r.Attachment != nil
	}
	return exempt(r.Reason, &Redeem{Ports: w.ports, Replaces: w.replaces})
}
