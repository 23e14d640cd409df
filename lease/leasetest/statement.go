// SPDX-License-Identifier: Apache-2.0

package leasetest

import (
	"cmp"
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
		"hold": {}, "lease": {}, "reject": {new(string)}, "close": {}, "revoke": {}, "grant": {&s.by, &s.holder},
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
			From: s.from, Until: s.until, Degree: s.degree, Lead: s.lead}, nil
	case "t":
		return &lease.Ticket{K: lease.KindTicket, Issuer: Who(s.by), Node: Who(s.node), Holder: Who(s.holder),
			Parent: s.parent, Slot: s.slot, RSet: s.rset, From: s.from, Until: s.until, Degree: s.degree}, nil
	case "r":
		s.holder, s.pool = s.by, lease.PoolSharp
		return &lease.Redeem{K: lease.KindRedeem, Issuer: Who(s.by), Node: Who(s.node), Parent: s.parent, Slot: s.slot,
			RSet: s.rset, From: s.from, Until: s.until, Slice: s.slice, Request: s.request, Replaces: s.replaces, Ports: s.ports,
			Owner: someone(s.owner)}, nil
	case "ask":
		s.holder = s.by
		return &lease.Ask{K: lease.KindAsk, Issuer: Who(s.by), Node: Who(s.node), RSet: s.rset, From: s.from, Until: s.until,
			Slice: s.slice, Request: s.request, Replaces: s.replaces, Ports: s.ports, Pool: s.pool,
			Owner: someone(s.owner), Class: s.class, Weight: s.weight, Alone: s.alone}, nil
	case "grant":
		slice := s.slice
		if slice == everySlice {
			slice = ""
		}
		return &lease.Grant{K: lease.KindGrant, Issuer: Who(s.by), Holder: Who(s.holder), From: s.from, Until: s.until,
			Slice: slice, Verbs: s.verbs, Sequence: s.sequence}, nil
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
			Replaces: s.replaces, Sliver: s.sliver, ActivateBy: s.activate, Grace: s.grace, Mechanism: s.mechanism,
			Owner: someone(s.owner), Class: s.class, Weight: s.weight, Alone: s.alone}, nil
	case "close":
		return &lease.Close{K: lease.KindClose, Issuer: Who(s.by), Node: Who(s.node), Claim: s.parent, At: cmp.Or(s.end.at, s.from+60),
			Reason: s.end.text}, nil
	case "revoke":
		return &lease.Revoke{K: lease.KindRevoke, Node: Who(s.node), Claim: s.parent, At: cmp.Or(s.end.at, s.from+60),
			Said: cmp.Or(s.end.said, s.from), Reason: s.end.text}, nil
	}
	return s.reject(*places[0])
}

// everySlice is how a drawn grant says that it names no slice.
const everySlice = "*"

// someone is a principal where a statement need not name one.
func someone(name string) lease.Principal {
	if name == "" {
		return lease.Principal{}
	}
	return Who(name)
}

func (s *sketch) reject(code string) (lease.Statement, error) {
	r := lease.Refusal{Sort: lease.Local, Reason: lease.ReasonCapacity}
	if code != "" {
		var err error
		if r, err = refusal(code); err != nil {
			return nil, err
		}
	}
	return &lease.Reject{K: lease.KindReject, Node: Who(s.node), Parent: s.parent, At: cmp.Or(s.end.at, s.from), Text: s.end.text,
		Sort: r.Sort, Reason: r.Reason, Attached: s.end.attached, About: s.end.about, Lacks: s.end.lacks, Instant: s.end.instant}, nil
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
