// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
)

// proofKept is a proof that the ledger holds against somebody: found in its own
// tree, or brought by [Accuse].
type proofKept struct {
	timer
	id      ID
	bytes   []byte
	verdict Verdict
	names   []ID      // the evidence
	source  Principal // see newProof
	fact    keptFact
}

// convict keeps the proof of a conflict among the children of k and tells of it,
// unless there is one about k already.
func (l *Ledger) convict(k *claimBook, found *Found) {
	if found == nil || slices.ContainsFunc(l.byProof(), func(p *proofKept) bool { return p.verdict.About == k.ID }) {
		return
	}
	proof := found.Proof(k.chain())
	v, err := proof.Verify()
	if err != nil {
		return // it would be worth nothing to anybody
	}
	if l.roomForProof(l.newProof(proof, v, nil)) {
		l.decide(Fact{K: FactProof, Signed: proof.Bytes()})
	}
	l.emit(Proved{Proof: proof.Bytes()})
}

// accuse takes a proof that came from elsewhere. One whose quarantine is over is
// of no more use.
func (l *Ledger) accuse(in Accuse) {
	p, v, err := VerifyProof(in.Proof)
	var refusal *Refusal
	switch {
	case err != nil:
		refusal = refuse(Local, ReasonInvalid, "%v", err)
	case l.proofs[p.ID()] != nil:
	case l.quarantineEnd(v) <= l.now:
		refusal = refuse(Local, ReasonClock, "its term ended at %s, too long ago", unix(v.Term.Until))
	case v.Node != l.node && tooEarly(v, l.now):
		refusal = refuse(Local, ReasonClock, "its term begins at %s, too far ahead", unix(v.Term.From))
	case l.bar == ReasonSpace:
		refusal = refuse(Local, ReasonSpace, "nothing can be written down at present")
	case !l.roomForProof(l.newProof(p, v, nil)):
		refusal = refuse(Local, ReasonBound, "%d proofs are kept that weigh more here, limit %d", len(l.proofs), MaxProofs)
	default:
		l.decide(Fact{K: FactProof, Signed: p.Bytes()})
	}
	l.emit(Answer{Ref: in.Ref, Refusal: refusal})
}

func (l *Ledger) quarantineEnd(v Verdict) int64 { return v.Term.Until + l.cfg.Quarantine }

func (l *Ledger) applyProof(f Fact) error {
	p, v, err := VerifyProof(f.Signed)
	if err != nil {
		return err
	}
	if l.proofs[p.ID()] != nil {
		return nil
	}
	x := l.newProof(p, v, f.Signed)
	x.fact = l.number(f)
	l.proofs[x.id] = x
	l.accused[v.Principal] = append(l.accused[v.Principal], x)
	l.keep(x, l.proofKept(v))
	if len(l.proofs) > MaxProofs {
		l.forgetProof(l.leastProof(nil))
	}
	return nil
}

// newProof returns a proof that is not kept yet. Its source is who can make more
// of the kind without end: the node that it is about, and of this node's own
// promises whoever got the ticket below which one was broken.
func (l *Ledger) newProof(p Proof, v Verdict, bytes []byte) *proofKept {
	x := &proofKept{id: p.ID(), bytes: bytes, verdict: v, source: v.Node}
	for _, b := range p.Evidence {
		if s, err := ParseSigned(b, MaxProof); err == nil { // else it is an attachment
			x.names = append(x.names, s.ID())
		}
	}
	if v.Node == l.node && len(p.Chain) > 1 {
		if _, given, err := storedAs[*Ticket](p.Chain[1]); err == nil {
			x.source = given.Holder
		}
	}
	return x
}

// proofKept is when a proof is forgotten: not before what it stands on, so that
// it is not found again.
func (l *Ledger) proofKept(v Verdict) int64 { return v.Term.Until + max(l.cfg.Quarantine, RequestKept) }

func (l *Ledger) forgetProof(x *proofKept) {
	delete(l.proofs, x.id)
	l.drop(x)
	who := x.verdict.Principal
	rest := slices.DeleteFunc(l.accused[who], func(o *proofKept) bool { return o == x })
	if l.accused[who] = rest; len(rest) == 0 {
		delete(l.accused, who)
	}
}

// byProof returns the proofs that are kept, oldest first.
func (l *Ledger) byProof() []*proofKept {
	list := make([]*proofKept, 0, len(l.proofs))
	for _, p := range l.proofs {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *proofKept) int { return cmp.Compare(a.seq, b.seq) })
	return list
}

// against returns the proof that keeps p in quarantine longest at an instant.
func (l *Ledger) against(p Principal, at int64) (worst *proofKept) {
	for _, x := range l.accused[p] {
		if l.quarantineEnd(x.verdict) > at && (worst == nil || x.at > worst.at) {
			worst = x
		}
	}
	return worst
}

// shun refuses a wish of a principal in quarantine. What was promised by others
// only a conflict can take from it, and not one that this very redeem completes:
// that is judged as it was before the conflict was known. Whoever holds what the
// principal issued goes on.
func (l *Ledger) shun(w *want) *Refusal {
	for _, x := range l.accused[w.by] {
		if l.quarantineEnd(x.verdict) <= l.now || slices.Contains(x.names, w.id) || w.op == KindRedeem && !x.verdict.Kind.Conflict() {
			continue
		}
		return l.inQuarantine(x)
	}
	return nil
}

func (l *Ledger) inQuarantine(x *proofKept) *Refusal {
	p := x.verdict.Principal
	r := refuse(Local, ReasonQuarantine, "%s did not keep its word (%s): nothing new for it until %s", p.Short(), x.verdict.Kind, unix(l.quarantineEnd(x.verdict)))
	r.About, r.Attachment = x.verdict.About, x.bytes
	return r
}

// ProofEntry is one proof that the ledger holds.
type ProofEntry struct {
	ID      ID `json:"id"`
	Verdict `json:"verdict"`
	Since   int64  `json:"since"` // when it came, Unix seconds
	Until   int64  `json:"until"` // when the quarantine ends
	Proof   []byte `json:"proof"`
}

// Proofs returns the proofs that are kept, oldest first.
func (l *Ledger) Proofs() []ProofEntry {
	list := []ProofEntry{}
	for _, p := range l.byProof() {
		list = append(list, ProofEntry{ID: p.id, Verdict: p.verdict, Since: p.fact.At, Until: l.quarantineEnd(p.verdict), Proof: bytes.Clone(p.bytes)})
	}
	return list
}

// Accused reports whether a principal is in quarantine at an instant, in Unix
// seconds.
func (l *Ledger) Accused(p Principal, at int64) bool { return l.against(p, at) != nil }

func (p Proved) String() string { return fmt.Sprintf("proved proof=%s", digestOf(p.Proof)) }
