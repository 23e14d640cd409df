// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"fmt"
	"strings"

	"croft/lease"
	"croft/lease/judge"
	"croft/lease/offer"
)

// Input is what a View and a Proofs take: Received, Local or Tick.
type Input interface {
	fmt.Stringer
	input()
}

// Received is an offer or a proof from a neighbour. Pulled ones were asked for, and no
// rate applies to them.
type Received struct {
	Bytes  []byte
	From   lease.Principal
	Pulled bool
}

// Local is the node's own offer, just made, or a proof that it found or was
// given by its owner.
type Local struct{ Bytes []byte }

// Tick lets time pass.
type Tick struct{}

func (Received) input() {}
func (Local) input()    {}
func (Tick) input()     {}

func (i Received) String() string {
	word := "received"
	if i.Pulled {
		word = "pulled"
	}
	return word + " " + i.From.String() + " " + blob(i.Bytes).String()
}
func (i Local) String() string { return "local " + blob(i.Bytes).String() }
func (Tick) String() string    { return "tick" }

// blob is the name under which a transcript keeps bulk bytes.
func blob(b []byte) lease.Digest { return digest(b) }

// ParseInput reads what String printed; fetch returns the bytes of a digest.
func ParseInput(s string, fetch func(lease.Digest) ([]byte, bool)) (Input, error) {
	words := strings.Fields(s)
	bytes := func(word string) ([]byte, error) {
		d, err := lease.ParseDigest(word)
		if err != nil {
			return nil, err
		}
		if b, ok := fetch(d); ok {
			return b, nil
		}
		return nil, fmt.Errorf("input %q: its bytes are not at hand: %w", s, lease.ErrSyntax)
	}
	switch {
	case len(words) == 1 && words[0] == "tick":
		return Tick{}, nil
	case len(words) == 2 && words[0] == "local":
		b, err := bytes(words[1])
		return Local{Bytes: b}, err
	case len(words) == 3 && (words[0] == "received" || words[0] == "pulled"):
		from, err := lease.ParsePrincipal(words[1])
		if err != nil {
			return nil, err
		}
		b, err := bytes(words[2])
		return Received{Bytes: b, From: from, Pulled: words[0] == "pulled"}, err
	}
	return nil, fmt.Errorf("input %q: want received, pulled, local or tick: %w", s, lease.ErrSyntax)
}

// Effect is what a View wants done or known: Verdict, Stored, Evicted,
// Equivocated; and a Proofs: Verdict, Proven, Forgot.
type Effect interface {
	fmt.Stringer
	effect()
}

// Verdict answers each Received and Local, always as the first effect.
type Verdict struct {
	Judgement judge.Judgement
	Reason    judge.Reason
}

// Stored says that the view has a new newest offer.
type Stored struct{ Offer *offer.Opened } // not to be changed

// Evicted says that the view forgot a node.
type Evicted struct {
	Node   lease.Principal
	Reason judge.Reason // Expired, Withdrawn or Crowded
}

// Equivocated is the proof that a node signed two offers under one sequence.
type Equivocated struct {
	Node          lease.Principal
	Sequence      uint64
	First, Second []byte
}

// Forgot says that a proof is no longer kept.
type Forgot struct {
	ID     lease.ID
	Reason judge.Reason // Expired, Crowded or Superseded
}

func (Verdict) effect()     {}
func (Proven) effect()      {}
func (Forgot) effect()      {}
func (Stored) effect()      {}
func (Evicted) effect()     {}
func (Equivocated) effect() {}

func (e Verdict) String() string {
	return strings.TrimSpace("verdict " + string(e.Judgement) + " " + string(e.Reason))
}
func (e Stored) String() string  { return fmt.Sprintf("stored %s %d", e.Offer.Node, e.Offer.Sequence) }
func (e Evicted) String() string { return fmt.Sprintf("evicted %s %s", e.Node, e.Reason) }
func (e Equivocated) String() string {
	return fmt.Sprintf("equivocated %s %d %s %s", e.Node, e.Sequence, blob(e.First), blob(e.Second))
}
func (e Proven) String() string {
	s := fmt.Sprintf("proven %s %s of %s", e.ID, e.Kind, e.Accused)
	if e.Ends != Never {
		s += fmt.Sprintf(" until %d", e.Ends)
	}
	return s
}
func (e Forgot) String() string { return fmt.Sprintf("forgot %s %s", e.ID, e.Reason) }
