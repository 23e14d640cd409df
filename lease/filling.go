// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"crypto/sha256"
	"fmt"
	"slices"
)

// A Filling is what a node attaches when it refuses a redeem because a claim X
// on its path is used up: what draws on X at one instant. Each entry holds the
// statements below X down to a redeem, and then the node's hold or lease.
type Filling [][][]byte

// Bytes returns the form that travels.
func (f Filling) Bytes() []byte {
	b := AppendHead(nil, MajorArray, uint64(len(f)))
	for _, entry := range f {
		b = appendList(b, entry)
	}
	return b
}

// ParseFilling reads the form that travels, at most [MaxFilling] bytes, without
// looking at the statements in it: F1.
func ParseFilling(b []byte) (Filling, error) {
	if len(b) > MaxFilling {
		return nil, fmt.Errorf("filling of %d bytes, limit %d: %w", len(b), MaxFilling, ErrTooBig)
	}
	n, rest, err := takeHead(b, MajorArray)
	switch {
	case err != nil:
		return nil, fmt.Errorf("filling: %w", err)
	case n > MaxFillingEntries:
		return nil, fmt.Errorf("filling of %d draws, limit %d: %w", n, MaxFillingEntries, ErrTooBig)
	}
	f := make(Filling, 0, n)
	for range n {
		var entry [][]byte
		if entry, rest, err = takeList(rest, MaxDepth+1); err != nil {
			return nil, fmt.Errorf("draw %d of the filling: %w", len(f), err)
		}
		if len(entry) < 2 {
			return nil, fmt.Errorf("draw %d of the filling has %d statements: %w", len(f), len(entry), ErrSyntax)
		}
		f = append(f, entry)
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("filling: %d bytes too many: %w", len(rest), ErrSyntax)
	}
	return f, nil
}

// VerifyFilling reports whether f bears out a refusal as exhausted or
// oversubscribed: whether it fills the claim that the reject names, so that the
// asker's redeem, the leaf of a chain that verified, had no room. The reject is
// one that verified as the answer. Nil says that it does. It costs a signature
// check for each statement in f, those that entries share once: some 600 at most.
func VerifyFilling(asker Chain, reject *Reject, f Filling) error {
	_, _, err := fills(asker, reject, f)
	return err
}

// fills is VerifyFilling, and returns what was verified.
func fills(asker Chain, reject *Reject, f Filling) (x fullness, draws []draw, err error) {
	if x, err = full(asker, reject); err == nil {
		draws, err = x.draws(f)
	}
	if err == nil {
		err = x.filledBy(draws, nil)
	}
	return x, draws, err
}

// VerifyAttachment reports whether what is attached to a refusal of the sorts
// exhausted, oversubscribed and over-issued bears it out; the reject names the
// attachment by hash. A node that signs only what passes here cannot be shown to
// be dishonourable by what it attached.
func VerifyAttachment(asker Chain, reject *Reject, attachment []byte) error {
	if err := named(reject, attachment); err != nil {
		return err
	}
	switch reject.Sort {
	case Exhausted, Oversubscribed:
		f, err := ParseFilling(attachment)
		if err != nil {
			return err
		}
		return VerifyFilling(asker, reject, f)
	case OverIssued:
		return onPath(asker, attachment)
	}
	return fmt.Errorf("%s: %w", reject.Sort, ErrKind)
}

// named holds P18: the attachment is the one that the reject names.
func named(reject *Reject, attachment []byte) error {
	if reject.Attached.IsZero() {
		return unless(len(attachment) == 0, ErrProofAttachment, "nothing is attached")
	}
	sum := Digest(sha256.Sum256(attachment))
	return unless(sum == reject.Attached, ErrProofAttachment, "%s", sum)
}

// onPath holds F8: a conflict that holds, among the children of a claim of the
// chain or of its capacity with another, in a term that the redeem shares.
func onPath(asker Chain, attachment []byte) error {
	wish, _, ok := asker.Redeem()
	if !ok {
		return fmt.Errorf("the chain ends in a %s: %w", asker.Leaf().Kind(), ErrKind)
	}
	p, err := ParseProof(attachment)
	if err != nil {
		return err
	}
	if !p.K.Conflict() {
		return fmt.Errorf("proof (%s) shows no over-issue: %w", p.K, ErrOffPath)
	}
	v, err := p.Verify()
	if err != nil {
		return err
	}
	on := slices.ContainsFunc(asker.links, func(o Opened) bool { return o.ID == v.About })
	if p.K == ProofCapacity {
		on = slices.ContainsFunc(p.Evidence, func(b []byte) bool { o, err := read(b); return err == nil && o.ID == asker.links[0].ID })
	}
	return first(
		unless(on, ErrOffPath, "under %s", v.About.Short()),
		unless(v.Term.Overlaps(wish.Term()), ErrOffPath, "%s, wished %s", v.Term, wish.Term()))
}

// A fullness is what a reject says: that a claim has no room for the wish.
type fullness struct {
	above  Chain // down to the claim
	claim  claim
	asker  child
	node   Principal
	r      Resource
	at     int64 // the instant
	saidAt int64
}

