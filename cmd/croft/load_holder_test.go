// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"croft/lease"
	"croft/lease/purse"
	"croft/lease/sign"
	"croft/node/api"
	"croft/node/client"
)

// holder is one principal under load: it wishes in one pool, at random, and does
// at random what holders do with what they get.
type holder struct {
	*load
	name  string
	pool  lease.Pool
	key   *sign.Key
	node  *client.Node
	rng   *rand.Rand
	purse *purse.Purse  // of one who redeems
	inbox chan [][]byte // tickets that come
	mine  []*promise
	past  []repeat
	asked int
}

// repeat is a request that was answered: again it gives the same bytes.
type repeat struct {
	what string
	call func() (api.Answer, error)
	got  [][]byte
}

func (l *load) holder(name string, pool lease.Pool, seed uint64) *holder {
	key, err := sign.Generate(crand.Reader)
	if err != nil {
		l.t.Fatal(err)
	}
	h := &holder{load: l, name: name, pool: pool, key: key, node: l.way.Node(l.who, key), rng: rand.New(rand.NewPCG(seed, uint64(len(name)))),
		purse: purse.New(key), inbox: make(chan [][]byte, 64)}
	l.t.Cleanup(h.node.Close)
	return h
}

func (h *holder) chance(percent int) bool { return h.rng.IntN(100) < percent }

// between draws a number from the least to below the most.
func (h *holder) between(least, most int64) int64 { return least + h.rng.Int64N(most-least) }

