// SPDX-License-Identifier: Apache-2.0

package world

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"croft/lease"
	"croft/lease/offer"
	"croft/lease/sign"
	"croft/node"
	"croft/node/slice"
	"croft/sandbox"
	"croft/sim/scenario"
)

// run is a researcher and a slice. The researcher sits beside some node, which is
// the way in, at a machine that no fault strikes.
type run struct {
	w       *World
	spec    *scenario.Slice
	key     *sign.Key
	random  io.Reader
	home    int
	machine machine
	turn    int          // of machines: answers to an older one are dropped
	opened  map[int]bool // nodes to which there is a channel
	record  slice.Record
	byNode  map[lease.Principal]int

	began   time.Duration
	whole   time.Duration // when all of it ran
	tickAt  time.Duration
	tickSet bool
	ended   bool
	outcome string
	why     []string
}

// machine is a slice.Run, Renewal or Stop.
type machine interface {
	Step(now time.Time, in slice.Input) []slice.Effect
	NextWake() (time.Time, bool)
}

// program is what slivers run. Its image is at every node: sending it is not played.
var program = []byte(`{"kind":"binary"}`)

// request and answer are the sizes of what is said to a node, without statements.
const asking, answering = 200, 300

// slice begins a slice.
func (w *World) slice(spec *scenario.Slice) {
	r := &run{w: w, spec: spec, key: keyOf(w.scn.Seed, "owner of "+spec.Name), home: w.anyUp(), opened: map[int]bool{},
		byNode: map[lease.Principal]int{}, began: w.now, random: rand.NewChaCha8(w.chaSeed())}
	w.slices[spec.Name] = r
	w.inOrder = append(w.inOrder, r)
	if r.home < 0 {
		r.ended, r.outcome = true, "there is no node to ask"
		return
	}
	query := spec.Where
	if spec.Spread != "" {
		query += " spread by " + spec.Spread
	}
	q, err := offer.ParseQuery(query)
	if err != nil {
		r.ended, r.outcome = true, err.Error()
		return
	}
	home := w.nodes[r.home]
	var found []offer.Found
	for _, o := range home.view.Offers(home.wall()) {
		found = append(found, offer.NewFound(o, offer.View, home.wall()))
	}
	res := offer.Answer(q, found, offer.Options{Salt: []byte(spec.Name)})
	rset, err := lease.ParseRSet(spec.RSet)
	if err != nil {
		w.err = fmt.Errorf("slice %s: %w", spec.Name, err)
		return
	}
	now := w.wall().Unix()
	plan := slice.Plan{Label: spec.Name, Want: spec.Nodes, Partial: spec.Partial, Known: res.Known, Program: program,
		Wish: slice.Wish{Pool: lease.PoolCommons, RSet: rset, Term: lease.Term{From: now, Until: now + int64(spec.Term.Seconds())}}}
	for _, f := range res.Offers {
		plan.Candidates = append(plan.Candidates, slice.Candidate{Node: f.Offer.Node, Name: f.Offer.Display()})
	}
	m, err := slice.New(plan, r.key, r.random)
	if err != nil {
		w.err = err
		return
	}
	r.drive(m)
}

func (w *World) chaSeed() (seed [32]byte) {
	for i := range seed {
		seed[i] = byte(w.rng.Uint32())
	}
	return seed
}

// anyUp draws a node that has joined for good; -1: there is none.
func (w *World) anyUp() int {
	for range 1000 {
		if i := w.rng.IntN(len(w.nodes)); w.nodes[i].up && w.nodes[i].ready && !w.nodes[i].hole && w.nodes[i].evil == nil {
			return i
		}
	}
	return -1
}

// renew and stop act on what the slice's record has.
func (w *World) renew(do *scenario.Renew) {
	r := w.slices[do.Name]
	if r == nil || len(r.record.Slivers) == 0 {
		return
	}
	m, err := slice.NewRenewal(r.record, w.wall().Unix()+int64(do.For.Seconds()), lease.RSet{}, r.key, r.random)
	if err != nil {
		w.err = fmt.Errorf("renewing slice %s: %w", do.Name, err)
		return
	}
	r.drive(m)
}

func (w *World) stop(do *scenario.Stop) {
	r := w.slices[do.Name]
	if r == nil || len(r.record.Slivers) == 0 {
		return
	}
	m, err := slice.NewStop(r.record, r.key)
	if err != nil {
		w.err = fmt.Errorf("stopping slice %s: %w", do.Name, err)
		return
	}
	r.drive(m)
}

func (r *run) drive(m machine) {
	if len(r.byNode) == 0 {
		for i, n := range r.w.nodes {
			if n.key != nil {
				r.byNode[n.principal()] = i
			}
		}
	}
	r.machine, r.tickSet = m, false
	r.turn++
	r.step(slice.Start{})
}

