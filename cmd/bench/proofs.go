// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"croft/lease"
	"croft/lease/sign"
)

// proofs measures what a third party pays to judge a conflict, what whoever
// holds many claims pays to find one, and what a known prefix saves.
func (b *bench) proofs(ctx context.Context) error {
	for _, c := range []struct{ children, depth int }{{2, 2}, {8, 4}, {lease.Slots, lease.MaxDepth}} {
		if err := b.conflict(ctx, c.children, c.depth); err != nil {
			return fmt.Errorf("conflict of %d: %w", c.children, err)
		}
	}
	return errors.Join(b.search(ctx), b.cached(ctx))
}

// bareChecks returns a function that does nothing but check the signatures.
func bareChecks(list []lease.Signed) (func() error, error) {
	type check struct {
		by           lease.Principal
		message, sig []byte
	}
	var bare []check
	for _, s := range list {
		o, err := s.Open()
		if err != nil {
			return nil, err
		}
		bare = append(bare, check{o.By(), append([]byte(lease.Domain), s.Payload...), s.Sig})
	}
	return func() error {
		for _, c := range bare {
			if !ed25519.Verify(c.by[:], c.message, c.sig) {
				return lease.ErrSignature
			}
		}
		return nil
	}, nil
}

// turns times two things in turns, after a few rounds that do not count.
func (b *bench) turns(ctx context.Context, rounds int, ours, theirs func() error) (us, them sample, err error) {
	const warm = 5
	for i := range rounds + warm {
		if err := errors.Join(them.timed(time.Microsecond, theirs), us.timed(time.Microsecond, ours), ctx.Err()); err != nil {
			return nil, nil, err
		}
		if i+1 == warm {
			us, them = nil, nil
		}
	}
	return us, them, nil
}

// conflict verifies a proof of m children, in as many slots, under a parent at
// some depth.
func (b *bench) conflict(ctx context.Context, m, depth int) error {
	chain, err := ticketsOf(depth)
	if err != nil {
		return err
	}
	parent, holder := chain[depth-1].ID(), keyOf(fmt.Sprint("hand ", depth-2))
	proof := lease.Proof{K: lease.ProofOver, At: someday}
	each := four
	each[lease.CPU] = four[lease.CPU]/uint64(m) + 1
	all := chain
	for _, s := range chain {
		proof.Chain = append(proof.Chain, s.Bytes())
	}
	for slot := range m {
		var st lease.Statement = &lease.Redeem{K: lease.KindRedeem, Issuer: holder.Principal(), Node: keyOf("node").Principal(), RSet: each,
			From: someday, Until: someday + 3600, Parent: parent, Slot: uint8(slot), Slice: "web", Request: lease.Request{byte(slot)}}
		if depth < lease.MaxDepth {
			st = &lease.Ticket{K: lease.KindTicket, Issuer: holder.Principal(), Node: keyOf("node").Principal(), RSet: each,
				From: someday, Until: someday + 3600, Degree: 100, Holder: keyOf("alice").Principal(), Parent: parent, Slot: uint8(slot)}
		}
		s, err := lease.Seal(st, holder)
		if err != nil {
			return err
		}
		proof.Evidence, all = append(proof.Evidence, s.Bytes()), append(all, s)
	}
	theirs, err := bareChecks(all)
	if err != nil {
		return err
	}
	raw := proof.Bytes()
	ours := func() error { _, _, err := lease.VerifyProof(raw); return err }
	us, them, err := b.turns(ctx, max(b.rounds(4000, 200)/(m+depth), b.rounds(100, 5)), ours, theirs)
	if err != nil {
		return err
	}
	b.add(against(fmt.Sprintf("conflict of %d children under a chain of %d verified", m, depth), "µs", us,
		fmt.Sprintf("%d × Ed25519", m+depth), them, atMost(1.2), ""))
	b.add(plain(fmt.Sprintf("size: proof of %d children under a chain of %d", m, depth), "B", sample{float64(len(raw))}, nil, ""))
	return nil
}

// ticketsOf signs a capacity and tickets from hand to hand, n in all.
func ticketsOf(n int) ([]lease.Signed, error) {
	whole, err := chainOf(n + 1) // its redeem is not wanted
	return whole[:n:n], err
}

