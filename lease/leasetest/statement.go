// SPDX-License-Identifier: Apache-2.0

package leasetest

import (
	"cmp"
	"crypto/sha256"
	"fmt"

	"croft/lease"
)

// firstPort is the number that a drawn lease gives to the first port that its
// wish leaves open; the next has the next.
const firstPort = 20_000

// statement makes the kind; bare are the words that are names by their place.
func (s *sketch) statement(kind string, bare []string) (lease.Statement, error) {
	want := map[string][]*string{
		"cap": {&s.node}, "t": {&s.holder}, "r": {}, "ask": {&s.by, &s.node},
		"hold": {}, "lease": {}, "reject": {new(string)}, "close": {}, "revoke": {},
		"grant": {&s.by, &s.holder},
	}
	places, ok := want[kind]
	if !ok || len(bare) > len(places) {
		return nil, fmt.Errorf("no such statement with the words %q", bare)
	}
	for i, w := range bare {
		*places[i] = w
	}
	switch kind {
	case "cap":
		s.by, s.holder = s.node, s.node
		return &lease.Capacity{K: lease.KindCapacity, Node: Who(s.node), Tranche: s.tranche, RSet: s.rset,
			From: s.from, Until: s.until, Degree: s.degree, Lead: s.lead, FanOut: s.fanOut}, nil
	case "t":
		return &lease.Ticket{K: lease.KindTicket, Issuer: Who(s.by), Node: Who(s.node), Holder: Who(s.holder),
			Parent: s.parent, Slot: s.slot, RSet: s.rset, From: s.from, Until: s.until, Degree: s.degree, FanOut: s.fanOut}, nil
	case "r":
		s.holder, s.pool = s.by, lease.PoolSharp
		return &lease.Redeem{K: lease.KindRedeem, Issuer: Who(s.by), Node: Who(s.node), Parent: s.parent, Slot: s.slot,
			RSet: s.rset, From: s.from, Until: s.until, Slice: s.slice, Request: s.request, Replaces: s.replaces, Ports: s.ports,
			Owner: s.whose(), FanOut: s.fanOut}, nil
	case "ask":
		s.holder = s.by
		return &lease.Ask{K: lease.KindAsk, Issuer: Who(s.by), Node: Who(s.node), RSet: s.rset, From: s.from, Until: s.until,
			Slice: s.slice, Request: s.request, Replaces: s.replaces, Ports: s.ports, Pool: s.pool,
			Owner: s.whose(), Class: s.firmness(), Weight: s.weight, Alone: s.alone, FanOut: s.fanOut, Bid: s.bid}, nil
	case "grant":
		return &lease.Grant{K: lease.KindGrant, Issuer: Who(s.by), From: s.from, Until: s.until, Holder: Who(s.holder),
			Slice: s.slice, Verbs: s.verbs, Sequence: s.sequence}, nil
	}
	return s.answer(kind, places)
}

// answer makes what a node says, and the ends.
func (s *sketch) answer(kind string, places []*string) (lease.Statement, error) {
	if kind != "close" {
		s.by = s.node
	}
	switch kind {
	case "hold":
		return &lease.Hold{K: lease.KindHold, Node: Who(s.node), Holder: Who(s.holder), Parent: s.parent,
			RSet: s.rset, From: s.from, Until: s.until, CommitBy: cmp.Or(s.commit, s.from+30)}, nil
	case "lease":
		s.ports = append([]lease.Port(nil), s.ports...)
		for i := range s.ports {
			if s.ports[i].Number == 0 {
				s.ports[i].Number = firstPort + uint16(i)
			}
		}
		return &lease.Lease{K: lease.KindLease, Node: Who(s.node), Holder: Who(s.holder), Parent: s.parent,
			RSet: s.rset, From: s.from, Until: s.until, Slice: s.slice, Pool: s.pool, Ports: s.ports,
			Replaces: s.replaces, Sliver: s.sliver, ActivateBy: s.activate, Grace: s.grace, Owner: s.whose(), Class: s.firmness(), Weight: s.weight,
			Alone: s.alone, FanOut: s.fanOut, Mechanism: s.mechanism}, nil
	case "close":
		return &lease.Close{K: lease.KindClose, Issuer: Who(s.by), Node: Who(s.node), Claim: s.parent, At: cmp.Or(s.at, s.from+60), Reason: s.text}, nil
	case "revoke":
		return &lease.Revoke{K: lease.KindRevoke, Node: Who(s.node), Claim: s.parent, At: cmp.Or(s.at, s.from+60), Said: cmp.Or(s.said, s.from),
			Reason: s.text}, nil
	}
	return s.reject(*places[0])
}

func (s *sketch) reject(code string) (lease.Statement, error) {
	r := lease.Refusal{Sort: lease.Local, Reason: lease.ReasonCapacity}
	if code != "" {
		var err error
		if r, err = refusal(code); err != nil {
			return nil, err
		}
	}
	st := &lease.Reject{K: lease.KindReject, Node: Who(s.node), Parent: s.parent, At: cmp.Or(s.at, s.from), Sort: r.Sort, Reason: r.Reason, Text: s.text,
		About: s.about, Lacks: s.lacks, Instant: s.instant}
	if s.attached != nil {
		st.Attached = sha256.Sum256(s.attached)
	}
	return st, nil
}

func (s *sketch) whose() (owner lease.Principal) {
	if s.owner != "" {
		owner = Who(s.owner)
	}
	return owner
}

// firmness follows from the weight, as only an evictable lease has one, unless a
// word says otherwise.
func (s *sketch) firmness() lease.Class {
	if s.class != nil {
		return *s.class
	}
	if s.weight > 0 {
		return lease.Evictable
	}
	return lease.Hard
}

func refusal(code string) (lease.Refusal, error) {
	for r := (lease.Refusal{Sort: lease.Exhausted}); r.Sort <= lease.Local; r.Sort++ {
		for r.Reason = lease.ReasonNone; r.Reason <= lease.ReasonBound; r.Reason++ {
			if r.Code() == code {
				return r, nil
			}
		}
	}
	return lease.Refusal{}, fmt.Errorf("no refusal %q", code)
}
