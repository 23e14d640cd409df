// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/sign"
)

// someday is the instant from which the terms of these claims count.
const someday int64 = 1_800_000_000

func keyOf(name string) *sign.Key { return sign.FromSeed(sha256.Sum256([]byte(name))) }

func mustRSet(s string) lease.RSet {
	r, err := lease.ParseRSet(s)
	if err != nil {
		panic(err) // a constant
	}
	return r
}

var (
	four = mustRSet("cpu=4000 memory=8GiB egress.rate=1gbit egress.packets=100k")
	all  = mustRSet("cpu=4000 memory=8GiB disk=100GiB pids=4096 io=100MiB egress.rate=1gbit ingress.rate=1gbit " +
		"egress.packets=100k ingress.packets=100k egress.daily=1TiB flows.new=1000 flows.live=10k ports.in=16 ports.out=1024")
)

// chainOf signs a chain of n statements: a capacity, tickets from hand to hand,
// and a redeem.
func chainOf(n int) (chain []lease.Signed, err error) {
	node := keyOf("node")
	seal := func(st lease.Statement, by *sign.Key) lease.ID {
		s, sealErr := lease.Seal(st, by)
		err = errors.Join(err, sealErr)
		chain = append(chain, s)
		return s.ID()
	}
	until := someday + 86_400
	up := seal(&lease.Capacity{K: lease.KindCapacity, Node: node.Principal(), RSet: four, From: someday, Until: until, Degree: 100}, node)
	holder := node
	for i := range n - 2 {
		next := keyOf(fmt.Sprint("hand ", i))
		up = seal(&lease.Ticket{K: lease.KindTicket, Issuer: holder.Principal(), Node: node.Principal(), RSet: four, From: someday, Until: until,
			Degree: 100, Holder: next.Principal(), Parent: up}, holder)
		holder = next
	}
	if n > 2 {
		seal(&lease.Redeem{K: lease.KindRedeem, Issuer: holder.Principal(), Node: node.Principal(), RSet: four, From: someday, Until: until,
			Parent: up, Slice: "web", Request: lease.Request{1}}, holder)
	}
	return chain, err
}

// chain compares the verification of n statements with n bare Ed25519
// verifications of the same messages.
func (b *bench) chain(ctx context.Context) error {
	for _, n := range []int{1, 3, 8, lease.MaxDepth} {
		chain, err := chainOf(n)
		if err != nil {
			return err
		}
		type check struct {
			by           lease.Principal
			message, sig []byte
		}
		var bare []check
		var raw [][]byte
		for _, s := range chain {
			o, err := s.Open()
			if err != nil {
				return err
			}
			bare = append(bare, check{o.By(), append([]byte(lease.Domain), s.Payload...), s.Sig})
			raw = append(raw, s.Bytes())
		}
		theirs := func() error {
			for _, c := range bare {
				if !ed25519.Verify(c.by[:], c.message, c.sig) {
					return lease.ErrSignature
				}
			}
			return nil
		}
		node := keyOf("node").Principal()
		ours := func() error { _, err := lease.VerifyChain(raw, node); return err }
		var us, them sample
		rounds, warm := b.rounds(4000, 400)/n, 20
		for i := range rounds + warm {
			err := errors.Join(them.timed(time.Microsecond, theirs), us.timed(time.Microsecond, ours), ctx.Err())
			if err != nil {
				return err
			}
			if i+1 == warm {
				us, them = nil, nil
			}
		}
		b.add(against(fmt.Sprintf("chain of %d verified", n), "µs", us, fmt.Sprintf("%d × Ed25519", n), them, atMost(1.15), ""))
	}
	return nil
}

// sizes seals one statement of each kind as it is usual.
func (b *bench) sizes(context.Context) error {
	node, alice := keyOf("node"), keyOf("alice")
	n, a := node.Principal(), alice.Principal()
	id, from, until, slot := lease.ID{1}, someday, someday+86_400, uint8(lease.Slots-1)
	port, ported := []lease.Port{{Proto: lease.TCP, Number: 5201, Inside: 5201}}, four
	ported[lease.PortsIn] = 1
	for _, c := range []struct {
		what string
		by   *sign.Key
		goal *goal
		lease.Statement
	}{
		{"capacity", node, nil, &lease.Capacity{K: lease.KindCapacity, Node: n, RSet: four, From: from, Until: until, Degree: 150}},
		{"ticket", node, atMost(280), &lease.Ticket{K: lease.KindTicket, Issuer: n, Node: n, RSet: four, From: from, Until: until, Degree: 150, Holder: a, Parent: id, Slot: slot}},
		{"ticket of all resources", node, atMost(330), &lease.Ticket{K: lease.KindTicket, Issuer: n, Node: n, RSet: all, From: from, Until: until, Degree: 150, Holder: a, Parent: id, Slot: slot}},
		{"redeem", alice, nil, &lease.Redeem{K: lease.KindRedeem, Issuer: a, Node: n, RSet: four, From: from, Until: until, Parent: id, Slot: slot, Slice: "web", Request: lease.Request{1}}},
		{"ask", alice, nil, &lease.Ask{K: lease.KindAsk, Issuer: a, Node: n, RSet: four, From: from, Until: until, Slice: "web", Request: lease.Request{1}, Pool: lease.PoolCommons}},
		{"hold", node, nil, &lease.Hold{K: lease.KindHold, Node: n, RSet: four, From: from, Until: until, Holder: a, Parent: id, CommitBy: from + 30}},
		{"lease with a port", node, nil, &lease.Lease{K: lease.KindLease, Node: n, RSet: ported, From: from, Until: until, Holder: a, Parent: id, Slice: "web", Ports: port,
			Pool: lease.PoolCommons, Hold: id, ActivateBy: from + 60, Grace: 20}},
		{"close", alice, nil, &lease.Close{K: lease.KindClose, Issuer: a, Node: n, Claim: id, At: from}},
		{"revoke", node, nil, &lease.Revoke{K: lease.KindRevoke, Node: n, Claim: id, At: from, Said: from, Reason: "maintenance"}},
		{"reject", node, nil, &lease.Reject{K: lease.KindReject, Node: n, Parent: id, At: from, Sort: lease.Local, Reason: lease.ReasonCapacity, Text: "the pool is full"}},
	} {
		s, err := lease.Seal(c.Statement, c.by)
		if err != nil {
			return fmt.Errorf("sealing %s: %w", c.what, err)
		}
		b.add(plain("size: "+c.what, "B", sample{float64(len(s.Bytes()))}, c.goal, ""))
	}
	return nil
}