// full holds F2 and F3.
func full(asker Chain, reject *Reject) (x fullness, err error) {
	if _, _, ok := asker.Redeem(); !ok {
		return x, fmt.Errorf("the chain ends in a %s: %w", asker.Leaf().Kind(), ErrKind)
	}
	x.asker, _ = childOf(asker.Leaf())
	x.node, x.at, x.saidAt = asker.Root().Node, reject.Instant, reject.At
	i := slices.IndexFunc(asker.links, func(o Opened) bool { return o.ID == reject.About })
	leaf := asker.Len() - 2
	if i < 0 || i > leaf {
		return x, fmt.Errorf("%s is not on the path: %w", reject.About.Short(), ErrFillingClaim)
	}
	x.above = Chain{asker.links[:i+1]}
	x.claim, _ = claimOf(x.above.Leaf().Statement)
	switch {
	case reject.Sort == Exhausted && i != leaf:
		return x, fmt.Errorf("exhausted is said of the leaf: %w", ErrFillingClaim)
	case reject.Sort == Oversubscribed && (i == leaf || x.claim.degree == MinDegree):
		return x, fmt.Errorf("oversubscribed is said of a claim above the leaf, of degree above %d: %w", MinDegree, ErrFillingClaim)
	case reject.Lacks == 0:
		return x, fmt.Errorf("names no resource: %w", ErrFillingInstant)
	}
	x.r = Resource(reject.Lacks - 1)
	return x, first(
		unless(x.asker.rset[x.r] > 0, ErrFillingInstant, "no %s was wished", x.r),
		unless(x.asker.term.Covers(x.at), ErrFillingInstant, "%s, wished %s", unix(x.at), x.asker.term))
}

// A draw is one entry of a filling.
type draw struct {
	path   []Opened // below X, the redeem last
	redeem child
	answer Opened
}

// draws reads and verifies the entries: F4 to F6. What entries share is checked
// once.
func (x fullness) draws(f Filling) ([]draw, error) {
	list := make([]draw, len(f))
	for i, entry := range f {
		d, err := x.draw(entry)
		if err == nil {
			err = x.counts(d, list[:i])
		}
		if err != nil {
			return nil, fmt.Errorf("draw %d of the filling: %w", i, err)
		}
		list[i] = d
	}
	checked := map[string]bool{}
	for i, d := range list {
		for _, o := range append(slices.Clone(d.path), d.answer) {
			key := string(o.ID[:]) + string(o.Signed.Sig)
			if checked[key] {
				continue
			}
			if err := o.verify(); err != nil {
				return nil, fmt.Errorf("%s of draw %d of the filling: %w", o.Kind(), i, err)
			}
			checked[key] = true
		}
	}
	return list, nil
}

// draw holds F4, all but the signatures.
func (x fullness) draw(entry [][]byte) (d draw, err error) {
	if len(entry) < 2 {
		return d, fmt.Errorf("%d statements: %w", len(entry), ErrSyntax)
	}
	last := len(entry) - 1
	path, err := x.above.join(entry[:last], x.node, read)
	if err != nil {
		return d, err
	}
	if _, _, ok := path.Redeem(); !ok {
		return d, fmt.Errorf("a %s draws on nothing: %w", path.Leaf().Kind(), ErrKind)
	}
	d.path = path.links[x.above.Len():]
	d.redeem, _ = childOf(path.Leaf())
	if d.answer, err = read(entry[last]); err != nil {
		return d, err
	}
	if d.answer.Kind() == KindReject {
		return d, fmt.Errorf("a reject binds nobody: %w", ErrKind)
	}
	return d, answers(path.Leaf(), d.answer)
}

// counts holds F5 and F6 for a draw beside those before it.
func (x fullness) counts(d draw, others []draw) error {
	same := func(o child) bool { return o.parent == d.redeem.parent && o.slot == d.redeem.slot }
	hold, held := d.answer.Statement.(*Hold)
	return first(
		unless(!same(x.asker) && !slices.ContainsFunc(others, func(o draw) bool { return same(o.redeem) }),
			ErrFillingTwice, "slot %d of %s", d.redeem.slot, d.redeem.parent.Short()),
		unless(d.redeem.term.Covers(x.at), ErrFillingInstant, "%s at %s", d.redeem.term, unix(x.at)),
		unless(!held || hold.CommitBy > x.saidAt, ErrFillingHold, "held to %s, refused at %s", heldTo(hold), unix(x.saidAt)))
}

func heldTo(h *Hold) string {
	if h == nil {
		return ""
	}
	return unix(h.CommitBy)
}

// filledBy holds F7: the draws, but for those that are refuted, and the wish
// exceed the claim.
func (x fullness) filledBy(draws []draw, refuted []bool) error {
	sum := weigh(x.asker.rset[x.r], degreeUnit)
	for i, d := range draws {
		if refuted == nil || !refuted[i] {
			sum = sum.plus(weigh(d.redeem.rset[x.r], degreeUnit))
		}
	}
	limit := weigh(x.claim.rset[x.r], degreeUnit)
	return unless(sum.exceeds(limit), ErrFillingBelow, "%s: %s of %s", x.r, sum.Format(x.r), limit.Format(x.r))
}
