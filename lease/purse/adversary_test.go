// SPDX-License-Identifier: Apache-2.0

package purse_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/purse"
)

// No honest book is ever provable: an adversary holds every byte that an honest
// purse ever signed and looks for a conflict under any claim of its owner's,
// through crashes between any two effects, copies put back beside the original,
// requests repeated and reordered, and clocks that step either way. Everything
// happens on a grid of seconds so coarse that the edges of terms meet.

const grid = 12 // seconds in which all terms lie

// histories is how many random lives a test tries: CROFT_HISTORIES, else 2000.
func histories(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("CROFT_HISTORIES"))
	if err == nil {
		return n
	}
	if testing.Short() {
		return 200
	}
	return 2000
}

func TestNoHonestPurseIsProvable(t *testing.T) {
	kinds := map[string]int{}
	for seed := range histories(t) {
		w := newWorld(t, uint64(seed))
		for range 30 {
			w.happen()
		}
		for _, o := range w.signed {
			kinds[o.Kind().String()]++
		}
		kinds["restored"] += w.restored
		if found := w.conflict(); found != "" {
			t.Fatalf("history %d: %s\n%s", seed, found, strings.Join(w.log, "\n"))
		}
	}
	for what, least := range map[string]int{"redeem": 2, "ticket": 0, "restored": 0} {
		if kinds[what] <= least*histories(t) {
			t.Errorf("%d × %s in all histories: they prove little", kinds[what], what)
		}
	}
}

// world is an honest principal, alice, who has a purse and perhaps copies of it.
type world struct {
	t        *testing.T
	r        *rand.Rand
	roots    []*leasetest.Drawn
	lives    []*life
	asked    []purse.Input
	signed   map[lease.ID]lease.Opened // what the adversary has
	log      []string
	restored int
}

// life is one journal and the purse that goes on from it.
type life struct {
	p       *purse.Purse
	journal []purse.Fact
	backups [][]purse.Fact
	copy    bool // put back from a backup
}

var (
	alice = leasetest.Key("alice")
	bob   = leasetest.Who("bob")
	n1    = leasetest.Who("n1")
	drawn = map[int]leasetest.Tree{} // by degree: the same in all worlds
)

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 1)), signed: map[lease.ID]lease.Opened{}}
	degree := []int{100, 150, 250}[w.r.IntN(3)]
	if drawn[degree] == nil {
		drawn[degree] = leasetest.Draw(t, fmt.Sprintf("cap(n1 cpu=8 pids=6 @250 0s..%ds) -> { t0(alice cpu=4 pids=3 @%d), t1(alice cpu=3 @100) }", grid, degree))
	}
	w.roots = drawn[degree][1:]
	w.lives = []*life{{p: purse.New(alice)}}
	for _, d := range w.roots {
		w.step(w.lives[0], purse.Keep{Chain: d.Chain()}, -1)
	}
	return w
}

// happen lets one thing happen to one of the lives.
func (w *world) happen() {
	l := w.lives[w.r.IntN(len(w.lives))]
	switch w.r.IntN(12) {
	case 0:
		w.say("crash")
		l.p = w.rebuild(l.journal)
	case 1:
		w.say("snapshot")
		l.journal = l.p.Facts()
	case 2:
		w.say("backup")
		l.backups = append(l.backups, slices.Clone(l.journal))
	case 3:
		if w.r.IntN(3) == 0 {
			w.restore(l)
		}
	case 4:
		if len(w.asked) > 0 { // again, by whichever copy
			w.step(l, w.asked[w.r.IntN(len(w.asked))], w.r.IntN(4)-1)
		}
	default:
		in := w.wish(l)
		w.asked = append(w.asked, in)
		w.step(l, in, w.r.IntN(8)-1)
	}
}

// restore puts a backup back, in place of the life or beside it.
func (w *world) restore(l *life) {
	if len(l.backups) == 0 {
		return
	}
	back := slices.Clone(l.backups[w.r.IntN(len(l.backups))])
	n := &life{p: w.rebuild(back), journal: back, backups: l.backups, copy: true}
	w.say("restored from %d facts of %d", len(back), len(l.journal))
	w.restored++
	if w.step(n, purse.Restored{}, -1); w.r.IntN(2) == 0 || len(w.lives) > 2 {
		*l = *n
	} else {
		w.lives = append(w.lives, n)
	}
}

