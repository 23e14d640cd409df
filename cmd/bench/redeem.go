// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/lease/sign"
	"croft/node/api"
	"croft/node/client"
	"croft/sim/lab"
)

// redeem has a holder redeem a ticket for holds, one after the other: signing,
// the channel to the node, its ledger, its journal, and the answer. Beside it,
// in turns, as many bytes are appended to a file of the same file system and
// made durable, which no node can do without.
func (b *bench) redeem(ctx context.Context, s lab.Status) (err error) {
	n := s.Nodes[0]
	way, holder := client.New(n.Socket), keyOf("holder")
	principal, err := sign.ParsePrincipal(n.Principal)
	if err != nil {
		return err
	}
	from := time.Now().Unix()
	given, err := way.Issue(ctx, api.IssueRequest{Holder: holder.Principal(), RSet: lease.RSet{lease.CPU: lease.Slots, lease.Memory: lease.Slots << 10},
		From: from, Until: from + 7200})
	if err != nil {
		return err
	}
	if given.Refusal != nil {
		return given.Refusal
	}
	ticket, err := lease.Open(given.Statements[len(given.Statements)-1])
	if err != nil {
		return err
	}
	node := way.Node(principal, holder)
	defer node.Close()
	f, err := os.Create(filepath.Join(n.State, "bench-fsync"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()

	var us, them sample
	rounds, warm := b.rounds(300, 60), 20
	for i := range rounds + warm {
		var hold []byte
		err := us.timed(time.Millisecond, func() error {
			wish, err := lease.Seal(&lease.Redeem{K: lease.KindRedeem, Issuer: holder.Principal(), Node: principal, Parent: ticket.ID,
				Slot: uint8(i % lease.Slots), RSet: lease.RSet{lease.CPU: 1, lease.Memory: 1 << 10}, From: from, Until: from + 3600,
				Slice: "bench", Request: request(i)}, holder)
			if err != nil {
				return err
			}
			answer, err := node.Wish(ctx, append(given.Statements, wish.Bytes()))
			if err == nil && answer.Refusal != nil {
				err = answer.Refusal
			}
			if err == nil {
				hold = answer.Statements[0]
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("redeem %d: %w", i, err)
		}
		written := make([]byte, 1024) // a redeem, a hold and a frame
		err = them.timed(time.Millisecond, func() error {
			_, err := f.Write(written)
			return errors.Join(err, unix.Fdatasync(int(f.Fd())))
		})
		if err = errors.Join(err, giveUp(ctx, node, principal, holder, hold), ctx.Err()); err != nil {
			return err
		}
		if i+1 == warm {
			us, them = nil, nil
		}
	}
	b.add(against("redeem to hold, end to end", "ms", us, "1 KiB made durable", them, nil,
		"signed, sent through the way in and a channel, verified, admitted, journalled, answered; one at a time"))
	return nil
}

// giveUp closes a hold, so that its slot may be drawn on again.
func giveUp(ctx context.Context, node *client.Node, at lease.Principal, holder *sign.Key, hold []byte) error {
	o, err := lease.Open(hold)
	if err != nil {
		return err
	}
	end, err := lease.Seal(&lease.Close{K: lease.KindClose, Issuer: holder.Principal(), Node: at, Claim: o.ID, At: time.Now().Unix()}, holder)
	if err != nil {
		return err
	}
	_, err = node.End(ctx, end.Bytes())
	return err
}