// step gives the machine an input, and does what it wants.
func (r *run) step(in slice.Input) {
	w := r.w
	w.trace.begin(w.now, -1)
	w.trace.word(r.spec.Name)
	w.trace.word(in.String())
	w.trace.end()
	for _, e := range r.machine.Step(w.wall(), in) {
		w.trace.begin(w.now, -1)
		w.trace.word(r.spec.Name + " > " + e.String())
		w.trace.end()
		switch e := e.(type) {
		case slice.AskHold:
			r.tell(e.Node, size(e.Chain), func(n *peer, ref uint64) node.Input {
				return lease.Wish{Ref: ref, Caller: r.key.Principal(), Chain: e.Chain}
			}, func(a lease.Answer) slice.Input {
				w.figures.wishes.Add(w.now, 1)
				if a.Refusal != nil {
					w.refuse(a.Refusal)
					return slice.Refused{Node: e.Node, Refusal: *a.Refusal}
				}
				return slice.Held{Node: e.Node, Hold: a.Statements[0], Left: 30 * time.Second}
			})
		case slice.CommitHold:
			r.tell(e.Node, 0, func(_ *peer, ref uint64) node.Input {
				return lease.Commit{Ref: ref, Caller: r.key.Principal(), Hold: e.Hold}
			}, func(a lease.Answer) slice.Input {
				if a.Refusal != nil {
					return slice.CommitRefused{Node: e.Node, Refusal: *a.Refusal}
				}
				return slice.Committed{Node: e.Node, Lease: a.Statements[0]}
			})
		case slice.ActivateLease:
			r.activate(e)
		case slice.CloseClaim:
			r.tell(e.Node, len(e.Statement), func(_ *peer, ref uint64) node.Input {
				return lease.End{Ref: ref, Caller: r.key.Principal(), Close: e.Statement}
			}, func(a lease.Answer) slice.Input {
				if a.Refusal != nil {
					return slice.Refused{Node: e.Node, Refusal: *a.Refusal}
				}
				return slice.Closed{Node: e.Node, Claim: e.Claim}
			})
		case slice.Keep:
			r.record = e.Record
		case slice.Done:
			if !r.ended {
				r.whole, r.outcome, r.why = w.now, e.Outcome.String(), e.Why
			}
			r.ended = true
		}
	}
	r.wake()
}

func size(chain [][]byte) (n int) {
	for _, b := range chain {
		n += len(b)
	}
	return n
}

// tell says something to a node; what it answers becomes the machine's input.
// Nobody says that a message was lost: the machine's own patience ends.
func (r *run) tell(to lease.Principal, bytes int, in func(n *peer, ref uint64) node.Input, out func(lease.Answer) slice.Input) {
	r.reach(to, bytes, func(n *peer) {
		n.ask(func(ref uint64) node.Input { return in(n, ref) }, func(a lease.Answer) {
			r.back(n, size(a.Statements), out(a))
		})
	})
}

// reach has do happen at a node that is there, over a channel that may have to be
// opened first.
func (r *run) reach(to lease.Principal, bytes int, do func(n *peer)) {
	w := r.w
	i, ok := r.byNode[to]
	if !ok {
		return
	}
	wait := time.Duration(0)
	if !r.opened[i] { // two round trips: a connection, and the channel in it
		r.opened[i] = true
		wait = 4 * w.profile.OneWay(r.home, i)
	}
	w.in(wait, func() {
		w.repeatable(r.home, i, asking+bytes, func() {
			if n := w.nodes[i]; n.up {
				do(n)
			} else {
				r.opened[i] = false
			}
		})
	})
}

// back brings an answer home.
func (r *run) back(from *peer, bytes int, in slice.Input) {
	turn := r.turn
	r.w.repeatable(from.index, r.home, answering+bytes, func() {
		if r.turn == turn {
			r.step(in)
		}
	})
}

// activate has a lease's sliver begin, and watches it until it runs.
func (r *run) activate(e slice.ActivateLease) {
	r.reach(e.Node, len(e.Program), func(n *peer) {
		n.ask(func(ref uint64) node.Input {
			return lease.Activate{Ref: ref, Caller: r.key.Principal(), Lease: e.Lease, Program: e.Program}
		}, func(a lease.Answer) {
			if a.Refusal != nil {
				r.back(n, 0, slice.ActivateFailed{Node: e.Node, Text: a.Refusal.Error()})
				return
			}
			r.back(n, 0, slice.Activated{Node: e.Node})
			entry, ok := n.core.Ledger().Lease(e.Lease)
			if !ok {
				return
			}
			if s := n.sliver(entry.Sliver); s != nil && s.running {
				r.back(n, 0, slice.Running{Node: e.Node})
				return
			}
			n.watch[entry.Sliver] = append(n.watch[entry.Sliver], func(c sandbox.Changed) {
				switch c.State {
				case sandbox.Running:
					r.back(n, 0, slice.Running{Node: e.Node})
				case sandbox.Failed:
					r.back(n, 0, slice.SliverFailed{Node: e.Node, Text: c.Reason})
				}
			})
		})
	})
}

func (r *run) wake() {
	at, ok := r.machine.NextWake()
	if !ok {
		return
	}
	when := r.w.now + max(at.Sub(r.w.wall()), 0)
	if r.tickSet && r.tickAt <= when {
		return
	}
	turn := r.turn
	r.tickSet, r.tickAt = true, when
	r.w.in(when-r.w.now, func() {
		if r.turn == turn && r.tickSet && r.tickAt == r.w.now {
			r.tickSet = false
			r.step(slice.Tick{})
		}
	})
}

// running counts the slivers of the slice that run now.
func (r *run) running() (count int) {
	for _, s := range r.record.Slivers {
		o, err := lease.Open(s.Signed)
		if err != nil {
			continue
		}
		l, ok := o.Statement.(*lease.Lease)
		i, known := r.byNode[s.Node]
		if !ok || !known {
			continue
		}
		if live := r.w.nodes[i].sliver(l.SliverOf(o.ID)); live != nil && live.running {
			count++
		}
	}
	return count
}