// search gives 10,000 claims to the books of 200 parents. Each book is kept but
// for its last claim, which completes a conflict.
func (b *bench) search(ctx context.Context) error {
	const parents, each = 200, 50
	rng := rand.New(rand.NewPCG(7, 7))
	root, err := lease.Seal(&lease.Capacity{K: lease.KindCapacity, Node: keyOf("node").Principal(), RSet: all, From: someday, Until: someday + 86_400, Degree: 200}, keyOf("node"))
	if err != nil {
		return err
	}
	var books []lease.Opened
	var claims []lease.Opened
	for i := range parents {
		book, list, err := bookOf(rng, root.ID(), i, each)
		if err != nil {
			return err
		}
		books, claims = append(books, book), append(claims, list...)
	}
	// The order in which they come is by book at random, within a book as signed.
	order := rng.Perm(len(claims))
	next := make([]int, parents)
	for at, i := range order {
		book := i / each
		order[at] = book*each + next[book]
		next[book]++
	}
	theirs := claims[0].Signed
	by := claims[0].By()
	var us, them sample
	for range b.rounds(15, 3) {
		if err := ctx.Err(); err != nil {
			return err
		}
		found := 0
		known := make(map[lease.ID]*lease.Children, parents)
		start := time.Now()
		for _, p := range books {
			known[p.ID] = lease.NewChildren(p)
		}
		for _, i := range order {
			if known[books[i/each].ID].Add(claims[i]) != nil {
				found++
			}
		}
		us = append(us, float64(time.Since(start))/float64(time.Microsecond)/float64(len(claims)))
		if found != parents {
			return fmt.Errorf("%d conflicts found, want %d", found, parents)
		}
		const checks = 50
		start = time.Now()
		for range checks {
			if err := theirs.VerifyAs(lease.Domain, by); err != nil {
				return err
			}
		}
		them = append(them, float64(time.Since(start))/float64(time.Microsecond)/checks)
	}
	b.add(against("claim searched for conflicts, 10,000 under 200 parents", "µs", us, "1 × Ed25519", them, nil,
		"each book is kept but for its last claim, which is found in every one"))
	return nil
}

// bookOf signs a parent and its children: a ticket in each of 30 slots, then a
// second and third generation of redeems elsewhere, up to the budget; last one
// that breaks it.
func bookOf(rng *rand.Rand, root lease.ID, i, n int) (parent lease.Opened, list []lease.Opened, err error) {
	node, agent := keyOf("node"), keyOf(fmt.Sprint("agent ", i))
	open := func(st lease.Statement, by *sign.Key) lease.Opened {
		s, sealErr := lease.Seal(st, by)
		o, openErr := s.Open()
		err = errors.Join(err, sealErr, openErr)
		return o
	}
	parent = open(&lease.Ticket{K: lease.KindTicket, Issuer: node.Principal(), Node: node.Principal(), RSet: all, From: someday, Until: someday + 86_400,
		Degree: 150, Holder: agent.Principal(), Parent: root, Slot: uint8(i % lease.Slots)}, node)
	if err != nil {
		return parent, nil, err
	}
	part := four
	for r := range part {
		part[r] = part[r] * 3 / 100 // fifty of them fill one and a half
	}
	for at := range n {
		from := someday + int64(rng.IntN(20))*3600
		wish := part
		if at == n-1 {
			wish[lease.CPU], from = four[lease.CPU], someday+20*3600
		}
		if at%5 < 3 {
			list = append(list, open(&lease.Ticket{K: lease.KindTicket, Issuer: agent.Principal(), Node: node.Principal(), RSet: part, From: from,
				Until: someday + 24*3600, Degree: 100, Holder: keyOf("alice").Principal(), Parent: parent.ID, Slot: uint8(at)}, agent))
			continue
		}
		list = append(list, open(&lease.Redeem{K: lease.KindRedeem, Issuer: agent.Principal(), Node: node.Principal(), RSet: wish, From: from,
			Until: someday + 24*3600, Parent: parent.ID, Slot: uint8(at), Slice: "web", Request: lease.Request{byte(at)}}, agent))
	}
	return parent, list, err
}

// cached verifies a new redeem under a chain that is known.
func (b *bench) cached(ctx context.Context) error {
	chain, err := chainOf(8)
	if err != nil {
		return err
	}
	var raw [][]byte
	for _, s := range chain {
		raw = append(raw, s.Bytes())
	}
	theirs, err := bareChecks(chain[7:])
	if err != nil {
		return err
	}
	cache, node := lease.NewCache(64), keyOf("node").Principal()
	ours := func() error { _, err := cache.VerifyChain(raw, node); return err }
	us, them, err := b.turns(ctx, b.rounds(2000, 200), ours, theirs)
	if err != nil {
		return err
	}
	b.add(against("chain of 8 verified, 7 of them known", "µs", us, "1 × Ed25519", them, nil, ""))
	return nil
}
