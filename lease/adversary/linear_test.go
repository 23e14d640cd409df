// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"croft/lease"
	"croft/lease/leasetest"
)

// Concurrent clients ask, commit, activate, renew and close at one node, whose
// loop takes what has arrived in any order, lets time pass and loses power. What
// they saw must be what some order of one at a time gives (porcupine searches for
// it), by a model that knows nothing of the ledger: a list of bookings, and a sum
// for every second.

// op is what one client wanted of booking n.
type op struct {
	what     string // ask, commit, activate, close or tick
	n        int
	cpu      uint64
	from     int64
	until    int64
	replaces int // of a renewal, else -1
	claim    string
}

type booked struct {
	n                   int
	cpu                 uint64
	from, until, fuse   int64
	live, lease, active bool
	replaces            int
	closed              string // the claim that a close named
}

type node struct {
	now  int64
	book []booked
}

const linearHold, linearActivate, linearCPU = 5, 7, 10

func (s node) find(n int) int {
	return slices.IndexFunc(s.book, func(b booked) bool { return b.n == n })
}

// next returns what an operation does, and whether it is granted.
func (s node) next(in op) (node, bool) {
	s.book = slices.Clone(s.book)
	i := s.find(in.n)
	switch in.what {
	case "tick":
		s.now += in.until
		s.lapse()
		return s, true
	case "ask":
		return s.ask(in, i)
	}
	if i < 0 {
		return s, false
	}
	b := &s.book[i]
	switch in.what {
	case "commit":
		if b.lease {
			return s, true
		}
		if !b.live {
			return s, false
		}
		b.lease, b.fuse = true, min(s.now+linearActivate, b.until)
		if b.replaces >= 0 {
			b.active = true
			old := &s.book[s.find(b.replaces)]
			old.until = min(old.until, b.from)
		}
	case "activate":
		if !b.active && !(b.live && b.lease) {
			return s, false
		}
		b.active = true
	case "close":
		if b.closed == in.claim {
			return s, true
		}
		if !b.live {
			return s, false
		}
		b.live, b.closed = false, in.claim
		for j, heir := range s.book { // what was to continue it is called off
			if heir.replaces == b.n && heir.live && !heir.lease {
				s.book[j].live = false
			}
		}
	}
	s.lapse()
	return s, true
}

func (s *node) lapse() {
	for i, b := range s.book {
		due := b.until
		if !b.active {
			due = min(due, b.fuse)
		}
		if due <= s.now {
			s.book[i].live = false
		}
	}
}

func (s node) ask(in op, i int) (node, bool) {
	if i >= 0 {
		return s, true // the same again
	}
	b := booked{n: in.n, cpu: in.cpu, from: in.from, until: in.until, live: true, replaces: in.replaces, fuse: min(s.now+linearHold, in.until)}
	if in.until <= s.now {
		return s, false
	}
	if in.replaces >= 0 {
		j := s.find(in.replaces)
		if j < 0 {
			return s, false
		}
		old := s.book[j]
		waits := slices.ContainsFunc(s.book, func(o booked) bool { return o.live && !o.lease && o.replaces == in.replaces })
		if !old.live || !old.active || waits || in.from < old.from || in.from > old.until {
			return s, false
		}
		b.fuse = min(b.fuse, old.until)
	}
	s.book = append(s.book, b)
	for at := in.from; at < in.until; at++ {
		if s.load(at) > linearCPU {
			s.book = s.book[:len(s.book)-1]
			return s, false
		}
	}
	return s, true
}

func (s node) load(at int64) (sum uint64) {
	for _, b := range s.book {
		if !b.live || at < b.from || at >= b.until {
			continue
		}
		sum += b.cpu
		if b.replaces < 0 || b.lease {
			continue
		}
		if old := s.book[s.find(b.replaces)]; old.live && old.from <= at && at < old.until {
			sum -= min(b.cpu, old.cpu) // the two at their maximum
		}
	}
	return sum
}

var linear = porcupine.Model{
	Init: func() any { return node{} },
	Step: func(state, in, out any) (bool, any) {
		next, granted := state.(node).next(in.(op))
		return granted == out.(bool), next
	},
	Equal: func(a, b any) bool {
		x, y := a.(node), b.(node)
		return x.now == y.now && slices.Equal(x.book, y.book)
	},
}

