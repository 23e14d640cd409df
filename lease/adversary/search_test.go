// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"bytes"
	"cmp"
	"math/big"
	"slices"

	"croft/lease"
)

// The adversary holds all bytes ever signed, and every attachment. It looks for
// conflicts by the rule of the design, instant by instant, and tries every proof
// that it can put together with the verifier that everybody has.

// child is a ticket or redeem under its parent.
type child struct {
	lease.Opened
	slot   uint8
	rset   lease.RSet
	term   lease.Term
	degree uint64
	ticket bool
}

func childOf(o lease.Opened) (parent lease.ID, c child) {
	switch st := o.Statement.(type) {
	case *lease.Ticket:
		return st.Parent, child{o, st.Slot, st.RSet, st.Term(), uint64(st.Degree), true}
	case *lease.Redeem:
		return st.Parent, child{o, st.Slot, st.RSet, st.Term(), 100, false}
	}
	return lease.ID{}, child{}
}

// conflict is what brute force finds under one claim.
type conflict struct {
	kind     lease.ProofKind
	parent   lease.ID
	by       lease.Principal
	resource lease.Resource
	children []child
}

// bruteConflicts is the rule, word for word: two tickets, or a ticket and a
// redeem, in one slot at one instant; or one child for each slot at one instant
// that weigh more than the parent's rset × degree.
func bruteConflicts(parent lease.Opened, children []child) (found []conflict) {
	var holder lease.Principal
	var s lease.RSet
	var degree uint16
	switch st := parent.Statement.(type) {
	case *lease.Capacity:
		holder, s, degree = st.Node, st.RSet, st.Degree
	case *lease.Ticket:
		holder, s, degree = st.Holder, st.RSet, st.Degree
	default:
		return nil
	}
	for at := int64(epoch - 10); at < epoch+horizon+10; at++ {
		running := slices.DeleteFunc(slices.Clone(children), func(c child) bool { return !c.term.Covers(at) })
		for i, a := range running {
			for _, b := range running[:i] {
				if a.slot == b.slot && (a.ticket || b.ticket) {
					found = append(found, conflict{lease.ProofTwice, parent.ID, holder, 0, []child{a, b}})
				}
			}
		}
		for _, r := range []lease.Resource{lease.CPU, lease.Pids} {
			var heaviest [lease.Slots]*child
			for i, c := range running {
				if h := heaviest[c.slot]; h == nil || h.rset[r]*h.degree < c.rset[r]*c.degree {
					heaviest[c.slot] = &running[i]
				}
			}
			sum, limit := new(big.Int), new(big.Int).SetUint64(s[r]*uint64(degree))
			var chosen []child
			for _, c := range heaviest {
				if c != nil {
					sum.Add(sum, new(big.Int).SetUint64(c.rset[r]*c.degree))
					chosen = append(chosen, *c)
				}
			}
			if sum.Cmp(limit) > 0 {
				found = append(found, conflict{lease.ProofOver, parent.ID, holder, r, chosen})
			}
		}
	}
	return found
}

// conflicts searches among the statements that keep says are known.
func (w *world) conflicts(known func(lease.ID) bool) (found []conflict) {
	under := map[lease.ID][]child{}
	var parents []lease.ID
	var capacities []*lease.Capacity
	for _, id := range w.order {
		if !known(id) {
			continue
		}
		o := w.signed[id]
		if c, ok := o.Statement.(*lease.Capacity); ok {
			for _, other := range capacities {
				if c.Tranche == other.Tranche && c.Node == other.Node && c.Term().Overlaps(other.Term()) {
					found = append(found, conflict{kind: lease.ProofCapacity, by: c.Node})
				}
			}
			capacities = append(capacities, c)
		}
		parent, c := childOf(o)
		if parent.IsZero() || !w.verifies(id) {
			continue
		}
		if under[parent] == nil {
			parents = append(parents, parent)
		}
		under[parent] = append(under[parent], c)
	}
	for _, id := range parents {
		found = append(found, bruteConflicts(w.signed[id], under[id])...)
	}
	return found
}

// verifies reports whether the chain down to a claim or redeem holds.
func (w *world) verifies(id lease.ID) bool {
	ok, known := w.sound[id]
	if !known {
		_, err := w.cache.VerifyChain(w.path(id), w.cfg.Key.Principal())
		ok = err == nil
		w.sound[id] = ok
	}
	return ok
}

// path returns the chain down to a claim or redeem.
func (w *world) path(id lease.ID) (chain [][]byte) {
	for !id.IsZero() {
		o, known := w.signed[id]
		if !known {
			return nil
		}
		chain = append(chain, o.Signed.Bytes())
		id, _ = childOf(o)
	}
	slices.Reverse(chain)
	return chain
}

