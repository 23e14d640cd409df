// SPDX-License-Identifier: Apache-2.0

package lease

import "fmt"

// dishonour reads what both proofs about a refusal have: a chain with its
// redeem, and the node's reject of it, signatures and all (P3, P4, P15). It
// returns what such a proof says if it holds.
func (p Proof) dishonour() (chain Chain, reject *Reject, v Verdict, err error) {
	if chain, err = p.join(); err != nil {
		return chain, nil, v, err
	}
	wish, _, ok := chain.Redeem()
	if !ok {
		return chain, nil, v, fmt.Errorf("the chain ends in a %s: %w", chain.Leaf().Kind(), ErrChain)
	}
	answer, err := read(p.Evidence[0])
	if err != nil {
		return chain, nil, v, err
	}
	reject, ok = answer.Statement.(*Reject)
	if !ok {
		return chain, nil, v, fmt.Errorf("a %s refuses nothing: %w", answer.Kind(), ErrKind)
	}
	if err = answers(chain.Leaf(), answer); err == nil {
		err = chain.verify(0, nil)
	}
	if err == nil {
		err = answer.verify()
	}
	v = Verdict{Principal: wish.Node, Node: wish.Node, About: chain.Leaf().ID, Term: wish.Term()}
	if reject.Lacks > 0 {
		v.Resource, v.At = Resource(reject.Lacks-1), reject.Instant
	}
	return chain, reject, v, err
}

// refused judges a refusal for a reason of the node's own, of a redeem of which
// nothing was oversubscribed: P15 to P18.
func (p Proof) refused() (Verdict, error) {
	chain, reject, v, err := p.dishonour()
	if err != nil {
		return Verdict{}, err
	}
	wish, _, _ := chain.Redeem()
	if reject.Sort != Local || chain.Root().Degree != MinDegree {
		return Verdict{}, fmt.Errorf("%s under a capacity of degree %d: %w", reject.Sort, chain.Root().Degree, ErrProofExempt) // P16
	}
	if reject.Reason == ReasonQuarantine && !reject.Attached.IsZero() {
		if len(p.Evidence) != 2 {
			return Verdict{}, fmt.Errorf("without what is attached: %w", ErrProofAttachment) // P18
		}
		if err := named(reject, p.Evidence[1]); err != nil {
			return Verdict{}, err
		}
		if quarantined(wish.Issuer, reject.At, p.Evidence[1]) {
			return Verdict{}, fmt.Errorf("quarantine: %w", ErrProofBorneOut) // P19
		}
		return v, nil
	}
	return v, first(
		unless(len(p.Evidence) == 1, ErrProofShape, "an attachment that decides nothing"), // P2
		unless(!exempt(reject.Reason, wish), ErrProofExempt, "%s", reject.Reason))         // P17
}

// exempt lists the reasons for which a node may refuse what it promised, since
// whoever keeps the rules can come to them.
func exempt(r Reason, wish *Redeem) bool {
	switch r {
	case ReasonClock, ReasonSlot, ReasonBound, ReasonRequest:
		return true
	case ReasonPort:
		for _, p := range wish.Ports {
			if p.Number != 0 {
				return true
			}
		}
	case ReasonState, ReasonUnknown, ReasonClosing:
		return !wish.Replaces.IsZero()
	}
	return false
}

// quarantined reports whether the attachment is a conflict for which p is
// accountable, not too old at the instant to be held against it.
func quarantined(p Principal, at int64, attachment []byte) bool {
	proof, err := ParseProof(attachment)
	if err != nil || !proof.K.Conflict() {
		return false
	}
	v, err := proof.Verify()
	return err == nil && v.Principal == p && at < v.Term.Until+MaxQuarantine
}

