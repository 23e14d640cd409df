// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"croft/lease"
)

// Labels of the blocks of a dossier.
const (
	answerLabel  = "AUDIT ANSWER"
	witnessLabel = "AUDIT WITNESS"
)

// Dossier is what one needs to judge an answer, and nothing else is needed: what
// nodes assert, proofs that they committed to it, and what witnesses had of their
// logs. It travels as text.
type Dossier struct {
	Answers []OpenedAssertion
	Proofs  []Proof
	Words   []OpenedWitnessed
}

// Text writes the dossier as blocks of text.
func (d Dossier) Text() []byte {
	var b bytes.Buffer
	for _, a := range d.Answers {
		b.Write(lease.ArmourAs(answerLabel, a.Bytes))
	}
	for _, p := range d.Proofs {
		b.Write(Armour(p))
	}
	for _, w := range d.Words {
		b.Write(lease.ArmourAs(witnessLabel, w.Bytes))
	}
	return b.Bytes()
}

// ParseDossier reads the blocks in a text of at most MaxProofText bytes; what
// stands around them is passed over. Signatures of answers and words are checked,
// proofs are not verified. It returns what [OpenHead] and [ReadProof] do, and
// lease.ErrSyntax where there is no block at all.
func ParseDossier(text []byte) (d Dossier, err error) {
	found := 0
	each := func(label string, take func([]byte) error) {
		if err != nil || len(text) <= MaxProofText && !strings.Contains(string(text), "-----BEGIN CROFT "+label+"-----") {
			return
		}
		var blocks [][]byte
		if blocks, err = lease.ParseArmourAs(label, text, MaxProofText); err != nil {
			return
		}
		found += len(blocks)
		for i, b := range blocks {
			if err = take(b); err != nil {
				err = fmt.Errorf("%s, block %d: %w", strings.ToLower(label), i+1, err)
				return
			}
		}
	}
	each(answerLabel, func(b []byte) error {
		a, err := OpenAssertion(b)
		d.Answers = append(d.Answers, a)
		return err
	})
	each(proofLabel, func(b []byte) error {
		p, err := ReadProof(b)
		d.Proofs = append(d.Proofs, p)
		return err
	})
	each(witnessLabel, func(b []byte) error {
		w, err := OpenWitnessed(b)
		d.Words = append(d.Words, w)
		return err
	})
	if err == nil && found > MaxBlocks {
		err = fmt.Errorf("%d blocks, limit %d: %w", found, MaxBlocks, lease.ErrTooBig)
	}
	if err == nil && found == 0 {
		err = fmt.Errorf("no block of an answer, proof or witness: %w", lease.ErrSyntax)
	}
	return d, err
}

// Judgement is what a dossier shows.
type Judgement struct {
	Proofs  []JudgedProof
	Answers []JudgedAnswer
	Words   []JudgedWord
	Forks   []*Fork // that the heads and proofs make together, each proof by itself
}

// JudgedProof is one proof and what it shows, or why it shows nothing.
type JudgedProof struct {
	Proof Proof
	Shown Shown
	Err   error
}

// JudgedAnswer is one answer beside what the node is proved to have committed to.
type JudgedAnswer struct {
	OpenedAssertion
	Found   Finding  // by rows and tenures that are proved
	Unshown []string // slices that are asserted, and nothing shows it
	Unsaid  []string // slices that are proved to fit, and are not asserted
}

// JudgedWord is a witness's word and what it bears out.
type JudgedWord struct {
	OpenedWitnessed
	// Joined: its head and the heads of all inclusions of the same node are shown
	// to be of one log.
	Joined bool
	// Covers: the segments of the inclusions that its head has, so that the node
	// cannot have written them after the witness had it.
	Covers []uint64
}

// Holds reports whether everything that was brought holds, and nothing of it
// contradicts the rest.
func (j Judgement) Holds() bool {
	ok := len(j.Forks) == 0
	for _, p := range j.Proofs {
		ok = ok && p.Err == nil && p.Shown.Kind != ProofFork
	}
	for _, a := range j.Answers {
		ok = ok && len(a.Unsaid) == 0
	}
	return ok
}

// Verdict puts all answers together.
func (j Judgement) Verdict() Verdict {
	answers := make([]Assertion, len(j.Answers))
	for i, a := range j.Answers {
		answers[i] = a.Assertion
	}
	return Combine(answers)
}