// wish is a random redeem or ticket, most of them possible.
func (w *world) wish(l *life) purse.Input {
	held := l.p.Held()
	ticket := w.roots[w.r.IntN(2)].ID
	if len(held) > 0 {
		ticket = held[w.r.IntN(len(held))].ID
	}
	var s lease.RSet
	s[lease.CPU], s[lease.Pids] = w.r.Uint64N(5), w.r.Uint64N(4)
	from := w.r.Int64N(grid)
	term := lease.Term{From: leasetest.Epoch + from, Until: leasetest.Epoch + from + 1 + w.r.Int64N(grid-from)}
	slot := w.r.IntN(4) - 1
	q := lease.Request{byte(w.r.IntN(250))}
	if w.r.IntN(3) > 0 {
		return purse.Redeem{Ticket: ticket, Slot: slot, RSet: s, Term: term, Slice: "s", Request: q}
	}
	holder := []lease.Principal{alice.Principal(), bob}[w.r.IntN(2)]
	degree := []uint16{100, 100, 100, 150, 250, 50}[w.r.IntN(6)]
	return purse.Give{Ticket: ticket, Slot: slot, Holder: holder, RSet: s, Term: term, Degree: degree, Request: q}
}

// step has a life do one thing, at whatever time its clock shows, and has the
// power fail after some of the effects (-1: not at all).
func (w *world) step(l *life, in purse.Input, fail int) {
	now := leasetest.Epoch + w.r.Int64N(2)
	switch w.r.IntN(8) {
	case 0:
		now = leasetest.Epoch + w.r.Int64N(grid)
	case 1:
		now = leasetest.Epoch + w.r.Int64N(grid) + purse.Slack
	}
	out := l.p.Step(time.Unix(now, 0), in)
	w.say("at %d, power for %d: %s", now-leasetest.Epoch, fail, in)
	for i, e := range out {
		if i == fail {
			w.say("power fails")
			l.p = w.rebuild(l.journal)
			if _, ok := in.(purse.Restored); ok { // it is noticed again
				w.step(l, in, -1)
			}
			return
		}
		w.say("  %s", e)
		switch e := e.(type) {
		case purse.Fact:
			l.journal = append(l.journal, e)
			if e.K == purse.FactSigned {
				w.see(e.Statements[0])
			}
		case purse.Release:
			if len(e.Chain) == 0 {
				break
			}
			if _, err := lease.VerifyChain(e.Chain, n1); err != nil {
				w.t.Fatalf("released a chain that does not verify: %v\n%s", err, strings.Join(w.log, "\n"))
			}
			if _, ok := in.(purse.Keep); !ok {
				w.see(e.Chain[len(e.Chain)-1])
			}
		}
	}
}

func (w *world) see(b []byte) {
	o, err := lease.Open(b)
	if err != nil {
		w.t.Fatalf("signed what does not open: %v\n%s", err, strings.Join(w.log, "\n"))
	}
	w.signed[o.ID] = o
}

