// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/oracle"
	"croft/lease/purse"
)

// The world is small and coarse, so that things meet: few people, few units, and
// all terms within some seconds.
const (
	epoch   = leasetest.Epoch
	horizon = 60 // seconds in which all terms lie
	cpus    = 8
	pids    = 6
	notice  = 5 // seconds, of whoever is evicted; the grace of others is shorter
)

// world is a node, people, and what is on the way between them.
type world struct {
	r       *rand.Rand
	clock   int64 // true time; everybody's own is skewed
	cfg     lease.LedgerConfig
	l       *lease.Ledger
	skew    int64 // of the node
	journal []lease.Fact

	people  []*person
	lending bool          // much is lent out, renewed, and taken back
	mail    []lease.Input // sent to the node: delivered in any order, any number of times
	request uint64

	signed   map[lease.ID]lease.Opened // all bytes that ever left their signer
	order    []lease.ID                // in which they did
	attached map[lease.Digest][]byte   // what came with refusals
	answered map[lease.ID][][]byte     // the first answer to each wish
	known    map[string]lease.ID       // their ids, by the bytes
	sound    map[lease.ID]bool         // whether the chain down to it holds, where that was asked
	cache    *lease.Cache
	saw      map[lease.ID]bool // what the node had before it in a chain that verifies
	proved   [][]byte          // proofs that the ledger told of
	oracle   *oracle.Oracle
	sights   map[string]int // what came about
	proofs   int            // conflicts that the node saw, and proved
	log      []string
}

// person is an honest principal with a purse, or one that signs what it likes.
type person struct {
	name      string
	key       lease.Signer
	purse     *purse.Purse
	journal   []purse.Fact
	skew      int64
	dishonest bool
	tickets   [][][]byte // of the dishonest: chains of what it holds
}

// broken is how a check fails: it ends the history.
type broken string

func (w *world) fail(format string, args ...any) {
	panic(broken(fmt.Sprintf(format, args...)))
}

func (w *world) say(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%3d  ", w.clock-epoch)+fmt.Sprintf(format, args...))
}

func newWorld(seed uint64, dishonest bool) *world {
	w := &world{r: rand.New(rand.NewPCG(seed, 7)), clock: epoch, signed: map[lease.ID]lease.Opened{},
		attached: map[lease.Digest][]byte{}, answered: map[lease.ID][][]byte{}, known: map[string]lease.ID{},
		sound: map[lease.ID]bool{}, cache: lease.NewCache(1000), saw: map[lease.ID]bool{}, sights: map[string]int{}}
	w.cfg = config()
	w.oracle = oracle.New(oracle.Config{Lead: notice, Lent: []lease.Resource{lease.Pids}, Epoch: epoch, Until: epoch + horizon + 20,
		Open:  func(b []byte) (lease.Opened, error) { return w.see(b), nil },
		Claim: func(id lease.ID) lease.Statement { return w.signed[id].Statement },
		Sight: func(what string) { w.sights[what]++ }})
	w.l = lease.NewLedger(w.cfg)
	w.skew, w.lending = w.r.Int64N(5)-2, seed/2%4 == 0
	for _, name := range []string{"alice", "bob", "carol"} {
		w.people = append(w.people, &person{name: name, key: leasetest.Key(name), purse: purse.New(leasetest.Key(name)), skew: w.r.Int64N(5) - 2})
	}
	if dishonest {
		w.people[0] = &person{name: "mallory", key: leasetest.Key("mallory"), dishonest: true}
	}
	return w
}

func capacity() (s lease.RSet) {
	s[lease.CPU], s[lease.Pids] = cpus, pids
	return s
}

// allotted is the pool about which others decide.
const allotted lease.Pool = "auction"

// config is a node on which every mechanism has a pool. Of the share pool's
// resources one is lent to it, pids: it is charged all of so little CPU.
func config() lease.LedgerConfig {
	little := capacity()
	little[lease.Pids] = 2
	return lease.LedgerConfig{Key: leasetest.Key("n1"), HoldFuse: 4, ActivateFuse: 6, Grace: 3, Pools: []lease.PoolRule{
		{Pool: lease.PoolSharp, Capacity: capacity(), Mechanism: lease.MechanismSharp},
		{Pool: lease.PoolCommons, Capacity: capacity(), Mechanism: lease.MechanismGang, MaxTerm: 30},
		{Pool: lease.PoolCalendar, Capacity: capacity(), Mechanism: lease.MechanismCalendar, MaxTerm: 30, NoShow: 7, Exclusive: true},
		{Pool: lease.PoolShare, Capacity: little, Mechanism: lease.MechanismShare, MaxTerm: 30, Notice: notice, Borrow: true},
		{Pool: allotted, Capacity: capacity(), Mechanism: lease.MechanismAllocator, MaxTerm: 30},
	}}
}

// see keeps what left its signer.
func (w *world) see(b []byte) lease.Opened {
	if id, known := w.known[string(b)]; known {
		return w.signed[id]
	}
	o, err := lease.Open(b)
	if err != nil {
		w.fail("signed what does not open: %v", err)
	}
	if _, known := w.signed[o.ID]; !known {
		w.signed[o.ID] = o
		w.order = append(w.order, o.ID)
	}
	w.known[string(b)] = o.ID
	return o
}

func (w *world) fresh() (q lease.Request) {
	w.request++
	binary.BigEndian.PutUint64(q[:], w.request)
	return q
}

// bring has the node take an input, and notes what it then has seen.
func (w *world) bring(in lease.Input) {
	answers := w.node(in)
	if len(answers) == 0 || len(answers[0].Statements) == 0 {
		return // power failed, or it was not kept: what is not kept is not seen
	}
	wish, ok := in.(lease.Wish)
	if !ok || len(wish.Chain) < 2 {
		return
	}
	for _, b := range wish.Chain {
		w.saw[w.see(b).ID] = true
	}
}

