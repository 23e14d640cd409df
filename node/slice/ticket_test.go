// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/purse"
)

// holder has a purse with a ticket on a model node, and plays the owner of a
// machine: every effect is done at once.
type holder struct {
	t      *testing.T
	purse  *purse.Purse
	node   *node
	ticket lease.ID
	spoil  func([][]byte) [][]byte // of what the purse released
	done   *Done
	drawn  []purse.Redeem
}

func newHolder(t *testing.T) *holder {
	d := leasetest.Draw(t, "cap(a cpu=300) -> t0(alice)").Last()
	h := &holder{t: t, purse: purse.New(leasetest.Key("alice")), node: newNode("a"), ticket: d.ID}
	h.purse.Step(epoch, purse.Keep{Chain: d.Chain()})
	return h
}

func (h *holder) plan(cpu uint64) Plan {
	p := testPlan(1, false, "a")
	p.Wish.Pool, p.Wish.RSet, p.Wish.Ports = lease.PoolSharp, lease.RSet{lease.CPU: cpu}, nil
	p.Candidates[0].Ticket = h.ticket
	return p
}

func (h *holder) play(m machine) Done {
	h.t.Helper()
	h.done = nil
	post := []Input{Start{}}
	for len(post) > 0 && h.done == nil {
		in := post[0]
		post = post[1:]
		for _, e := range m.Step(epoch, in) {
			post = append(post, h.perform(e)...)
		}
	}
	if h.done == nil {
		h.t.Fatal("never done")
	}
	return *h.done
}

func (h *holder) perform(e Effect) []Input {
	switch e := e.(type) {
	case DrawTicket:
		h.drawn = append(h.drawn, e.Wish)
		return []Input{h.draw(e)}
	case AskHold:
		in, err := h.node.take(epoch, e.Chain)
		if err != nil {
			h.t.Fatal(err)
		}
		return []Input{in}
	case CommitHold:
		return []Input{h.node.commit(epoch, e.Hold)}
	case ActivateLease:
		return []Input{h.node.activate(epoch, e.Lease), Running{Node: e.Node}}
	case CloseClaim:
		in, err := h.node.end(epoch, e)
		if err != nil {
			h.t.Fatal(err)
		}
		return []Input{in}
	case Done:
		h.done = &e
	}
	return nil
}

func (h *holder) draw(e DrawTicket) Input {
	for _, out := range h.purse.Step(epoch, e.Wish) {
		switch out := out.(type) {
		case purse.Release:
			chain := out.Chain
			if h.spoil != nil {
				chain = h.spoil(chain)
			}
			return Drawn{Node: e.Node, Chain: chain}
		case purse.Refuse:
			return Withheld{Node: e.Node, Text: out.Err.Error()}
		}
	}
	h.t.Fatal("the purse is silent")
	return nil
}

func (h *holder) run(cpu uint64) Done {
	h.t.Helper()
	m, err := New(h.plan(cpu), leasetest.Key("alice"), new(counter))
	if err != nil {
		h.t.Fatal(err)
	}
	return h.play(m)
}

// A slice by ticket runs, and its record says on what it was drawn.
func TestTicketRunsAndRenewsInItsSlot(t *testing.T) {
	h := newHolder(t)
	done := h.run(200)
	if done.Outcome != OK || len(done.Record.Slivers) != 1 || h.drawn[0].Slot != purse.AnySlot {
		t.Fatalf("got %s", done)
	}
	rec, err := ParseRecord(done.Record.Encode())
	if err != nil {
		t.Fatal(err)
	}
	old := rec.Slivers[0]
	// 300 of 300 in the slot that has 200: it costs what is more, not both.
	m, err := NewRenewal(rec, epoch.Add(2*time.Hour).Unix(), lease.RSet{lease.CPU: 300}, leasetest.Key("alice"), fresh())
	if err != nil {
		t.Fatal(err)
	}
	done = h.play(m)
	if done.Outcome != OK {
		t.Fatalf("got %s", done)
	}
	now := done.Record.Slivers[0]
	if wish := h.drawn[1]; wish.Slot != 0 || wish.Replaces != old.Lease || wish.Ticket != h.ticket {
		t.Errorf("renewed by %s", wish)
	}
	if now.Sliver != old.Sliver || now.Lease == old.Lease || now.RSet[lease.CPU] != 300 {
		t.Errorf("got %+v, before %+v", now, old)
	}
	if _, err := ParseRecord(done.Record.Encode()); err != nil {
		t.Error(err)
	}
}

