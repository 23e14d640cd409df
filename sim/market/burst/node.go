// SPDX-License-Identifier: Apache-2.0

package burst

import (
	"crypto/sha256"
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/sign"
)

// epoch is when all begins: any instant will do.
var epoch = time.Unix(1_800_000_000, 0)

// node is a machine whose only pool is that of the mechanism.
type node struct {
	run    *run
	key    *sign.Key
	ledger *lease.Ledger
	leases map[int]lease.ID // by wish: those that were reserved
}

func keyOf(name string, i int) *sign.Key {
	return sign.FromSeed(sha256.Sum256(fmt.Appendf(nil, "burst %s %d", name, i)))
}

func person(w *wish) *sign.Key { return keyOf("person", w.n%people) }

func newNode(r *run) *node {
	rule := map[Mechanism]lease.PoolRule{
		Shares:   {Pool: lease.PoolShare, Mechanism: lease.MechanismShare},
		Calendar: {Pool: lease.PoolCalendar, Mechanism: lease.MechanismCalendar},
		Sharp:    {Pool: lease.PoolSharp, Mechanism: lease.MechanismSharp},
	}[r.cfg.Mechanism]
	rule.Capacity = lease.RSet{lease.CPU: uint64(r.cfg.Units) * unit}
	n := &node{run: r, key: keyOf("node", 0), leases: map[int]lease.ID{}}
	n.ledger = lease.NewLedger(lease.LedgerConfig{Key: n.key, Pools: []lease.PoolRule{rule}})
	return n
}

// until lets time pass: the ledger is called whenever it wants to be.
func (n *node) until(at time.Duration) {
	for {
		wake, ok := n.ledger.NextWake()
		if !ok || wake.Sub(epoch) > at {
			break
		}
		n.run.now = max(wake.Sub(epoch), n.run.now)
		n.step(lease.Tick{})
	}
	n.run.now = at
	n.run.meter.until(at)
}

// step has the ledger do something, and follows what runs.
func (n *node) step(in lease.Input) (answer lease.Answer) {
	r := n.run
	part := func(s lease.RSet) float64 {
		if s.IsZero() {
			return 1 // all of the lease
		}
		return float64(s[lease.CPU]) / unit
	}
	for _, e := range n.ledger.Step(epoch.Add(r.now), in) {
		switch e := e.(type) {
		case lease.Answer:
			answer = e
		case lease.Begin:
			r.meter.set(r.now, e.Lease, part(e.Share))
		case lease.Share:
			r.meter.set(r.now, e.Lease, part(e.RSet))
		case lease.Finish:
			r.meter.set(r.now, e.Lease, 0)
		case lease.Fact:
			r.result.Facts++
		}
	}
	return answer
}

// ask has somebody ask a pool.
func (n *node) ask(w *wish, pool lease.Pool, class lease.Class, weight uint16) (id lease.ID, no *lease.Refusal, err error) {
	key := person(w)
	signed, err := lease.Seal(&lease.Ask{K: lease.KindAsk, Issuer: key.Principal(), Node: n.key.Principal(), RSet: lease.RSet{lease.CPU: unit},
		From: w.term().From, Until: w.term().Until, Slice: "work", Request: w.request(), Pool: pool, Class: class, Weight: weight}, key)
	if err != nil {
		return id, nil, err
	}
	return n.lease(key.Principal(), [][]byte{signed.Bytes()})
}

// lease turns a wish into a lease.
func (n *node) lease(who lease.Principal, chain [][]byte) (id lease.ID, no *lease.Refusal, err error) {
	wish, err := lease.Open(chain[len(chain)-1])
	if err != nil {
		return id, nil, err
	}
	held := n.step(lease.Wish{Ref: 1, Caller: who, Chain: chain})
	if held.Refusal != nil {
		return id, held.Refusal, nil
	}
	hold, err := lease.VerifyAnswer(wish, held.Statements[0])
	if err != nil {
		return id, nil, fmt.Errorf("holding: %w: %w", ErrLedger, err)
	}
	leased := n.step(lease.Commit{Ref: 1, Caller: who, Hold: hold.ID})
	if leased.Refusal != nil {
		return id, nil, fmt.Errorf("committing: %w: %w", ErrLedger, leased.Refusal)
	}
	got, err := lease.VerifyAnswer(wish, leased.Statements[0])
	return got.ID, nil, err
}

// activate has the sliver run.
func (n *node) activate(w *wish, id lease.ID) error {
	if a := n.step(lease.Activate{Ref: 1, Caller: person(w).Principal(), Lease: id, Program: []byte("work")}); a.Refusal != nil {
		return fmt.Errorf("activating: %w: %w", ErrLedger, a.Refusal)
	}
	w.began = true
	return nil
}

// share has somebody who came take a part of what is idle.
func (n *node) share(w *wish) error {
	id, no, err := n.ask(w, lease.PoolShare, lease.Evictable, 1)
	if no != nil {
		w.refuse(no)
		return nil
	}
	if err != nil {
		return err
	}
	return n.activate(w, id)
}

// reserve has somebody who plans ask the calendar.
func (n *node) reserve(w *wish) error {
	id, no, err := n.ask(w, lease.PoolCalendar, lease.Hard, 0)
	if no != nil {
		w.refuse(no)
		return nil
	}
	n.leases[w.n] = id
	return err
}

// arrive has somebody who reserved come.
func (n *node) arrive(w *wish) error { return n.activate(w, n.leases[w.n]) }

func (w *wish) term() lease.Term {
	from := epoch.Add(w.from).Unix()
	return lease.Term{From: from, Until: from + int64(w.length.Seconds())}
}

func (w *wish) request() lease.Request {
	return lease.Request{byte(w.n), byte(w.n >> 8), byte(w.n >> 16), 1}
}