// Judge verifies everything and holds it together. It needs nothing else: no
// clock, no key, no network.
func (d Dossier) Judge() Judgement {
	var j Judgement
	var heads []OpenedHead
	for _, p := range d.Proofs {
		s, err := p.Verify()
		j.Proofs = append(j.Proofs, JudgedProof{p, s, err})
		if err == nil {
			heads = append(heads, s.Head)
			if s.Kind != ProofInclusion {
				heads = append(heads, s.Next)
			}
		}
	}
	for _, w := range d.Words {
		heads = append(heads, w.Head)
	}
	j.forks(heads)
	for _, a := range d.Answers {
		j.Answers = append(j.Answers, j.answer(a))
	}
	for _, w := range d.Words {
		j.Words = append(j.Words, j.word(w))
	}
	return j
}

// forks finds two logs of one node among heads and inclusions, where no proof says so.
func (j *Judgement) forks(heads []OpenedHead) {
	accused := map[lease.Principal]bool{}
	for _, p := range j.Proofs {
		if p.Err == nil && p.Shown.Kind == ProofFork {
			accused[p.Shown.Head.Node] = true
		}
	}
	for i, a := range heads {
		for _, b := range heads[:i] {
			if f, ok := ForkOfHeads(a, b); ok && !accused[a.Node] {
				accused[a.Node] = true
				j.Forks = append(j.Forks, f)
			}
		}
	}
	for i, p := range j.Proofs {
		a, ok := p.Proof.(*Inclusion)
		for _, q := range j.Proofs[:i] {
			b, also := q.Proof.(*Inclusion)
			if !ok || !also || p.Err != nil || q.Err != nil || accused[p.Shown.Head.Node] {
				continue
			}
			if f, found := ForkOfInclusions(a, b); found {
				accused[p.Shown.Head.Node] = true
				j.Forks = append(j.Forks, f)
			}
		}
	}
}

// answer joins what the proofs of a node show, as the node should have.
func (j *Judgement) answer(a OpenedAssertion) JudgedAnswer {
	q := a.Question()
	if a.NAT {
		q.Src = anyPort(q.Src)
	}
	var tenures Tenures
	for _, p := range j.inclusions(a.Node) {
		for _, t := range p.Shown.Tenures {
			tenures = tenures.Put(t)
		}
	}
	in := NewInquiry(q, tenures)
	for _, p := range j.inclusions(a.Node) {
		for _, row := range p.Shown.Rows {
			in.Take(row, Ref{Segment: p.Shown.Segment.Number, Closed: true})
		}
	}
	out := JudgedAnswer{OpenedAssertion: a, Found: in.Finding()}
	for _, s := range a.Slices {
		if !slices.Contains(out.Found.Slices, s) {
			out.Unshown = append(out.Unshown, s)
		}
	}
	for _, s := range out.Found.Slices {
		if !slices.Contains(a.Slices, s) && !a.Cut {
			out.Unsaid = append(out.Unsaid, s)
		}
	}
	if len(out.Unsaid) <= a.Withheld { // they are those that it counts without naming them
		out.Unsaid = nil
	}
	return out
}

func (j *Judgement) inclusions(node lease.Principal) (out []JudgedProof) {
	for _, p := range j.Proofs {
		if p.Err == nil && p.Shown.Kind == ProofInclusion && p.Shown.Head.Node == node {
			out = append(out, p)
		}
	}
	return out
}

// word says whether a witness's head and those of the inclusions are of one log:
// whether some head is shown to go on from both.
func (j *Judgement) word(w OpenedWitnessed) JudgedWord {
	out := JudgedWord{OpenedWitnessed: w}
	all := j.inclusions(w.Head.Node)
	out.Joined = len(all) > 0
	for _, p := range all {
		joined := false
		for _, x := range j.after(w.Head.Head) {
			joined = joined || slices.ContainsFunc(j.after(p.Shown.Head.Head), x.same)
		}
		out.Joined = out.Joined && joined
		if n := p.Shown.Segment.Number; joined && n < w.Head.Size && !slices.Contains(out.Covers, n) {
			out.Covers = append(out.Covers, n)
		}
	}
	slices.Sort(out.Covers)
	return out
}

// after returns h and every head that is shown to go on from it.
func (j *Judgement) after(h Head) []Head {
	out := []Head{h}
	for i := 0; i < len(out); i++ {
		for _, p := range j.Proofs {
			if p.Err == nil && p.Shown.Kind == ProofConsistency && out[i].same(p.Shown.Head.Head) && !slices.ContainsFunc(out, p.Shown.Next.same) {
				out = append(out, p.Shown.Next.Head)
			}
		}
	}
	return out
}

// same reports whether two heads are of the same log of the same size.
func (h Head) same(o Head) bool { return h.Node == o.Node && h.Size == o.Size && h.Root == o.Root }
