// SPDX-License-Identifier: Apache-2.0

package lease

import "cmp"

// Anybody can make proofs that hold, against keys of its own and about nodes that
// never were, and it costs nothing. So what a ledger keeps, when it cannot keep
// all, is ordered by what cannot be had for nothing: what the accused has here.
// Between equals nothing that a stranger chooses (a term, a hash) wins a place
// from one that is there: who comes late to a full ledger must concern it more,
// or take the place of one of a crowd.

// Concern is how much a proof matters to this node.
type Concern uint8

const (
	// ConcernNone: the accused has nothing here.
	ConcernNone Concern = iota
	// ConcernWish: it has what anybody gets who asks, or a ticket that was passed
	// on to it.
	ConcernWish
	// ConcernTicket: this node gave it a ticket.
	ConcernTicket
	// ConcernHere: the promise was one of this node's capacity, or its own.
	ConcernHere
)

// Concern returns how much a proof of that verdict matters as the books stand.
func (l *Ledger) Concern(v Verdict) Concern {
	if v.Node == l.node {
		return ConcernHere
	}
	if l.guests[v.Principal] > 0 {
		return ConcernTicket
	}
	if a := l.holders[v.Principal]; l.bearers[v.Principal] > 0 || a != nil && (a.asked > 0 || a.holds > 0 || len(a.load) > 0) {
		return ConcernWish
	}
	return ConcernNone
}

// bear counts the tickets that are kept by their holders.
func (l *Ledger) bear(k *claimBook, by int) {
	if k.up == nil {
		return
	}
	count := l.bearers
	if k.up.up == nil {
		count = l.guests
	}
	if count[k.holder] += by; count[k.holder] == 0 {
		delete(count, k.holder)
	}
}

// proofRank is what decides who goes first; the lower it is the sooner.
type proofRank struct {
	useful  bool
	concern Concern
	near    bool // its term ends within that of an ordinary capacity
	over    int  // by how many its source has more than MaxProofsOfSource
	age     int  // the greater, the longer it is kept
}

func (a proofRank) compare(b proofRank) int {
	first := func(x, y bool) int {
		switch {
		case x == y:
			return 0
		case y:
			return -1
		}
		return 1
	}
	return cmp.Or(first(a.useful, b.useful), cmp.Compare(a.concern, b.concern), first(a.near, b.near),
		cmp.Compare(b.over, a.over), cmp.Compare(a.age, b.age))
}

// leastProof is the first to go of those that are kept and a new one, which may
// be nil or one of them. It asks nothing but the state that the facts rebuild, at
// ledger time, so that the same one goes when they are taken back.
func (l *Ledger) leastProof(fresh *proofKept) (least *proofKept) {
	type source struct {
		who     Principal
		concern Concern
	}
	list := l.byProof()
	if fresh != nil && l.proofs[fresh.id] == nil {
		list = append(list, fresh)
	}
	crowds := make(map[source]int)
	for _, x := range list {
		crowds[source{x.source, l.Concern(x.verdict)}]++
	}
	var lowest proofRank
	for i, x := range list {
		c := l.Concern(x.verdict)
		rank := proofRank{useful: l.useful(i, list, c == ConcernNone), concern: c, near: x.verdict.Term.Until <= l.now+capacityTerm,
			over: max(0, crowds[source{x.source, c}]-MaxProofsOfSource), age: len(list) - i}
		if least == nil || rank.compare(lowest) < 0 {
			least, lowest = x, rank
		}
	}
	return least
}

// useful reports whether the proof at i, of a list by age, has an effect that none
// of the others has. Of several against one principal that is the one that shuns
// it longest, and of a stranger the oldest: it could go on for ever proving that it
// lied for a day longer. What was promised of this node is attached to refusals,
// and counts by itself.
func (l *Ledger) useful(i int, list []*proofKept, stranger bool) bool {
	v := list[i].verdict
	switch {
	case v.Node == l.node:
		return true
	case tooEarly(v, l.now):
		return false
	}
	for k, x := range list {
		o := x.verdict
		if k == i || o.Principal != v.Principal || o.Kind.Conflict() != v.Kind.Conflict() || tooEarly(o, l.now) {
			continue
		}
		if o.Term.Until > v.Term.Until && !stranger || k < i && (stranger || o.Term.Until == v.Term.Until) {
			return false
		}
	}
	return true
}

// tooEarly reports whether a proof is about terms so far ahead that nobody can
// hold one that is in force: whoever makes such promises to itself would keep
// its places for ever.
func tooEarly(v Verdict, now int64) bool { return v.Term.From > now+MaxTerm }

// roomForProof reports whether a new proof would stay: what would be dropped at
// once is not written down.
func (l *Ledger) roomForProof(x *proofKept) bool {
	return len(l.proofs) < MaxProofs || l.leastProof(x) != x
}