// The checker would notice: ten of ten are given twice.
func TestLinearCheckerRefuses(t *testing.T) {
	ask := func(n int, granted bool) porcupine.Operation {
		return porcupine.Operation{ClientId: n, Input: op{what: "ask", n: n, cpu: 10, until: 5, replaces: -1}, Output: granted, Call: 1, Return: 2}
	}
	for granted, want := range map[bool]porcupine.CheckResult{true: porcupine.Illegal, false: porcupine.Ok} {
		if got := porcupine.CheckOperationsTimeout(linear, []porcupine.Operation{ask(1, true), ask(2, granted)}, time.Minute); got != want {
			t.Errorf("second granted %v: %s", granted, got)
		}
	}
}

func TestConcurrentClients(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 5
	}
	// How the clients interleave is the scheduler's: the rounds go on until every
	// case has been met often enough.
	tally := map[string]int{}
	rare := func() string {
		for _, what := range []string{"ask true", "ask false", "renew true", "commit true", "commit false", "activate true", "close true", "power fails"} {
			if tally[what] < rounds/2 {
				return what
			}
		}
		return ""
	}
	for seed := 0; seed < rounds || rare() != "" && seed < 20*rounds; seed++ {
		ops := concurrently(t, uint64(seed), tally)
		if result := porcupine.CheckOperationsTimeout(linear, ops, time.Minute); result != porcupine.Ok {
			for _, o := range ops {
				t.Logf("client %d, %d to %d: %+v granted=%v", o.ClientId, o.Call, o.Return, o.Input, o.Output)
			}
			t.Fatalf("round %d: no order of one at a time gives this: %s", seed, result)
		}
	}
	t.Logf("%v", tally)
	if what := rare(); what != "" {
		t.Errorf("%s: only %d times in %d rounds", what, tally[what], 20*rounds)
	}
}

// call is a message to the node's loop.
type call struct {
	in    lease.Input
	tick  int64
	reply chan<- lease.Answer
}

// serve is the node's loop: it owns the ledger, and takes what has arrived in
// any order.
func serve(t *testing.T, r *rand.Rand, calls <-chan call, clock *atomic.Int64) (crashes int) {
	cfg := config()
	cfg.HoldFuse, cfg.ActivateFuse = linearHold, linearActivate
	cfg.Pools = cfg.Pools[1:2]
	cfg.Pools[0].Capacity, cfg.Pools[0].MaxTerm = lease.RSet{lease.CPU: linearCPU}, 0
	l := lease.NewLedger(cfg)
	var journal []lease.Fact
	for c := range calls {
		list := []call{c}
		for more := true; more; {
			select {
			case c, ok := <-calls:
				if more = ok; ok {
					list = append(list, c)
				}
			default:
				more = false
			}
		}
		for _, i := range r.Perm(len(list)) {
			c := list[i]
			var answer lease.Answer
			for _, e := range l.Step(time.Unix(epoch+clock.Add(c.tick), 0), c.in) {
				switch e := e.(type) {
				case lease.Fact:
					journal = append(journal, e)
				case lease.Answer:
					answer = e
				}
			}
			if r.IntN(20) == 0 {
				crashes++
				l = lease.NewLedger(cfg)
				for _, f := range journal {
					if err := l.Restore(f); err != nil {
						t.Errorf("restoring: %v", err)
					}
				}
			}
			c.reply <- answer
		}
	}
	return crashes
}

// concurrently has five clients, two of them of one principal, work at one node
// and returns what each did and saw.
func concurrently(t *testing.T, seed uint64, tally map[string]int) []porcupine.Operation {
	calls := make(chan call, 8)
	var clock, order atomic.Int64
	var mu sync.Mutex
	var ops []porcupine.Operation
	var loop, all sync.WaitGroup
	loop.Go(func() {
		tally["power fails"] += serve(t, rand.New(rand.NewPCG(seed, 11)), calls, &clock)
	})
	for id, name := range []string{"alice", "alice", "bob", "carol", "dave"} {
		c := &client{t: t, id: id, key: leasetest.Key(name), r: rand.New(rand.NewPCG(seed, uint64(id))), calls: calls, clock: &clock, order: &order}
		all.Go(func() {
			for range 12 {
				c.act()
			}
			mu.Lock()
			defer mu.Unlock()
			ops = append(ops, c.ops...)
		})
	}
	all.Wait()
	close(calls)
	loop.Wait()
	for _, o := range ops {
		in := o.Input.(op)
		if in.replaces >= 0 && in.what == "ask" {
			in.what = "renew"
		}
		tally[fmt.Sprint(in.what, " ", o.Output)]++
	}
	return ops
}

