// SPDX-License-Identifier: Apache-2.0

package swarm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"croft/lease"
)

// Config says what is fetched.
type Config struct {
	Self   lease.Principal // never asked
	Digest lease.Digest
	Size   int64  // bytes, from 1
	Sums   Sums   // of who wants the blob; nil: a holder's word is taken
	Seed   uint64 // of the choice among pieces that are equally rare
}

// place is what a node is to a fetch.
type place uint8

const (
	waiting place = iota // named, not asked yet or to be asked again
	asked                // has a place, and has told nothing yet
	holder               // has told what it has
	out                  // lied
)

// node is what is known of one that was named.
type node struct {
	id      lease.Principal
	place   place
	until   time.Time // waiting: rests until then
	rest    time.Duration
	tries   int       // how often it had a place since it last gave; -1: it gave
	asking  time.Time // an Ask is open since; zero: none
	again   time.Time // not asked for more until then
	whole   bool
	pieces  Set
	fresh   time.Time // when it last gave, or told of, something new
	pulls   map[int]pull
	single  time.Time    // is asked for no second piece at once until then
	refused map[int]bool // pieces that were no such, by a holder's word alone
}

// pull is a piece on its way.
type pull struct {
	since time.Time
	moved time.Time // when some of it last came
}

// late is when another node is asked for it too, and over when its sender is left.
func (p pull) late() time.Time {
	return earliest(p.moved.Add(LateAfter), p.since.Add(maxLate))
}
func (p pull) over(length int64) time.Time {
	return earliest(p.moved.Add(PullWithin), p.since.Add(PieceWithin(length)))
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (n *node) active() bool { return n.place == asked || n.place == holder }
func (n *node) has(i int) bool {
	return n.place == holder && !n.refused[i] && (n.whole || n.pieces.Has(i))
}

// Fetch is the machine of one blob on one node.
type Fetch struct {
	cfg     Config
	random  *rand.Rand
	nodes   []*node // in the order of their naming
	sums    bool    // pieces can be judged
	claimed lease.Principal
	asking  lease.Principal // whose word on the sums is awaited
	since   time.Time       // of that wait
	claims  int
	have    Set
	missing int
	moved   time.Time // when some of a piece last came
	last    time.Time // of all steps
	done    bool
}

// New makes the machine of a fetch of which nothing is there yet. With sums of who
// wants the blob, Kept tells what is.
func New(cfg Config) *Fetch {
	n := Count(cfg.Size)
	return &Fetch{cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, 0)), sums: cfg.Sums != nil, have: NewSet(n), missing: n}
}

// Step applies one input and returns what is to be done, in order.
func (f *Fetch) Step(now time.Time, in Input) (out []Effect) {
	if f.moved.IsZero() {
		f.moved = now
	}
	f.last = now
	if _, ok := in.(Refuted); f.done && !ok {
		return nil
	}
	say := func(e Effect) { out = append(out, e) }
	switch in := in.(type) {
	case Named:
		f.named(in.Nodes)
	case Told:
		f.told(now, in)
	case Summed:
		if in.Node == f.asking && !f.sums {
			f.asking, f.claimed, f.sums = lease.Principal{}, in.Node, true
			f.claims++
			say(Adopt{in.Sums})
		}
	case Kept:
		for i := range f.count() {
			if in.Pieces.Has(i) {
				f.keep(now, i)
			}
		}
	case Got:
		if n := f.node(in.Node); n != nil {
			delete(n.pulls, in.Piece)
			n.rest, n.tries, n.fresh = 0, -1, now
		}
		f.keep(now, in.Piece)
	case Lied:
		f.lied(now, in, say)
	case Failed:
		if n := f.node(in.Node); n != nil && n.active() {
			f.dismiss(now, n, in.Why, say)
		}
	case Moved:
		if n := f.node(in.Node); n != nil {
			if p, ok := n.pulls[in.Piece]; ok {
				p.moved, f.moved = now, now
				n.pulls[in.Piece] = p
			}
		}
	case Denied:
		if n := f.node(in.Node); n != nil && n.active() {
			f.denied(now, n, in, say)
		}
	case Refuted:
		f.refuted(now, say)
	}
	f.plan(now, say)
	return out
}

// NextWake is when to call again with a Tick.
func (f *Fetch) NextWake() (at time.Time, ok bool) {
	if f.done || f.moved.IsZero() {
		return at, false
	}
	at = f.moved.Add(StuckAfter)
	earlier := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	if !f.asking.IsZero() {
		earlier(f.since.Add(PullWithin))
	}
	rested, idle := at, at // when the first is to be asked, and may be left, as makeRoom has it
	first := func(of *time.Time, t time.Time) {
		if t.Before(*of) {
			*of = t
		}
	}
	for _, n := range f.nodes {
		switch {
		case n.place == waiting:
			first(&rested, n.until)
		case f.spare(n):
			first(&idle, n.fresh.Add(IdleAfter))
		}
		if n.place == holder && !n.whole && n.asking.IsZero() {
			earlier(n.again)
		}
		if !n.asking.IsZero() {
			earlier(n.asking.Add(AnswerWithin + WaitWithin))
		}
		for _, p := range n.pulls {
			earlier(p.over(PieceSize(f.cfg.Size)))
			if late := p.late(); late.After(f.last) { // else nobody can take it on
				earlier(late)
			}
		}
	}
	if f.room() == 0 && idle.After(rested) {
		rested = idle
	}
	earlier(rested)
	return at, true
}

