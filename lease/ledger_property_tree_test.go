// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"slices"
)

// holder is the name of who may issue under a chain.
func (h *history) holder(chain [][]byte) string {
	_, ticket, _ := storedAs[*Ticket](chain[len(chain)-1])
	return nameOf(ticket.Holder)
}

// drawOn is a redeem, mostly within its ticket.
func (h *history) drawOn(who string, chain [][]byte, entries []Entry) Wish {
	_, t, _ := storedAs[*Ticket](chain[len(chain)-1])
	cpu := uint64(h.draw("cpu", 1, int(t.RSet[CPU])+1))
	if h.draw("all", 0, 1) == 0 {
		cpu = t.RSet[CPU]
	}
	return h.redeem(who, chain, uint8(h.draw("slot", 0, 2)), cpu, 0, func(r *Redeem) {
		r.From, r.Until, r.Replaces, _ = h.term(who, entries)
		r.From, r.Until = max(t.From, min(r.From, t.Until-1)), t.Until
		if h.lending {
			r.RSet[Memory] = uint64(h.draw("memory", 0, int(t.RSet[Memory])))
		}
		if h.draw("part", 0, 2) == 0 && r.Until-r.From > 1 {
			r.Until -= int64(h.draw("less", 1, int(r.Until-r.From-1)))
		}
	})
}

// signs is the book of who holds a chain: an honest one does not say what, with
// all that it has said, would be too much.
func (h *history) signs(chain [][]byte, b []byte) bool {
	parent, _ := read(chain[len(chain)-1])
	o, _ := read(b)
	if h.honest {
		c := NewChildren(parent)
		for _, said := range h.books[parent.ID] {
			c.Add(said)
		}
		if c.Add(o) != nil {
			return false
		}
	}
	h.books[parent.ID] = append(h.books[parent.ID], o)
	return true
}

// passOn has a ticket's holder make one out of it, often more than it may.
func (h *history) passOn() {
	chain := h.tickets[h.draw("parent", 0, len(h.tickets)-1)]
	if len(chain) > 4 || len(h.tickets) > 12 {
		return
	}
	id, up, _ := storedAs[*Ticket](chain[len(chain)-1])
	t := &Ticket{K: KindTicket, Issuer: up.Holder, Node: up.Node, Holder: keyOf(people[h.draw("to", 0, len(people)-1)]).Principal(),
		Parent: id, Slot: uint8(h.draw("slot", 0, 3)), RSet: RSet{CPU: uint64(h.draw("cpu", 1, int(up.RSet[CPU])))},
		From: up.From, Until: up.Until, Degree: uint16(h.draw("degree", 100, int(up.Degree)))}
	if h.draw("plain", 0, 2) > 0 {
		t.Degree = 100
	} else if length := int(up.Term().Seconds()); length > 2 {
		t.From += int64(h.draw("from", 0, length/2))
		t.Until -= int64(h.draw("less", 0, length/2-1))
	}
	if b := h.seal(t, keyOf(h.holder(chain))); h.signs(chain, b) {
		h.tickets = append(h.tickets, append(slices.Clone(chain), b))
	}
}

// checkTree holds 3 and 6 of the design: no request is granted twice, no claim
// is drawn beyond its rset, the node promises no more than it may, every
// over-issue among what it keeps is proved, and nothing of it proves anything
// against the node.
func (h *history) checkTree() {
	granted := make(map[requestKey]bool)
	children := make(map[ID]*Children)
	known := make(map[ID]Opened)
	add := func(b []byte) {
		o, _ := read(b)
		c, isChild := childOf(o)
		if isChild && children[c.parent] == nil {
			children[c.parent] = NewChildren(known[c.parent])
		}
		if isChild {
			children[c.parent].Add(o)
		}
		known[o.ID] = o
	}
	for _, f := range h.journal {
		switch f.K {
		case FactCapacity, FactTicket, FactSeen:
			add(f.Signed)
		case FactHeld:
			id, st, _ := stored(f.Wish)
			w, _ := wantOf(id, st, f.Wish)
			if granted[w.key()] {
				h.rt.Fatalf("request %x was granted twice", w.request)
			}
			if granted[w.key()] = true; w.op == KindRedeem {
				add(f.Wish)
			}
		case FactRefused:
			h.checkRefusal(f)
		}
	}
	now := h.l.now
	for _, k := range h.l.claims {
		if k.up == nil && h.l.conflictAbout(k) || k.up != nil && k.holder == h.l.node {
			h.rt.Fatalf("a proof against the node")
		}
		found := children[k.ID] != nil && children[k.ID].Search(Term{now, k.term.Until}) != nil
		if found && k.up == nil {
			h.rt.Fatalf("the node promised too much of capacity %s", k.ID.Short())
		}
		if found && !h.l.conflictAbout(k) {
			h.rt.Fatalf("an over-issue under %s is not proved", k.ID.Short())
		}
		for at := now; at < k.term.Until && at < now+130; at++ {
			var sum RSet
			for _, b := range h.l.byAge() {
				if !b.state.Live() || !k.on(b.leaf) || b.last() <= at || b.term.From > at {
					continue
				}
				amount := b.rset
				if b.state == Held && b.old != nil && k.on(b.old.leaf) && b.old.span().Covers(at) {
					amount = amount.Minus(b.old.rset)
				}
				sum = sum.Plus(amount)
			}
			if load := k.draws.peak(Term{at, at + 1}); load != sum || !sum.Within(k.rset) {
				h.rt.Fatalf("claim %s of %s at %d: draws %s, by brute force %s", k.ID.Short(), k.rset, at, load, sum)
			}
		}
	}
	for _, p := range h.l.Proofs() {
		if _, v, err := VerifyProof(p.Proof); err != nil || v != p.Verdict || v.Principal == h.l.node {
			h.rt.Fatalf("proof %s: %+v %v", p.ID.Short(), v, err)
		}
	}
}