// client is one of the clients, with what it knows of its own bookings.
type client struct {
	t            *testing.T
	id           int
	key          lease.Signer
	r            *rand.Rand
	calls        chan<- call
	clock, order *atomic.Int64
	ops          []porcupine.Operation
	made         []mine
}

type mine struct {
	n           int
	ask         lease.Wish
	op          op
	hold, lease lease.ID
}

func (c *client) do(in op, message lease.Input, tick int64) (answer lease.Answer, granted bool) {
	reply := make(chan lease.Answer, 1)
	o := porcupine.Operation{ClientId: c.id, Input: in, Call: c.order.Add(1)}
	c.calls <- call{message, tick, reply}
	answer = <-reply
	o.Return = c.order.Add(1)
	granted = answer.Refusal == nil
	o.Output = granted
	c.ops = append(c.ops, o)
	return answer, granted
}

func (c *client) act() {
	if c.r.IntN(8) == 0 {
		d := 1 + c.r.Int64N(3)
		if c.clock.Load() < 20 { // a wish may begin at most half a minute ago
			c.do(op{what: "tick", until: d, replaces: -1}, lease.Tick{}, d)
		}
		return
	}
	if len(c.made) == 0 || c.r.IntN(3) == 0 {
		c.ask(-1, lease.ID{})
		return
	}
	m := &c.made[c.r.IntN(len(c.made))]
	switch {
	case c.r.IntN(6) == 0:
		c.do(m.op, m.ask, 0) // once more
	case m.lease.IsZero() && c.r.IntN(8) > 0:
		if a, ok := c.do(op{what: "commit", n: m.n, replaces: -1}, lease.Commit{Ref: 1, Caller: c.key.Principal(), Hold: m.hold}, 0); ok {
			m.lease = c.idOf(a)
		}
	case c.r.IntN(4) == 0:
		claim, name := m.hold, "hold"
		if !m.lease.IsZero() {
			claim, name = m.lease, "lease"
		}
		s := c.seal(&lease.Close{K: lease.KindClose, Issuer: c.key.Principal(), Node: leasetest.Who("n1"), Claim: claim, At: epoch})
		c.do(op{what: "close", n: m.n, replaces: -1, claim: name}, lease.End{Ref: 1, Caller: c.key.Principal(), Close: s}, 0)
	case m.lease.IsZero():
	case c.r.IntN(2) == 0:
		c.do(op{what: "activate", n: m.n, replaces: -1}, lease.Activate{Ref: 1, Caller: c.key.Principal(), Lease: m.lease, Program: []byte("probe")}, 0)
	default:
		c.ask(m.n, m.lease)
	}
}

func (c *client) ask(replaces int, old lease.ID) {
	n := len(c.ops)*10 + c.id
	from := c.clock.Load()
	most := uint64(6)
	if replaces >= 0 {
		most = 3 // or it rarely fits
	}
	in := op{what: "ask", n: n, cpu: 1 + c.r.Uint64N(most), from: from, until: from + 1 + c.r.Int64N(15), replaces: replaces}
	s := c.seal(&lease.Ask{K: lease.KindAsk, Issuer: c.key.Principal(), Node: leasetest.Who("n1"), RSet: lease.RSet{lease.CPU: in.cpu}, From: epoch + in.from,
		Until: epoch + in.until, Slice: "s", Request: lease.Request{byte(n), byte(n >> 8), 1}, Pool: lease.PoolCommons, Replaces: old})
	wish := lease.Wish{Ref: 1, Caller: c.key.Principal(), Chain: [][]byte{s}}
	if a, ok := c.do(in, wish, 0); ok {
		c.made = append(c.made, mine{n: n, ask: wish, op: in, hold: c.idOf(a)})
	}
}

func (c *client) idOf(a lease.Answer) lease.ID {
	o, err := lease.Open(a.Statements[len(a.Statements)-1])
	if err != nil {
		c.t.Error(err)
	}
	return o.ID
}

func (c *client) seal(st lease.Statement) []byte {
	s, err := lease.Seal(st, c.key)
	if err != nil {
		c.t.Error(err)
	}
	return s.Bytes()
}