func TestTicketIsUsedUp(t *testing.T) {
	h := newHolder(t)
	done := h.run(301)
	if done.Outcome != RefusedByOwner || !strings.HasPrefix(done.Why[0], OwnPurse+": redeeming ticket") {
		t.Errorf("got %s", done)
	}
	if len(h.node.asks) != 0 {
		t.Error("the node was asked for what the purse refused")
	}
}

// What the purse hands out is not sent on unless it is what was wished.
func TestAnotherRedeemIsNotSent(t *testing.T) {
	for name, spoil := range map[string]func([][]byte) [][]byte{
		"no redeem": func(c [][]byte) [][]byte { return c[:len(c)-1] },
		"garbage":   func(c [][]byte) [][]byte { return append(c[:len(c)-1:len(c)-1], []byte("x")) },
		"empty":     func([][]byte) [][]byte { return nil },
	} {
		h := newHolder(t)
		h.spoil = spoil
		if done := h.run(100); done.Outcome != Broken || len(h.node.asks) != 0 {
			t.Errorf("%s: got %s", name, done)
		}
	}
	h := newHolder(t)
	h.spoil = func(c [][]byte) [][]byte { // a redeem of the same ticket, for more
		wish := h.drawn[0]
		wish.RSet, wish.Request = lease.RSet{lease.CPU: 150}, lease.Request{99}
		for _, e := range h.purse.Step(epoch, wish) {
			if r, ok := e.(purse.Release); ok {
				return r.Chain
			}
		}
		return nil
	}
	if done := h.run(100); done.Outcome != Broken || len(h.node.asks) != 0 {
		t.Errorf("another wish: got %s", done)
	}
}

// A record whose redeem is not the one behind the lease is damaged.
func TestRecordWithAnotherRedeem(t *testing.T) {
	rec := newHolder(t).run(100).Record
	for name, redeem := range map[string][]byte{"none": nil, "garbage": []byte("x"), "the lease": rec.Slivers[0].Signed} {
		rec.Slivers[0].Redeem = redeem
		if _, err := ParseRecord(rec.Encode()); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestPoolAndTicketGoTogether(t *testing.T) {
	h := newHolder(t)
	for name, spoil := range map[string]func(*Plan){
		"ticket, commons":  func(p *Plan) { p.Wish.Pool = lease.PoolCommons },
		"sharp, no ticket": func(p *Plan) { p.Candidates[0].Ticket = lease.ID{} },
	} {
		p := h.plan(1)
		spoil(&p)
		if _, err := New(p, leasetest.Key("alice"), new(counter)); err == nil {
			t.Errorf("%s: planned", name)
		}
	}
}

// fresh gives request ids that the run before has not used.
func fresh() *counter { c := counter(100); return &c }

// Who may run for another redeems a ticket of his own for that other's slice, and
// renews in its slot.
func TestTicketForTheSliceOfAnother(t *testing.T) {
	h, carol := newHolder(t), leasetest.Who("carol")
	plan := h.plan(200)
	plan.Owner = carol
	m, err := New(plan, leasetest.Key("alice"), new(counter))
	if err != nil {
		t.Fatal(err)
	}
	done := h.play(m)
	rec, err := ParseRecord(done.Record.Encode())
	if err != nil || done.Outcome != OK || rec.Owner != carol || rec.Actor != leasetest.Who("alice") || h.drawn[0].Owner != carol {
		t.Fatalf("got %s, %v; drawn for %s", done, err, h.drawn[0].Owner.Short())
	}
	renew := func(rec Record) Done {
		m, err := NewRenewal(rec, epoch.Add(2*time.Hour).Unix(), lease.RSet{}, leasetest.Key("alice"), fresh())
		if err != nil {
			t.Fatal(err)
		}
		return h.play(m)
	}
	done = renew(rec)
	if done.Outcome != OK || h.drawn[1].Owner != carol || h.drawn[1].Slot != 0 {
		t.Fatalf("got %s, drawn %s", done, h.drawn[1])
	}

	// What a node tells of a sliver can be acted on where the redeem was lost, but
	// not renewed: in another slot it would be drawn twice.
	now := done.Record.Slivers[0]
	bare, err := Record{Slice: rec.Slice, Owner: carol, Actor: rec.Actor}.Adopt(now.Node, now.Name, now.Signed)
	if err != nil {
		t.Fatal(err)
	}
	rec.Slivers = []Sliver{bare}
	if done = renew(rec); done.Outcome != Broken || !strings.Contains(done.Why[0], "lacks the redeem") || len(h.drawn) != 2 {
		t.Errorf("got %s", done)
	}
	if kept, err := done.Record.Adopt(now.Node, now.Name, now.Signed); err != nil || kept.Redeem != nil {
		t.Errorf("adopted %+v, %v", kept, err)
	}
}
