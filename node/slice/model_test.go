// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"bytes"
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
)

const fuse, activation = 30 * time.Second, 60 * time.Second

var epoch = time.Unix(leasetest.Epoch, 0).UTC()

// node is a model of a node that keeps the rules, as far as a slice sees it.
type node struct {
	name   string
	asks   map[lease.ID]*booking // by ask
	holds  map[lease.ID]*booking
	leases map[lease.ID]*booking
	port   uint16
}

type booking struct {
	ask       *lease.Ask
	hold      lease.Opened
	lease     lease.Opened
	fuse      time.Time // of the hold, then of the lease; zero once active
	active    bool
	closed    bool
	activated time.Time
}

func newNode(name string) *node {
	return &node{name: name, asks: map[lease.ID]*booking{}, holds: map[lease.ID]*booking{}, leases: map[lease.ID]*booking{}}
}

func (n *node) who() lease.Principal { return leasetest.Who(n.name) }

func (n *node) sign(st lease.Statement) lease.Opened {
	s, err := lease.Seal(st, leasetest.Key(n.name))
	if err != nil {
		panic(err)
	}
	o, err := s.Open()
	if err != nil {
		panic(err)
	}
	return o
}

// live reports whether the node is bound by b at now.
func (b *booking) live(now time.Time) bool {
	return !b.closed && (b.fuse.IsZero() || now.Before(b.fuse))
}

func (n *node) take(now time.Time, chain [][]byte) (Input, error) {
	o, err := lease.Open(chain[len(chain)-1])
	if err != nil {
		return nil, err
	}
	a, ok := o.Statement.(*lease.Ask)
	if w, redeems := o.Statement.(*lease.Redeem); redeems {
		if _, err := lease.VerifyChain(chain, n.who()); err != nil {
			return nil, err
		}
		a, ok = &lease.Ask{Issuer: w.Issuer, Node: w.Node, RSet: w.RSet, From: w.From, Until: w.Until, Slice: w.Slice,
			Replaces: w.Replaces, Ports: w.Ports, Pool: lease.PoolSharp, Owner: w.Owner}, true
	}
	if !ok || a.Node != n.who() {
		return nil, fmt.Errorf("%s is not an ask to %s", o.Kind(), n.name)
	}
	b := n.asks[o.ID]
	if b == nil {
		b = &booking{ask: a, fuse: now.Add(fuse)}
		b.hold = n.sign(&lease.Hold{K: lease.KindHold, Node: n.who(), RSet: a.RSet, From: a.From, Until: a.Until,
			Holder: a.Issuer, Parent: o.ID, CommitBy: b.fuse.Unix()})
		n.asks[o.ID], n.holds[b.hold.ID] = b, b
	}
	return Held{Node: n.who(), Hold: b.hold.Signed.Bytes(), Left: b.fuse.Sub(now)}, nil
}

func (n *node) commit(now time.Time, hold lease.ID) Input {
	b := n.holds[hold]
	if b == nil || !b.live(now) {
		return CommitRefused{Node: n.who(), Refusal: no(lease.ReasonState)}
	}
	if b.lease.Statement == nil {
		l := &lease.Lease{K: lease.KindLease, Node: n.who(), RSet: b.ask.RSet, From: b.ask.From, Until: b.ask.Until,
			Holder: b.ask.Issuer, Parent: b.hold.Statement.(*lease.Hold).Parent, Slice: b.ask.Slice, Pool: b.ask.Pool,
			Hold: hold, Replaces: b.ask.Replaces, Owner: b.ask.Owner}
		if old := n.leases[b.ask.Replaces]; old != nil {
			l.Sliver, b.active, b.fuse = b.ask.Replaces, true, time.Time{}
		} else {
			b.fuse = now.Add(activation)
			l.ActivateBy = b.fuse.Unix()
		}
		for _, p := range b.ask.Ports {
			if p.Number == 0 {
				n.port++
				p.Number = 20000 + n.port
			}
			l.Ports = append(l.Ports, p)
		}
		b.lease = n.sign(l)
		n.leases[b.lease.ID] = b
	}
	return Committed{Node: n.who(), Lease: b.lease.Signed.Bytes()}
}

func (n *node) activate(now time.Time, id lease.ID) Input {
	b := n.leases[id]
	if b == nil || !b.live(now) {
		return ActivateFailed{Node: n.who(), Text: "local:state: the lease has fallen"}
	}
	if !b.active {
		b.active, b.activated, b.fuse = true, now, time.Time{}
	}
	return Activated{Node: n.who()}
}

func (n *node) end(now time.Time, e CloseClaim) (Input, error) {
	b := n.holds[e.Claim]
	if b == nil {
		b = n.leases[e.Claim]
	}
	if b == nil || !b.live(now) {
		return Refused{Node: n.who(), Refusal: no(lease.ReasonState)}, nil
	}
	of := b.hold
	if n.leases[e.Claim] == b {
		of = b.lease
	}
	if _, err := lease.VerifyEnd(of, e.Statement); err != nil {
		return nil, err
	}
	b.closed = true
	return Closed{Node: n.who(), Claim: e.Claim}, nil
}

func no(r lease.Reason) lease.Refusal {
	return lease.Refusal{Sort: lease.Local, Reason: r, Text: "no"}
}

func testPlan(want int, partial bool, names ...string) Plan {
	p := Plan{Label: "probe", Want: want, Partial: partial, Program: []byte(`{"kind":"binary"}`), Known: 9,
		Wish: Wish{Pool: lease.PoolCommons, RSet: lease.RSet{lease.CPU: 100, lease.PortsIn: 1},
			Term:  lease.Term{From: epoch.Unix(), Until: epoch.Unix() + 3600},
			Ports: []lease.Port{{Proto: lease.TCP, Inside: 5201}}}}
	for _, n := range names {
		p.Candidates = append(p.Candidates, Candidate{Node: leasetest.Who(n), Name: n, Addrs: []string{"/dns4/" + n + "/tcp/1"}})
	}
	return p
}

// counter gives request ids that differ.
type counter byte

func (c *counter) Read(b []byte) (int, error) {
	*c++
	return copy(b, bytes.Repeat([]byte{byte(*c)}, len(b))), nil
}