// Progress is how many pieces are there, of how many, and from how many nodes the
// others come.
func (f *Fetch) Progress() (have, of, from int) {
	for _, n := range f.nodes {
		if n.place == holder && len(n.pulls) > 0 {
			from++
		}
	}
	return f.count() - f.missing, f.count(), from
}

// Liars are those that were found to have lied.
func (f *Fetch) Liars() (list []lease.Principal) {
	for _, n := range f.nodes {
		if n.place == out {
			list = append(list, n.id)
		}
	}
	return list
}

func (f *Fetch) count() int { return Count(f.cfg.Size) }

func (f *Fetch) node(id lease.Principal) *node {
	if i := slices.IndexFunc(f.nodes, func(n *node) bool { return n.id == id }); i >= 0 {
		return f.nodes[i]
	}
	return nil
}

func (f *Fetch) named(list []lease.Principal) {
	for _, id := range list {
		if len(f.nodes) < MaxNamed && id != f.cfg.Self && f.node(id) == nil {
			f.nodes = append(f.nodes, &node{id: id, pulls: map[int]pull{}, refused: map[int]bool{}})
		}
	}
}

func (f *Fetch) told(now time.Time, in Told) {
	n := f.node(in.Node)
	if n == nil || !n.active() {
		return
	}
	more := in.Whole && !n.whole || in.Pieces.Len() > n.pieces.Len()
	if n.place == asked || more {
		n.fresh = now
	}
	if n.again = now; !more && now.Before(n.asking.Add(WaitWithin)) { // it was to wait for more
		n.again = now.Add(AskAgain)
	}
	n.place, n.asking, n.whole, n.pieces = holder, time.Time{}, in.Whole, in.Pieces
	f.named(in.Others)
}

func (f *Fetch) keep(now time.Time, i int) {
	if i >= 0 && i < f.count() && !f.have.Has(i) {
		f.have.Add(i)
		f.missing--
		f.moved = now
	}
}

// lied takes a piece that is none. Against sums of who wants the blob that is a lie;
// against a holder's word it is one of two.
func (f *Fetch) lied(now time.Time, in Lied, say func(Effect)) {
	n := f.node(in.Node)
	if n == nil || !n.active() {
		return
	}
	if f.claimed.IsZero() || n.id == f.claimed {
		f.banish(now, n, "it lied", say)
		return
	}
	n.refused[in.Piece] = true
	f.dismiss(now, n, "what it sends is not what another says", say)
}

// denied has a node that refused a piece rest, unless it is sending another: that goes
// on, and is all that it is asked for, for a while.
func (f *Fetch) denied(now time.Time, n *node, in Denied, say func(Effect)) {
	if delete(n.pulls, in.Piece); len(n.pulls) == 0 {
		f.dismiss(now, n, in.Why, say)
		return
	}
	n.single = now.Add(SingleFor)
}

// banish leaves a node for good, and its word with it.
func (f *Fetch) banish(now time.Time, n *node, why string, say func(Effect)) {
	f.dismiss(now, n, why, say)
	n.place = out
	if n.id == f.claimed {
		f.disown(now, say)
	}
}

// disown forgets a holder's word on the sums, and what was held against others by
// it. What is on its way was to be judged by it.
func (f *Fetch) disown(now time.Time, say func(Effect)) {
	f.sums, f.claimed = false, lease.Principal{}
	f.have, f.missing = NewSet(f.count()), f.count()
	for _, n := range f.nodes {
		if len(n.pulls) > 0 {
			f.dismiss(now, n, "to be judged anew", say)
		}
		clear(n.refused)
		if n.place == waiting {
			n.until, n.rest = time.Time{}, 0
		}
	}
}

// refuted finds that the word of a holder was a lie; that of who wants the blob
// cannot be put right.
func (f *Fetch) refuted(now time.Time, say func(Effect)) {
	if n := f.node(f.claimed); n != nil {
		f.done, f.moved = false, now
		f.banish(now, n, "it lied about the sums", say)
		return
	}
	f.end(Stuck{"the sums that were given are those of another blob"}, say)
}

// dismiss has a node rest.
func (f *Fetch) dismiss(now time.Time, n *node, why string, say func(Effect)) {
	n.rest = min(max(2*n.rest, MinRest), MaxRest)
	n.place, n.until, n.asking, n.whole, n.pieces = waiting, now.Add(n.rest), time.Time{}, false, nil
	clear(n.pulls)
	if n.id == f.asking {
		f.asking = lease.Principal{}
	}
	say(Leave{n.id, why})
}

func (f *Fetch) end(e Effect, say func(Effect)) {
	f.done = true
	for _, n := range f.nodes {
		if n.active() {
			n.place = waiting
			clear(n.pulls)
			n.asking = time.Time{}
			say(Leave{n.id, "over"})
		}
	}
	say(e)
}

func (f *Fetch) stuck(why string) Stuck {
	lied := len(f.Liars())
	if lied > 0 {
		why += fmt.Sprintf("; %d lied", lied)
	}
	return Stuck{fmt.Sprintf("%s: %d of %d pieces, %d nodes named", why, f.count()-f.missing, f.count(), len(f.nodes))}
}