// node gives the ledger one input. Power may fail after any of the facts; what
// was not durable then never left the machine.
func (w *world) node(in lease.Input) (answers []lease.Answer) {
	out := w.l.Step(time.Unix(w.clock+w.skew, 0), in)
	w.oracle.Step()
	var facts []lease.Fact
	var rest []lease.Effect
	for _, e := range out {
		if f, ok := e.(lease.Fact); ok {
			facts = append(facts, f)
		} else {
			rest = append(rest, e)
		}
	}
	durable, done := len(facts), len(rest)
	crash := w.r.IntN(12) == 0
	if crash {
		if durable = w.r.IntN(len(facts) + 1); durable < len(facts) {
			done = 0
		} else {
			done = w.r.IntN(len(rest) + 1)
		}
	}
	w.say("node at %d: %s", w.clock+w.skew-epoch, in)
	for _, f := range facts[:durable] {
		w.write(f)
	}
	for _, e := range rest[:done] {
		if a := w.effect(in, e); a != nil {
			answers = append(answers, *a)
		}
	}
	if crash {
		w.say("  power fails after %d facts of %d, %d effects of %d", durable, len(facts), done, len(rest))
		w.restart()
	}
	return answers
}

func (w *world) write(f lease.Fact) {
	w.say("  %s", f)
	w.journal = append(w.journal, f)
	for _, b := range [][]byte{f.Wish, f.Signed} {
		if len(b) > 0 && f.K != lease.FactProof {
			w.see(b)
		}
	}
	w.oracle.Follow(f)
}

// check has the oracle look.
func (w *world) check() {
	if err := w.oracle.Check(w.l); err != nil {
		w.fail("%v", err)
	}
}

// effect checks what leaves the node: all that it signed is in the journal
// already, and the same wish has the same answer for ever.
func (w *world) effect(in lease.Input, e lease.Effect) *lease.Answer {
	if p, ok := e.(lease.Proved); ok {
		w.say("  %s", e)
		if !w.durable(p.Proof) {
			w.fail("a proof left the node before it was durable")
		}
		w.proved = append(w.proved, p.Proof)
	}
	a, ok := e.(lease.Answer)
	if !ok {
		return nil
	}
	w.say("  %s", a)
	for _, b := range a.Statements {
		if o := w.see(b); o.By() == w.cfg.Key.Principal() && !w.durable(b) {
			w.fail("%s left the node before it was durable", o.Kind())
		}
	}
	if r := a.Refusal; r != nil && r.Sort == lease.Oversubscribed {
		if degree := w.degreeOf(r.About); degree <= lease.MinDegree {
			w.fail("claim %s of degree %d is said to be oversubscribed", r.About.Short(), degree)
		}
	}
	if a.Refusal != nil && len(a.Refusal.Attachment) > 0 {
		w.attached[digest(a.Refusal.Attachment)] = a.Refusal.Attachment
	}
	if wish, ok := in.(lease.Wish); ok && len(a.Statements) > 0 {
		id := w.see(wish.Chain[len(wish.Chain)-1]).ID
		if first, known := w.answered[id]; known && !slices.EqualFunc(first, a.Statements, bytes.Equal) {
			w.fail("wish %s was answered twice, and otherwise", id.Short())
		}
		w.answered[id] = a.Statements
	}
	return &a
}

func (w *world) degreeOf(id lease.ID) uint16 {
	switch st := w.signed[id].Statement.(type) {
	case *lease.Ticket:
		return st.Degree
	case *lease.Capacity:
		return st.Degree
	}
	return 0
}

func digest(b []byte) lease.Digest { return sha256.Sum256(b) }

func (w *world) durable(b []byte) bool {
	return w.oracle.Kept(b)
}

// restart rebuilds the ledger from what is durable, at whatever time its clock
// shows after that.
func (w *world) restart() {
	w.oracle.Restarted()
	w.l = lease.NewLedger(w.cfg)
	for _, f := range w.journal {
		g, err := lease.ParseFact(f.Record())
		if err == nil {
			err = w.l.Restore(g)
		}
		if err != nil {
			w.fail("restoring: %v", err)
		}
	}
	w.skew = w.r.Int64N(7) - 3
	w.oracle.Step()
	for _, e := range w.l.Step(time.Unix(w.clock+w.skew, 0), lease.Recover{}) {
		if f, ok := e.(lease.Fact); ok {
			w.write(f)
		}
	}
}

// wishes gives a purse one input and returns what it hands out, nil for nothing.
func (w *world) wishes(p *person, in purse.Input) [][]byte {
	out := p.purse.Step(time.Unix(w.clock+p.skew, 0), in)
	w.say("%s: %s", p.name, in)
	for i, e := range out {
		if w.r.IntN(25) == 0 {
			w.say("  power fails before effect %d of %d", i+1, len(out))
			p.purse = w.rebuilt(p)
			return nil
		}
		switch e := e.(type) {
		case purse.Fact:
			p.journal = append(p.journal, e)
			if e.K == purse.FactSigned {
				w.see(e.Statements[0])
			}
		case purse.Release:
			for _, b := range e.Chain {
				w.see(b)
			}
			return e.Chain
		case purse.Refuse:
			w.say("  %v", e.Err)
		}
	}
	return nil
}

func (w *world) rebuilt(p *person) *purse.Purse {
	q := purse.New(p.key)
	for _, f := range p.journal {
		if err := q.Restore(f); err != nil {
			w.fail("restoring %s's purse: %v", p.name, err)
		}
	}
	return q
}

func (w *world) history() string { return strings.Join(w.log, "\n") }