func (w *world) say(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

func (w *world) rebuild(facts []purse.Fact) *purse.Purse { return rebuilt(w.t, facts) }

// conflict searches for a proof against alice, both with the search that nodes
// use and by brute force.
func (w *world) conflict() string {
	parents := map[lease.ID]lease.Opened{}
	for _, d := range w.roots {
		parents[d.ID] = lease.Opened{Signed: d.Signed, ID: d.ID, Statement: d.Statement}
	}
	under := map[lease.ID][]lease.Opened{}
	for id, o := range w.signed {
		switch st := o.Statement.(type) {
		case *lease.Ticket:
			parents[id] = o
			under[st.Parent] = append(under[st.Parent], o)
		case *lease.Redeem:
			under[st.Parent] = append(under[st.Parent], o)
		}
	}
	for id, children := range under {
		known, quick := lease.NewChildren(parents[id]), false
		for _, o := range children {
			quick = known.Add(o) != nil || quick
		}
		found := bruteForce(parents[id].Statement.(*lease.Ticket), children)
		if quick != (found != "") {
			return fmt.Sprintf("lease.Children finds %v, brute force %q", quick, found)
		}
		if found != "" {
			return found
		}
	}
	return ""
}

// bruteForce is the rule of conflicts, word for word: (a) two different tickets,
// or a ticket and a redeem, in one slot at one instant; (b) one child for each
// slot, at one instant, that weigh more than the parent's rset × degree.
func bruteForce(parent *lease.Ticket, children []lease.Opened) string {
	for at := parent.From; at < parent.Until; at++ {
		var most [lease.Slots]lease.RSet // amount × degree, small here
		var tickets, redeems [lease.Slots]int
		for _, o := range children {
			slot, s, term, degree := facts(o)
			if !term.Covers(at) {
				continue
			}
			if o.Kind() == lease.KindTicket {
				tickets[slot]++
			} else {
				redeems[slot]++
			}
			for r := range s {
				most[slot][r] = max(most[slot][r], s[r]*degree)
			}
		}
		for slot := range tickets {
			if tickets[slot] > 1 || tickets[slot] > 0 && redeems[slot] > 0 {
				return fmt.Sprintf("(a) slot %d at %d holds %d tickets and %d redeems", slot, at-leasetest.Epoch, tickets[slot], redeems[slot])
			}
		}
		for r := range parent.RSet {
			sum := new(big.Int)
			for _, m := range most {
				sum.Add(sum, new(big.Int).SetUint64(m[r]))
			}
			if limit := parent.RSet[r] * uint64(parent.Degree); sum.Cmp(new(big.Int).SetUint64(limit)) > 0 {
				return fmt.Sprintf("(b) %s at %d: %s of %d", lease.Resource(r), at-leasetest.Epoch, sum, limit)
			}
		}
	}
	return ""
}

func facts(o lease.Opened) (slot uint8, s lease.RSet, term lease.Term, degree uint64) {
	switch st := o.Statement.(type) {
	case *lease.Ticket:
		return st.Slot, st.RSet, st.Term(), uint64(st.Degree)
	case *lease.Redeem:
		return st.Slot, st.RSet, st.Term(), 100
	}
	panic(o.Kind())
}

// Every sequence of three wishes out of a small world, with a restart after each:
// what the purse signs is no conflict, and what it refuses would have been one.
func TestExhaustive(t *testing.T) {
	d := leasetest.Draw(t, "cap(n1 cpu=2 @150 0s..3s) -> t0(alice)").Last()
	parent := d.Statement.(*lease.Ticket)
	var wishes []purse.Input
	for slot := range 2 {
		for _, term := range []lease.Term{{From: 0, Until: 2}, {From: 1, Until: 3}} {
			term.From, term.Until = term.From+leasetest.Epoch, term.Until+leasetest.Epoch
			for cpu := uint64(1); cpu <= 2; cpu++ {
				s := lease.RSet{lease.CPU: cpu}
				q := lease.Request{byte(len(wishes))}
				wishes = append(wishes,
					purse.Redeem{Ticket: d.ID, Slot: slot, RSet: s, Term: term, Slice: "s", Request: q},
					purse.Give{Ticket: d.ID, Slot: slot, Holder: leasetest.Who("bob"), RSet: s, Term: term, Degree: 150, Request: q})
			}
		}
	}
	first := purse.New(leasetest.Key("alice"))
	root := first.Step(time.Unix(leasetest.Epoch, 0), purse.Keep{Chain: d.Chain()})[0].(purse.Fact)
	tried := 0
	var try func(journal []purse.Fact, children []lease.Opened)
	try = func(journal []purse.Fact, children []lease.Opened) {
		for _, in := range wishes {
			tried++
			s := &scene{t: t, p: rebuilt(t, journal), now: leasetest.Epoch, facts: slices.Clone(journal)}
			out, err := s.step(in)
			child := open(t, out, in)
			next := append(slices.Clone(children), child)
			switch found := bruteForce(parent, next); {
			case err != nil && found == "":
				t.Fatalf("refuses %s for nothing: %v", in, err)
			case err != nil || len(s.facts) == len(journal): // or the same request, and the same bytes
			case found != "":
				t.Fatalf("%s after %d others: %s", in, len(children), found)
			case len(next) < 3:
				try(s.facts, next)
			}
		}
	}
	if try([]purse.Fact{root}, nil); tried < len(wishes)*len(wishes) {
		t.Errorf("only %d sequences", tried)
	}
}

// open returns what was signed for a wish, or what would have been.
func open(t *testing.T, out *purse.Release, in purse.Input) lease.Opened {
	if out != nil {
		o, err := lease.Open(out.Chain[len(out.Chain)-1])
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	switch in := in.(type) {
	case purse.Redeem:
		return lease.Opened{Statement: &lease.Redeem{Slot: uint8(in.Slot), RSet: in.RSet, From: in.Term.From, Until: in.Term.Until}}
	case purse.Give:
		return lease.Opened{Statement: &lease.Ticket{Slot: uint8(in.Slot), RSet: in.RSet, From: in.Term.From, Until: in.Term.Until, Degree: in.Degree}}
	}
	panic(in)
}