// pause waits up to that many milliseconds.
func (h *holder) pause(ctx context.Context, most int64) {
	wait(ctx, time.Duration(h.between(0, most))*time.Millisecond)
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// work goes on until the load ends.
func (h *holder) work(ctx context.Context) {
	for ctx.Err() == nil {
		h.pause(ctx, 900)
		h.receive()
		switch n := h.rng.IntN(100); {
		case n < 50, h.pool == lease.PoolSharp && n < 75:
			h.story(ctx)
		case n < 62:
			h.again()
		case len(h.mine) == 0:
		case n < 80:
			h.end(h.pick())
		default:
			h.renew(ctx, h.pick())
		}
		if len(h.mine) > 40 {
			h.mine = h.mine[1:]
		}
	}
}

func (h *holder) pick() *promise {
	h.hurry()
	p := h.mine[h.rng.IntN(len(h.mine))]
	for range 4 { // of what has ended, a few will do
		var open bool
		if h.book.do(func() { _, open = p.span(time.Now()) }); open {
			break
		}
		p = h.mine[h.rng.IntN(len(h.mine))]
	}
	return p
}

// hurry activates what was reserved and has its term now, as far as it may.
func (h *holder) hurry() {
	for _, p := range h.mine {
		var due bool
		h.book.do(func() {
			now := time.Now()
			_, open := p.span(now)
			due = open && p.pool == lease.PoolCalendar && p.fuse != 0 && p.term.From-2 < now.Unix()
		})
		if due && h.chance(80) {
			h.activate(p)
		}
	}
}

// call repeats a request, the same bytes each time, until it is answered: daemons
// that are killed do not.
func (h *holder) call(f func() (api.Answer, error)) (api.Answer, error) {
	late, cancel := context.WithTimeout(h.t.Context(), 2*time.Minute)
	defer cancel()
	for {
		a, err := f()
		if err == nil {
			return a, nil
		}
		p := new(client.Problem)
		if errors.As(err, &p) && p.Status < 500 && p.Status != http.StatusTooManyRequests && p.Status != http.StatusConflict {
			return a, err
		}
		if wait(late, 100*time.Millisecond); late.Err() != nil {
			return a, err
		}
	}
}

// request is call for what is said again later.
func (h *holder) request(what string, f func() (api.Answer, error)) (a api.Answer, ok bool) {
	var err error
	if h.chance(15) { // twice at the same time
		var twin api.Answer
		var both sync.WaitGroup
		both.Go(func() { twin, _ = h.call(f) })
		a, err = h.call(f)
		both.Wait()
		if len(a.Statements) > 0 && len(twin.Statements) > 0 && !equal(a.Statements, twin.Statements) {
			h.book.fault("%s of %s, sent twice at once, got two answers", what, h.name)
		}
	} else {
		a, err = h.call(f)
	}
	if err != nil {
		if h.t.Context().Err() == nil {
			h.book.fault("%s of %s: %v", what, h.name, err)
		}
		return a, false
	}
	if len(a.Statements) > 0 {
		h.past = append(h.past, repeat{what, f, a.Statements})
		if len(h.past) > 200 {
			h.past = h.past[1:]
		}
	}
	if a.Refusal != nil {
		h.book.add("refused " + a.Refusal.Code)
		switch a.Refusal.Code {
		case "over-issued", "local:quarantine", "local:invalid", "local:request", "local:visitor", "local:space":
			h.book.fault("%s of %s: %v", what, h.name, a.Refusal)
		}
	}
	return a, true
}

func equal(a, b [][]byte) bool { return bytes.Equal(bytes.Join(a, nil), bytes.Join(b, nil)) }

// again says something again that was said before.
func (h *holder) again() {
	if len(h.past) == 0 {
		return
	}
	r := h.past[h.rng.IntN(len(h.past))]
	a, err := h.call(r.call)
	if a.Refusal != nil && a.Refusal.Code == noLease {
		return // nothing of this holder is there to be activated
	}
	if h.book.add("repeats"); err != nil || !equal(a.Statements, r.got) {
		h.book.fault("%s of %s, said again: %d statements that differ from the first %d, %v, %v", r.what, h.name, len(a.Statements), len(r.got), a.Refusal, err)
	}
}

// amounts draws what to wish for: at most that much processor and memory.
func (h *holder) amounts(cpu, mib int64) lease.RSet {
	s := fmt.Sprintf("cpu=%d,memory=%dMiB,disk=%dMiB,pids=16,egress.rate=1mbit,ingress.rate=1mbit,egress.packets=500,ingress.packets=500,flows.live=64,flows.new=50",
		h.between(20, cpu), h.between(8, mib), 4*h.between(0, 3))
	rset, err := lease.ParseRSet(s)
	if err != nil {
		h.book.fault("%s: %v", s, err)
	}
	return rset
}

// story is one wish and what comes of it.
func (h *holder) story(ctx context.Context) {
	h.asked++
	now := time.Now().Unix()
	p := &promise{by: h, pool: h.pool, slice: fmt.Sprintf("%s-%d", h.name, h.asked), term: lease.Term{From: now, Until: now + h.between(6, 30)}}
	var chain [][]byte
	switch h.pool {
	case lease.PoolSharp:
		p.lead, p.term.Until = loadNotice, now+h.between(8, 25)
		if chain = h.redeem(p, nil); chain == nil {
			return
		}
	case lease.PoolShare:
		p.soft, p.rset = true, h.amounts(3000, 120)
	case lease.PoolCalendar:
		p.term.From += h.between(1, 15)
		p.term.Until, p.alone, p.rset = p.term.From+h.between(5, 20), h.chance(4), h.amounts(900, 120)
	default:
		p.rset = h.amounts(1100, 150)
	}
	if chain == nil {
		chain = h.ask(p, lease.ID{})
	}
	if !h.wish(p, chain) {
		return
	}
	h.mine = append(h.mine, p)
	if h.chance(12) { // let it fall, and be late
		if h.chance(50) {
			h.end(p)
		}
		return
	}
	if h.chance(10) { // out of order
		if a, ok := h.request("early activation", h.activation(p.hold.ID)); ok && a.Refusal == nil {
			h.book.fault("hold of slice %s was activated", p.slice)
		}
	}
	h.pause(ctx, 1200)
	var both sync.WaitGroup
	if h.chance(4) { // commit and close at the same time
		shut := h.closing(p)
		both.Go(func() { _, _ = h.call(shut) })
	}
	had := h.commit(p)
	both.Wait()
	if had && h.pool != lease.PoolCalendar && h.chance(75) {
		h.pause(ctx, 500)
		h.activate(p)
	}
}

func (h *holder) seal(st lease.Statement) []byte {
	signed, err := lease.Seal(st, h.key)
	if err != nil {
		h.book.fault("%s: %v", h.name, err)
		return nil
	}
	return signed.Bytes()
}

func (h *holder) nonce() (q lease.Request) {
	_, _ = crand.Read(q[:]) // it does not fail
	return q
}

func (h *holder) ask(p *promise, replaces lease.ID) [][]byte {
	a := &lease.Ask{K: lease.KindAsk, Issuer: h.key.Principal(), Node: h.who, RSet: p.rset, From: p.term.From, Until: p.term.Until,
		Slice: p.slice, Request: h.nonce(), Replaces: replaces, Pool: p.pool}
	if p.soft {
		a.Class, a.Weight = lease.Evictable, 1<<h.rng.IntN(5)
	}
	if p.alone {
		a.Alone = 1
	}
	return [][]byte{h.seal(a)}
}

// redeem draws on a ticket of the purse; old is what it continues.
func (h *holder) redeem(p *promise, old *promise) [][]byte {
	in := purse.Redeem{Slot: purse.AnySlot, Term: p.term, Slice: p.slice, Request: h.nonce()}
	if old != nil {
		_, last, err := openRedeem(old.hold, old.chain)
		if err != nil {
			return nil
		}
		in.Ticket, in.Slot, in.Replaces, in.RSet = last.Parent, int(last.Slot), old.lease.ID, p.rset
	} else {
		var fit []purse.Held
		for _, t := range h.purse.Held() {
			if p.term.Within(t.Term()) {
				fit = append(fit, t)
			}
		}
		if len(fit) == 0 {
			return nil
		}
		t := fit[h.rng.IntN(len(fit))]
		p.rset = h.amounts(700, 100)
		if h.chance(60) { // nearly all of it
			p.rset[lease.CPU], p.rset[lease.Memory] = t.RSet[lease.CPU]*9/10, t.RSet[lease.Memory]*9/10
		}
		most := t.RSet
		if h.chance(90) {
			most = t.Left(p.term)
		}
		for r := range most {
			p.rset[r] = min(p.rset[r], most[r])
		}
		if p.rset[lease.CPU] < 20 || p.rset[lease.Memory] < 8<<20 {
			return nil // it is spent for now
		}
		if in.Ticket, in.RSet = t.ID, p.rset; h.chance(15) {
			in.Slot = h.rng.IntN(3)
		}
	}
	return h.sign(in)
}

// sign has the purse do something and returns what it releases.
func (h *holder) sign(in purse.Input) [][]byte {
	for _, e := range h.purse.Step(time.Now(), in) {
		switch e := e.(type) {
		case purse.Release:
			return e.Chain
		case purse.Refuse:
			h.book.add("refused purse")
		}
	}
	return nil
}

// receive takes the tickets that came.
func (h *holder) receive() {
	for {
		select {
		case chain := <-h.inbox:
			h.sign(purse.Keep{Chain: chain})
		default:
			return
		}
	}
}

// openRedeem reads the wish behind a hold.
func openRedeem(hold lease.Opened, chain [][]byte) (lease.Chain, *lease.Redeem, error) {
	c, err := lease.VerifyChain(chain, hold.Statement.(*lease.Hold).Node)
	if err != nil {
		return c, nil, err
	}
	r, _, _ := c.Redeem()
	return c, r, nil
}

// wish sends a wish and verifies what is answered.
func (h *holder) wish(p *promise, chain [][]byte) bool {
	h.book.add("wishes")
	p.chain = chain
	a, ok := h.request("wish", func() (api.Answer, error) { return h.node.Wish(h.t.Context(), chain) })
	if !ok || len(a.Statements) == 0 {
		return false
	}
	to, err := lease.Open(chain[len(chain)-1])
	var path lease.Chain
	if err == nil && len(chain) > 1 {
		if path, err = lease.VerifyChain(chain, h.who); err == nil {
			to = path.Leaf()
		}
	}
	var o lease.Opened
	if err == nil {
		o, err = lease.VerifyAnswer(to, a.Statements[0])
	}
	if err != nil {
		h.book.fault("answer to a wish of %s: %v", h.name, err)
		return false
	}
	switch st := o.Statement.(type) {
	case *lease.Hold:
		h.book.holds(p, o)
		return true
	case *lease.Reject:
		if len(chain) > 1 && st.Sort != lease.Local {
			if err := lease.VerifyAttachment(path, st, a.Refusal.Attachment); err != nil {
				h.book.fault("%s is not borne out: %v", a.Refusal, err)
			}
			h.book.add("borne out")
		}
	default:
		h.book.fault("a %s came in answer to a wish", o.Kind())
	}
	return false
}

func (h *holder) commit(p *promise) bool {
	h.book.do(func() { p.committing = true })
	sent := time.Now()
	a, ok := h.request("commit", func() (api.Answer, error) { return h.node.Commit(h.t.Context(), p.hold.ID) })
	if !ok || a.Refusal != nil {
		h.book.do(func() { p.committing = !ok })
		return false
	}
	if sent.After(time.Unix(p.until+1, 0)) {
		h.book.fault("hold of slice %s was committed %s after its fuse", p.slice, sent.Sub(time.Unix(p.until, 0)))
	}
	to, err := lease.Open(p.chain[len(p.chain)-1])
	var o lease.Opened
	if err == nil {
		o, err = lease.VerifyAnswer(to, a.Statements[0])
	}
	if _, is := o.Statement.(*lease.Lease); err != nil || !is {
		h.book.fault("answer to a commit of %s: a %s, %v", h.name, o.Kind(), err)
		return false
	}
	h.book.leases(p, o)
	return true
}

// activate starts the sliver, if the machine has room for one more.
func (h *holder) activate(p *promise) {
	select {
	case <-h.tokens:
	default:
		return
	}
	a, ok := h.request("activation", h.activation(p.lease.ID))
	if ok && a.Refusal != nil && a.Refusal.Code == noLease && !p.soft { // an evictable one may have gone
		h.book.do(func() {
			if t, open := p.span(time.Now()); open {
				h.book.breach("%s of slice %s is in force for %s, and its program refused: %v", p.what(), p.slice, t, a.Refusal)
			}
		})
	}
	if ok && a.Refusal == nil {
		h.book.add("activations")
		h.book.do(func() { p.fuse = 0 })
	}
}

// noLease is what a node says that takes no program from who has no lease.
const noLease = "no lease"

// activation sends the program, unless the node has it, and activates.
func (h *holder) activation(id lease.ID) func() (api.Answer, error) {
	return func() (api.Answer, error) {
		err := h.send(h.t.Context(), h.node)
		if p := new(client.Problem); errors.As(err, &p) && p.Status == http.StatusForbidden {
			return api.Answer{Refusal: &api.Refusal{Code: noLease, Text: p.Detail}}, nil
		}
		if err != nil {
			return api.Answer{}, err
		}
		return h.node.Activate(h.t.Context(), id, h.program)
	}
}

// closing signs a close of p, and says that it is about to go out.
func (h *holder) closing(p *promise) func() (api.Answer, error) {
	var of lease.Opened
	h.book.do(func() {
		if of = p.hold; p.lease.Statement != nil {
			of = p.lease
		}
	})
	now := time.Now().Unix()
	h.book.ending(p, now)
	b := h.seal(&lease.Close{K: lease.KindClose, Issuer: h.key.Principal(), Node: h.who, Claim: of.ID, At: now})
	return func() (api.Answer, error) {
		a, err := h.node.End(h.t.Context(), b)
		if err == nil && (a.Refusal == nil || a.Refusal.Code == "local:state") {
			h.book.ends(p, time.Now())
		}
		return a, err
	}
}

func (h *holder) end(p *promise) {
	if p.lease.Statement == nil && time.Now().After(time.Unix(p.until+1, 0)) && h.chance(50) {
		h.commit(p) // late
		return
	}
	h.book.add("closes")
	h.request("close", h.closing(p))
}

// renew has a sliver run on, longer or not, with more or less.
func (h *holder) renew(ctx context.Context, old *promise) {
	now := time.Now().Unix()
	if old.lease.Statement == nil || old.fuse != 0 || old.alone || old.term.From+old.lead > now || old.term.Until <= now+1 {
		return
	}
	p := &promise{by: h, pool: old.pool, slice: old.slice, soft: old.soft, old: old, rset: old.rset}
	p.term.From = now
	if h.chance(25) {
		p.term.From = old.term.Until
	}
	p.term.Until = p.term.From + h.between(5, 25)
	for _, r := range []lease.Resource{lease.CPU, lease.Memory} {
		p.rset[r] = max(20, p.rset[r]*uint64(h.between(50, 150))/100)
	}
	p.rset[lease.Memory] = max(p.rset[lease.Memory], 8<<20)
	var chain [][]byte
	if p.pool == lease.PoolSharp {
		chain = h.redeem(p, old)
	} else {
		chain = h.ask(p, old.lease.ID)
	}
	if chain == nil || !h.wish(p, chain) {
		return
	}
	if h.mine = append(h.mine, p); h.chance(15) {
		return // it falls
	}
	h.pause(ctx, 800)
	if h.commit(p) {
		h.book.add("renewals")
		h.book.do(func() { p.fuse = 0 })
	}
}
