// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"math"

	"croft/lease"
)

// Evidence is a proof that was read: its parts are there, and no signature has been
// looked at.
type Evidence interface {
	// ID is the name under which one is kept: proofs of one name do for one another.
	ID() lease.ID
	// Accused is whom it is against, or zero if only verifying it tells.
	Accused() lease.Principal
	// Shows verifies it.
	Shows() (Shown, error)
}

// Shown is what a proof that holds says, as far as gossip goes by it.
type Shown struct {
	Kind    string
	Accused lease.Principal // who is accountable
	Begins  int64           // Unix seconds: when it begins to matter; 0: it does already
	Ends    int64           // Unix seconds: when it can have no consequence any more; or [Never]
	Verdict lease.Verdict   // of a broken promise; zero for other proofs
}

// Never is the end of what is kept as long as there is room.
const Never int64 = math.MaxInt64

// Past stands for whoever told this node of a proof in an earlier run: no key of
// anybody.
var Past = lease.Principal{2}

// promise is the proof of a broken promise.
type promise struct{ lease.Proof }

func readPromise(b []byte) (Evidence, error) {
	p, err := lease.ParseProof(b)
	return promise{p}, err
}

func (promise) Accused() lease.Principal { return lease.Principal{} }

func (p promise) Shows() (Shown, error) {
	v, err := p.Verify()
	return Broken(v), err
}

// Broken is what the proof of a broken promise shows.
func Broken(v lease.Verdict) Shown {
	return Shown{Kind: v.Kind.String(), Accused: v.Principal, Begins: v.Term.From, Ends: v.Term.Until + lease.MaxQuarantine, Verdict: v}
}