// accuse tries every proof of the six kinds and returns whom each accuses that
// verifies.
func (w *world) accuse() (found []lease.Verdict) {
	try := func(p lease.Proof) {
		v, err := p.Verify()
		if err != nil {
			return
		}
		parsed, err := lease.ParseProof(p.Bytes())
		if err != nil || parsed.ID() != p.ID() {
			w.fail("a proof that verifies does not read back: %v", err)
		}
		found = append(found, v)
	}
	under := map[lease.ID][]child{}
	var parents []lease.ID
	var capacities, leases, revokes, rejects []lease.Opened
	for _, id := range w.order {
		o := w.signed[id]
		switch o.Statement.(type) {
		case *lease.Capacity:
			capacities = append(capacities, o)
		case *lease.Ticket, *lease.Redeem:
			parent, c := childOf(o)
			if under[parent] == nil {
				parents = append(parents, parent)
			}
			under[parent] = append(under[parent], c)
		case *lease.Lease:
			leases = append(leases, o)
		case *lease.Revoke:
			revokes = append(revokes, o)
		case *lease.Reject:
			rejects = append(rejects, o)
		}
	}
	for _, id := range parents {
		// A proof accuses the parent's holder. What mallory did is proved elsewhere.
		if t, ok := w.signed[id].Statement.(*lease.Ticket); !ok || w.honest(t.Holder) {
			w.accuseIssuer(w.path(id), under[id], try)
		}
	}
	for i, a := range capacities {
		for _, b := range capacities[:i] {
			for _, e := range [][]lease.Opened{{a, b}, {b, a}} {
				try(lease.Proof{K: lease.ProofCapacity, Evidence: bytesOf(e)})
			}
		}
	}
	for _, l := range leases {
		for _, r := range revokes {
			try(lease.Proof{K: lease.ProofGrace, Evidence: bytesOf([]lease.Opened{l, r})})
		}
	}
	for _, r := range rejects {
		w.accuseNode(r, revokes, try)
	}
	return found
}

// accuseIssuer tries all pairs and triples of children and the heaviest of each
// slot at each instant.
func (w *world) accuseIssuer(chain [][]byte, children []child, try func(lease.Proof)) {
	slices.SortFunc(children, func(a, b child) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	for i, a := range children {
		for _, b := range children[i+1:] {
			try(lease.Proof{K: lease.ProofTwice, Chain: chain, Evidence: [][]byte{a.Signed.Bytes(), b.Signed.Bytes()}})
		}
	}
	slices.SortStableFunc(children, func(a, b child) int { return cmp.Compare(a.slot, b.slot) })
	over := func(list ...child) {
		p := lease.Proof{K: lease.ProofOver, Chain: chain}
		for _, c := range list {
			p.Evidence = append(p.Evidence, c.Signed.Bytes())
			p.At = max(p.At, c.term.From)
		}
		for _, p.Resource = range []lease.Resource{lease.CPU, lease.Pids} {
			try(p)
		}
	}
	for i, a := range children {
		for j, b := range children[i+1:] {
			over(a, b)
			if len(children) <= 8 {
				for _, c := range children[i+1+j+1:] {
					over(a, b, c)
				}
			}
		}
	}
}

// accuseNode tries a reject with what came with it, and with every revoke.
func (w *world) accuseNode(reject lease.Opened, revokes []lease.Opened, try func(lease.Proof)) {
	r := reject.Statement.(*lease.Reject)
	chain := w.path(r.Parent)
	if chain == nil || w.signed[r.Parent].Kind() != lease.KindRedeem {
		return
	}
	attached := w.attached[r.Attached]
	try(lease.Proof{K: lease.ProofRefused, Chain: chain, Evidence: [][]byte{reject.Signed.Bytes()}})
	try(lease.Proof{K: lease.ProofRefused, Chain: chain, Evidence: [][]byte{reject.Signed.Bytes(), attached}})
	try(lease.Proof{K: lease.ProofUnfilled, Chain: chain, Evidence: [][]byte{reject.Signed.Bytes(), attached}})
	try(lease.Proof{K: lease.ProofUnfilled, Chain: chain, Evidence: [][]byte{reject.Signed.Bytes(), {}}})
	for _, e := range revokes {
		try(lease.Proof{K: lease.ProofUnfilled, Chain: chain, Evidence: [][]byte{reject.Signed.Bytes(), attached, e.Signed.Bytes()}})
	}
	for _, id := range w.order {
		if o := w.signed[id]; o.Kind() == lease.KindClose {
			try(lease.Proof{K: lease.ProofUnfilled, Chain: chain, Evidence: [][]byte{reject.Signed.Bytes(), attached, o.Signed.Bytes()}})
		}
	}
}

func bytesOf(list []lease.Opened) (out [][]byte) {
	for _, o := range list {
		out = append(out, o.Signed.Bytes())
	}
	return out
}
