// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"time"

	"croft/lease"
	"croft/lease/sign"
)

// crowd is a ledger with n leases of many principals, their terms spread over a
// day, rebuilt from facts as after a restart.
func crowd(n int) (*lease.Ledger, error) {
	node := keyOf("node")
	l := lease.NewLedger(lease.LedgerConfig{Key: node, HoldFuse: lease.MaxTerm, ActivateFuse: lease.MaxTerm, Bookings: 2*n + 10_000, Pools: []lease.PoolRule{{
		Pool: lease.PoolCommons, MaxTerm: lease.MaxTerm, Capacity: lease.RSet{lease.CPU: 1 << 40}, PerPrincipal: lease.RSet{lease.CPU: 1 << 20}}}})
	var asker *sign.Key
	for i := range n {
		if i%500 == 0 {
			asker = keyOf(fmt.Sprint("holder ", i))
		}
		from := someday + int64(i*7919%86_400)
		until := from + 3600 + int64(i%3600)
		set := lease.RSet{lease.CPU: 1}
		ask, err1 := unsigned(&lease.Ask{K: lease.KindAsk, Issuer: asker.Principal(), Node: node.Principal(), RSet: set, From: from, Until: until,
			Slice: "web", Request: request(i), Pool: lease.PoolCommons})
		hold, err2 := unsigned(&lease.Hold{K: lease.KindHold, Node: node.Principal(), RSet: set, From: from, Until: until,
			Holder: asker.Principal(), Parent: ask.ID(), CommitBy: from})
		made, err3 := unsigned(&lease.Lease{K: lease.KindLease, Node: node.Principal(), RSet: set, From: from, Until: until,
			Holder: asker.Principal(), Parent: ask.ID(), Slice: "web", Pool: lease.PoolCommons, Hold: hold.ID(), ActivateBy: until})
		err := errors.Join(err1, err2, err3,
			l.Restore(lease.Fact{K: lease.FactHeld, At: someday, Wish: ask.Bytes(), Signed: hold.Bytes()}),
			l.Restore(lease.Fact{K: lease.FactCommitted, At: someday, Claim: hold.ID(), Signed: made.Bytes()}))
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

// unsigned seals without the cost of a signature: a ledger trusts its journal.
func unsigned(st lease.Statement) (lease.Signed, error) {
	payload, err := lease.Encode(st)
	return lease.Signed{Payload: payload, Sig: make([]byte, 64)}, err
}

func request(i int) (r lease.Request) {
	binary.BigEndian.PutUint64(r[:], uint64(i)+1)
	return r
}

// admission is one ask to a hold, signatures included, in a full and in an
// emptier ledger by turns.
func (b *bench) admission(ctx context.Context) error {
	few, many := 1_000, b.rounds(1_000_000, 100_000)
	small, err := crowd(few)
	if err != nil {
		return err
	}
	before := heap()
	large, err := crowd(many)
	if err != nil {
		return err
	}
	b.add(plain("memory of a booked lease", "B", sample{float64(heap()-before) / float64(many)}, nil,
		"on the heap, with its signed statements, in a ledger of "+count(many)))
	node := keyOf("node").Principal()
	var asker *sign.Key
	var us, them sample
	rounds, warm := b.rounds(2000, 300), 50
	for i := range rounds + warm {
		if i%(lease.MaxHolds/2) == 0 {
			asker = keyOf(fmt.Sprint("asker ", i))
		}
		from := someday + int64(i*104_729%86_400)
		ask, err := lease.Seal(&lease.Ask{K: lease.KindAsk, Issuer: asker.Principal(), Node: node, RSet: lease.RSet{lease.CPU: 1},
			From: from, Until: from + 4000, Slice: "web", Request: request(1_000_000 + i), Pool: lease.PoolCommons}, asker)
		if err != nil {
			return err
		}
		step := func(l *lease.Ledger) func() error {
			return func() error {
				for _, e := range l.Step(time.Unix(someday, 0), lease.Wish{Ref: 1, Caller: asker.Principal(), Chain: [][]byte{ask.Bytes()}}) {
					if a, ok := e.(lease.Answer); ok && a.Refusal == nil {
						return nil
					}
				}
				return errors.New("the ledger did not grant the wish")
			}
		}
		if err := errors.Join(them.timed(time.Microsecond, step(small)), us.timed(time.Microsecond, step(large)), ctx.Err()); err != nil {
			return err
		}
		if i+1 == warm {
			us, them = nil, nil
		}
	}
	b.add(against("admission at "+count(many)+" leases", "µs", us, "at 1,000", them, atMost(3), ""))
	return nil
}

// heap is how many bytes are in use once nothing is left to collect.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// count prints a round number of thousands.
func count(n int) string {
	if n >= 1_000_000 {
		return fmt.Sprintf("%d,%03d,%03d", n/1_000_000, n/1000%1000, n%1000)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}