// unfilled judges a refusal by what is attached to it: P15, P16, P18 to P20.
func (p Proof) unfilled() (Verdict, error) {
	chain, reject, v, err := p.dishonour()
	if err != nil {
		return Verdict{}, err
	}
	if reject.Sort == Local {
		return Verdict{}, fmt.Errorf("%s attaches nothing that fills: %w", reject.Sort, ErrProofExempt) // P16
	}
	attachment, revokes := p.Evidence[1], p.Evidence[2:]
	if err := named(reject, attachment); err != nil {
		return Verdict{}, err
	}
	if len(revokes) > 0 {
		return v, refuted(chain, reject, attachment, revokes)
	}
	return v, unless(VerifyAttachment(chain, reject, attachment) != nil, ErrProofBorneOut, "%s", reject.Sort) // P19
}

// refuted holds P20: the attachment fills the claim only with leases that the
// node itself had ended, as its revokes show, before it refused. A holder's close
// shows nothing to others: whoever signs it can date it back.
func refuted(chain Chain, reject *Reject, attachment []byte, revokes [][]byte) error {
	if reject.Sort == OverIssued {
		return fmt.Errorf("a conflict is not ended by a revoke: %w", ErrProofRefutation)
	}
	var x fullness
	var draws []draw
	f, err := ParseFilling(attachment)
	if err == nil {
		x, draws, err = fills(chain, reject, f)
	}
	if err != nil {
		return fmt.Errorf("the attachment fails by itself: %w: %w", ErrProofRefutation, err)
	}
	ended := make([]bool, len(draws))
	var before ID
	for i, b := range revokes {
		o, err := read(b)
		if err != nil {
			return fmt.Errorf("refutation %d: %w", i, err)
		}
		at, err := x.ends(o, draws)
		if err == nil && i > 0 {
			err = ordered(before, o.ID)
		}
		if err == nil && ended[at] {
			err = ErrProofDuplicate
		}
		if err == nil {
			err = o.verify()
		}
		if err != nil {
			return fmt.Errorf("refutation %d: %w", i, err)
		}
		before, ended[at] = o.ID, true
	}
	if x.filledBy(draws, ended) == nil {
		return fmt.Errorf("fills it without what was revoked: %w", ErrProofBorneOut)
	}
	for i := range ended { // each of them is needed
		if !ended[i] {
			continue
		}
		ended[i] = false
		if x.filledBy(draws, ended) != nil {
			return fmt.Errorf("a revoke too many: %w", ErrProofRedundant)
		}
		ended[i] = true
	}
	return nil
}

// ends finds the draw that a revoke had ended, at the instant in question and
// before the refusal was said.
func (x fullness) ends(o Opened, draws []draw) (int, error) {
	end, ok := o.Statement.(*Revoke)
	if !ok {
		return 0, fmt.Errorf("a %s: %w", o.Kind(), ErrKind)
	}
	for i, d := range draws {
		if d.answer.ID != end.Claim {
			continue
		}
		return i, first(
			unless(end.Node == x.node, ErrWrongNode, "node %s, want %s", end.Node.Short(), x.node.Short()),
			unless(end.At < x.saidAt && end.Said < x.saidAt && end.At <= x.at, ErrProofRefutation, "takes effect at %s", unix(end.At)))
	}
	return 0, fmt.Errorf("ends %s: %w", end.Claim.Short(), ErrProofRefutation)
}

// grace judges a revoke that takes effect sooner than the lease says: P21. What
// it takes away must be something.
func (p Proof) grace() (Verdict, error) {
	evidence, err := p.read()
	if err != nil {
		return Verdict{}, err
	}
	was, oka := evidence[0].Statement.(*Lease)
	end, okb := evidence[1].Statement.(*Revoke)
	if !oka || !okb {
		return Verdict{}, fmt.Errorf("%s and %s: %w", evidence[0].Kind(), evidence[1].Kind(), ErrKind)
	}
	lost := Term{max(end.At, was.From), was.Until}
	err = first(
		ends(evidence[0].ID, end.Claim, was.Node, end.Node, was.Node, end.Node),
		unless(end.At-end.Said < int64(was.Grace), ErrProofGrace, "%d s, stated %d", end.At-end.Said, was.Grace),
		unless(lost.Seconds() > 0, ErrProofGrace, "takes effect when the lease has ended"))
	if err == nil {
		err = signed(evidence)
	}
	return Verdict{Principal: was.Node, Node: was.Node, About: evidence[0].ID, Term: lost}, err
}
