// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"time"

	"croft/lease"
)

// signing compares a statement signed, from its fields to the bytes that travel,
// with a bare Ed25519 signature of the same message.
func (b *bench) signing(ctx context.Context) error {
	key, holder := keyOf("node"), keyOf("alice").Principal()
	n := key.Principal()
	for _, c := range []struct {
		what string
		lease.Statement
	}{
		{"ticket signed", &lease.Ticket{K: lease.KindTicket, Issuer: n, Node: n, RSet: four, From: someday, Until: someday + 86_400, Degree: 150,
			Holder: holder, Parent: lease.ID{1}, Slot: 7}},
		{"redeem signed", &lease.Redeem{K: lease.KindRedeem, Issuer: n, Node: n, RSet: four, From: someday, Until: someday + 86_400,
			Parent: lease.ID{1}, Slot: 7, Slice: "web", Request: lease.Request{1}}},
	} {
		s, err := lease.Seal(c.Statement, key)
		if err != nil {
			return err
		}
		message := append([]byte(lease.Domain), s.Payload...)
		var size int // what is made is used, so that none of it is left out
		theirs := func() error { size += len(ed25519.Sign(key.Private(), message)); return nil }
		ours := func() error {
			s, err := lease.Seal(c.Statement, key)
			size += len(s.Bytes())
			return err
		}
		var us, them sample
		rounds, warm := b.rounds(4000, 400), 20
		for i := range rounds + warm {
			err := errors.Join(them.timed(time.Microsecond, theirs), us.timed(time.Microsecond, ours), ctx.Err())
			if err != nil {
				return err
			}
			if i+1 == warm {
				us, them = nil, nil
			}
		}
		if size == 0 {
			return errors.New("nothing was signed")
		}
		b.add(against(c.what, "µs", us, "Ed25519", them, atMost(1.2), ""))
	}
	return nil
}
