// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"fmt"
	"time"

	"croft/lease"
)

// Stop closes every sliver of a record. Partial success is normal: what a node
// did not confirm stays on record.
type Stop struct {
	record  Record
	key     lease.Signer
	now     time.Time
	parts   []*stopping
	begun   bool
	over    bool
	endBy   time.Time
	effects []Effect
}

type stopping struct {
	sliver Sliver
	close  []byte
	again  time.Time
	gone   bool
	why    string
	cause  Outcome
}

// NewStop makes a stop of all that the record names. The key must be the owner's.
func NewStop(record Record, key lease.Signer) (*Stop, error) {
	if key.Principal() != record.Principal() {
		return nil, fmt.Errorf("stopping slice %s of %s with the key of %s: %w",
			record.Slice, record.Principal().Short(), key.Principal().Short(), ErrPlan)
	}
	s := &Stop{record: record, key: key}
	for _, sl := range record.Slivers {
		s.parts = append(s.parts, &stopping{sliver: sl, cause: TimedOut, why: "no answer"})
	}
	return s, nil
}

// Step takes Start, Closed, Refused, Failed, Abort and Tick.
func (s *Stop) Step(now time.Time, in Input) []Effect {
	s.now, s.effects = now, nil
	switch in := in.(type) {
	case Start:
		s.start()
	case Closed:
		s.gone(in.Node, in.Claim)
	case Refused:
		s.refused(in)
	case Failed:
		if p := s.part(in.Node); p != nil {
			p.cause, p.why = in.Trouble.outcome(), in.Text
		}
	case Abort:
		s.endBy = now
	}
	if s.begun && !s.over {
		s.advance()
	}
	return s.effects
}

// NextWake reports when Step must next be called with a Tick.
func (s *Stop) NextWake() (time.Time, bool) {
	if !s.begun || s.over {
		return time.Time{}, false
	}
	at := s.endBy
	for _, p := range s.parts {
		if !p.gone && p.again.Before(at) {
			at = p.again
		}
	}
	return at, true
}

func (s *Stop) start() {
	if s.begun {
		return
	}
	s.begun, s.endBy = true, s.now.Add(CloseTimeout)
	for _, p := range s.parts {
		signed, err := lease.Seal(&lease.Close{K: lease.KindClose, Issuer: s.key.Principal(), Node: p.sliver.Node,
			Claim: p.sliver.Lease, At: s.now.Unix()}, s.key)
		if err != nil {
			p.cause, p.why = Broken, err.Error()
			continue
		}
		p.close, p.again = signed.Bytes(), s.now
	}
}

func (s *Stop) advance() {
	left := 0
	for _, p := range s.parts {
		if p.gone {
			continue
		}
		left++
		if p.close != nil && !s.now.Before(p.again) && s.now.Before(s.endBy) {
			p.again = s.now.Add(CloseRetry)
			s.effects = append(s.effects, CloseClaim{Node: p.sliver.Node, Claim: p.sliver.Lease, Statement: p.close})
		}
	}
	if left == 0 || !s.now.Before(s.endBy) {
		s.finish(left)
	}
}

func (s *Stop) finish(left int) {
	s.over = true
	rest := Record{Slice: s.record.Slice, Owner: s.record.Owner, Actor: s.record.Actor, Slivers: []Sliver{}}
	done := Done{Outcome: OK}
	for _, p := range s.parts {
		if p.gone {
			continue
		}
		rest.Slivers = append(rest.Slivers, p.sliver)
		done.Outcome = p.cause
		done.Why = append(done.Why, p.sliver.Name+": "+p.why)
	}
	if left > 0 && left < len(s.parts) {
		done.Outcome = Partial
	}
	done.Record = rest
	s.effects = append(s.effects,
		Stage{Name: "stop", Got: len(s.parts) - left, Want: len(s.parts)}, Keep{Record: rest}, done)
}

func (s *Stop) gone(node lease.Principal, claim lease.ID) {
	if p := s.part(node); p != nil && p.sliver.Lease == claim {
		p.gone = true
	}
}

// refused: a node that does not know the lease, or has ended it, has nothing of
// ours any more.
func (s *Stop) refused(in Refused) {
	p := s.part(in.Node)
	if p == nil {
		return
	}
	p.cause, p.why = RefusedByOwner, in.Refusal.Error()
	if endedAlready(in.Refusal) {
		p.gone = true
	}
}

// endedAlready reports whether a refusal of a close says that there is nothing
// to close, or that it is ending.
func endedAlready(r lease.Refusal) bool {
	return r.Sort == lease.Local &&
		(r.Reason == lease.ReasonUnknown || r.Reason == lease.ReasonState || r.Reason == lease.ReasonClosing)
}

// part finds the sliver on node: a record has at most one a node.
func (s *Stop) part(node lease.Principal) *stopping {
	for _, p := range s.parts {
		if p.sliver.Node == node {
			return p
		}
	}
	return nil
}
