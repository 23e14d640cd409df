// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"croft/lease"
	"croft/lease/leasetest"
)

// letter is something on its way, either way.
type letter struct {
	to   *node // nil: an answer, to the machine
	what Effect
	in   Input
}

// world has a run and model nodes talk over a net that delays, reorders,
// repeats and loses, while users interrupt and time passes.
type world struct {
	t       *rapid.T
	dice    *rand.Rand // rapid's own numbers are mostly small: every run would end in an abort
	run     *Run
	plan    Plan
	now     time.Time
	nodes   map[lease.Principal]*node
	post    []letter
	trace   []string
	told    map[lease.ID]bool // claims that a close was emitted for
	started map[lease.Principal]bool
	done    *Done
}

func (w *world) step(in Input) {
	w.trace = append(w.trace, fmt.Sprintf("%s %s", w.now.Sub(epoch), in))
	committedAll := true
	for _, e := range w.run.Step(w.now, in) {
		w.trace = append(w.trace, "    "+e.String())
		switch e := e.(type) {
		case AskHold:
			w.send(e.Node, e)
		case CommitHold:
			w.send(e.Node, e)
		case CloseClaim:
			w.told[e.Claim] = true
			w.send(e.Node, e)
		case ActivateLease:
			n := 0
			for _, m := range w.run.members {
				if !m.sliver.Lease.IsZero() && m.state != closing && m.state != out {
					n++
				}
				committedAll = committedAll && m.state != committing
			}
			if !committedAll || !w.plan.Partial && n != w.plan.Want {
				w.fail("activated with %d of %d leases in hand", n, w.plan.Want)
			}
			w.send(e.Node, e)
		case Done:
			if w.done != nil {
				w.fail("done twice")
			}
			w.done = &e
		}
	}
}

func (w *world) send(to lease.Principal, e Effect) {
	w.post = append(w.post, letter{to: w.nodes[to], what: e})
}

func (w *world) fail(format string, args ...any) {
	for _, line := range w.trace {
		w.t.Log(line)
	}
	w.t.Fatalf(format, args...)
}

// deliver takes letter i from the post.
func (w *world) deliver(i int) {
	l := w.post[i]
	w.post = append(w.post[:i:i], w.post[i+1:]...)
	if l.to == nil {
		w.step(l.in)
		return
	}
	var in Input
	var err error
	switch e := l.what.(type) {
	case AskHold:
		if in, err = l.to.take(w.now, e.Chain); w.dice.IntN(5) == 0 {
			in = Refused{l.to.who(), no(lease.ReasonCapacity)}
			clear(l.to.asks) // a node that refuses holds nothing
			clear(l.to.holds)
		}
	case CommitHold:
		in = l.to.commit(w.now, e.Hold)
	case ActivateLease:
		in = l.to.activate(w.now, e.Lease)
		if _, ok := in.(Activated); ok {
			var next Input = Running{Node: l.to.who()}
			if w.dice.IntN(10) == 0 {
				next = SliverFailed{Node: l.to.who(), Text: "exit 1"}
			} else {
				w.started[l.to.who()] = true
			}
			w.post = append(w.post, letter{in: next})
		}
	case CloseClaim:
		in, err = l.to.end(w.now, e)
	}
	if err != nil {
		w.fail("node %s: %v", l.to.name, err)
	}
	w.post = append(w.post, letter{in: in})
}

func TestGangProperties(t *testing.T) {
	outcomes := map[Outcome]int{}
	rapid.Check(t, func(t *rapid.T) {
		dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		names := []string{"a", "b", "c", "d", "e"}[:1+dice.IntN(5)]
		w := &world{t: t, dice: dice, now: epoch, nodes: map[lease.Principal]*node{}, told: map[lease.ID]bool{}, started: map[lease.Principal]bool{},
			plan: testPlan(1+dice.IntN(3), dice.IntN(2) == 0, names...)}
		for _, n := range names {
			w.nodes[leasetest.Who(n)] = newNode(n)
		}
		var err error
		if w.run, err = New(w.plan, leasetest.Key("alice"), new(counter)); err != nil {
			t.Fatal(err)
		}
		w.step(Start{})
		rough := dice.IntN(60)
		for i := 0; i < 400 && (w.done == nil || len(w.post) > 0); i++ {
			w.turn(rough)
		}
		if w.done == nil {
			w.fail("never done")
		}
		outcomes[w.done.Outcome]++
		w.judge()
	})
	for _, o := range []Outcome{OK, NoneKept, Partial} {
		if outcomes[o] == 0 && !t.Failed() {
			t.Errorf("outcome %s was never reached: %v", o, outcomes)
		}
	}
}

// turn has one thing happen.
func (w *world) turn(rough int) {
	dice := w.dice.IntN(200)
	at, waits := w.run.NextWake()
	switch {
	case dice == 0:
		w.step(Abort{})
	case len(w.post) == 0 || dice < 6 && waits:
		if !waits {
			if w.done == nil {
				w.fail("nothing on its way and no time to wake")
			}
			return
		}
		if at.After(w.now) {
			w.now = at
		}
		w.step(Tick{})
	default:
		i := w.dice.IntN(len(w.post))
		l := w.post[i]
		switch {
		case dice < 6+rough/3: // lost
			w.post = append(w.post[:i:i], w.post[i+1:]...)
			if l.to != nil && dice%2 == 0 {
				w.step(Failed{Node: l.to.who(), Trouble: NoPath, Text: "lost"})
			}
		case dice < 6+rough: // twice
			w.post = append(w.post, l)
			w.deliver(i)
		default:
			w.deliver(i)
		}
		w.now = w.now.Add(time.Duration(w.dice.IntN(500)) * time.Millisecond)
	}
}

// judge holds what must be true at the end, when all post has gone.
func (w *world) judge() {
	kept := map[lease.ID]bool{}
	for _, s := range w.done.Record.Slivers {
		kept[s.Lease] = true
	}
	ran := 0
	for _, s := range w.done.Record.Slivers {
		if w.started[s.Node] {
			ran++
		}
	}
	switch w.done.Outcome {
	case OK:
		if len(kept) != w.plan.Want || ran != w.plan.Want {
			w.fail("ok with %d slivers, %d of them running, %d wanted", len(kept), ran, w.plan.Want)
		}
	case Partial:
		if !w.plan.Partial || len(kept) == 0 {
			w.fail("partial with %d slivers", len(kept))
		}
	}
	long := w.now.Add(fuse + activation)
	for _, n := range w.nodes {
		for id, b := range n.holds {
			granted, claim := b.live(long), id
			if b.lease.Statement != nil {
				claim = b.lease.ID
			}
			// What still binds a node when every clock has run out was kept,
			// or its close is known to have been lost and is on record.
			if granted && !kept[claim] {
				w.fail("node %s is bound by %s, which nobody kept (told to close: %v, %v)",
					n.name, claim.Short(), w.told[id], w.told[claim])
			}
		}
	}
	if w.done.Outcome != OK && w.done.Outcome != Partial {
		for id := range kept {
			if !w.told[id] {
				w.fail("lease %s is on record after a failure, and was never told to close", id.Short())
			}
		}
	}
}