func (l *Ledger) conflictAbout(k *claimBook) bool {
	return slices.ContainsFunc(l.byProof(), func(p *proofKept) bool { return p.verdict.About == k.ID })
}

// checkRefusal has an adversary try to make a proof of a signed refusal.
func (h *history) checkRefusal(f Fact) {
	o, _ := read(f.Wish)
	if o.Kind() != KindRedeem || h.tried[o.ID] {
		return
	}
	h.tried[o.ID] = true
	chain := h.chainOf(f.Wish)
	if chain == nil {
		h.rt.Fatalf("a refusal of a redeem of nothing")
	}
	for _, p := range []Proof{
		{K: ProofRefused, Chain: chain, Evidence: [][]byte{f.Signed}},
		{K: ProofRefused, Chain: chain, Evidence: [][]byte{f.Signed, f.Attached}},
		{K: ProofUnfilled, Chain: chain, Evidence: [][]byte{f.Signed, f.Attached}},
	} {
		if v, err := p.Verify(); err == nil {
			_, reject, _ := storedAs[*Reject](f.Signed)
			h.rt.Fatalf("the node is provable: %+v by %+v", v, reject)
		}
	}
	_, reject, _ := storedAs[*Reject](f.Signed)
	h.sorts[reject.refusal(nil).Code()]++
}

// adversary has all that the node ever signed, and searches it for a proof
// against the node: of a tranche set aside twice, of a revoke without its grace,
// of a refusal that what was revoked before refutes.
func (h *history) adversary() {
	var capacities, leases, revokes [][]byte
	for _, f := range h.journal {
		switch f.K {
		case FactCapacity:
			capacities = append(capacities, f.Signed)
		case FactCommitted:
			leases = append(leases, f.Signed)
		case FactAnnounced:
			if _, st, _ := stored(f.Signed); st.Kind() == KindRevoke {
				revokes = append(revokes, f.Signed)
			}
		}
	}
	try := func(p Proof) {
		if v, err := p.Verify(); err == nil {
			h.rt.Fatalf("the node is provable: %+v", v)
		}
	}
	for _, a := range capacities {
		for _, b := range capacities {
			try(Proof{K: ProofCapacity, Evidence: [][]byte{a, b}})
		}
	}
	for _, end := range revokes {
		for _, of := range leases {
			try(Proof{K: ProofGrace, Evidence: [][]byte{of, end}})
		}
		for _, f := range h.journal {
			if f.K != FactRefused || f.Attached == nil {
				continue
			}
			if chain := h.chainOf(f.Wish); chain != nil {
				try(Proof{K: ProofUnfilled, Chain: chain, Evidence: [][]byte{f.Signed, f.Attached, end}})
			}
		}
	}
}

// chainOf returns the path of a redeem, itself included.
func (h *history) chainOf(wish []byte) [][]byte {
	o, _ := read(wish)
	if r, ok := o.Statement.(*Redeem); ok {
		for _, c := range h.tickets {
			if id, _, _ := stored(c[len(c)-1]); id == r.Parent {
				return append(slices.Clone(c), wish)
			}
		}
	}
	return nil
}
