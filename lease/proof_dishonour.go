// SPDX-License-Identifier: Apache-2.0

package lease

import "fmt"

// grace holds P21: a revoke that takes effect sooner than the lease says. What
// the lease had left must be worth taking away.
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

func (p Proof) refused() (Verdict, error)  { return Verdict{}, ErrKind }
func (p Proof) unfilled() (Verdict, error) { return Verdict{}, ErrKind }
