// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"
	"time"

	"croft/lease"
)

// Witness follows the logs of those nodes that have this one among their
// [Witnesses]. Once a segment it asks each for its newest head and for what shows
// that its log goes on from the head that is kept here:
//
//	known ─▶ ask ─▶ shown ─┬ goes on ─────────────▶ fact remember (and a word, for who asks)
//	           ▲           ├ does not, and shows it ▶ fact accuse: told to everybody, never asked again
//	           │           ├ does not show it ──────▶ doubt
//	           └─ retry ◀──┴ silent
//
// A head that is kept is never given up for one that does not go on from it. What
// is a [Fork] anybody can check; a doubt is one witness's word, and nobody is
// accused by it: a node that will not show its log is silent for that witness.
//
// After a crash the facts are restored; a witness that has lost them follows from
// the next head on, and says so in its word. Not safe for concurrent use.
type Witness struct {
	self    lease.Principal
	every   time.Duration
	watched map[lease.Principal]*watch
	asking  int
	chosen  [sha256.Size]byte // of the nodes by which it was last chosen whom to follow
}

// watch is what a witness knows of one node.
type watch struct {
	follows bool // it is this witness's now
	kept    OpenedHead
	first   uint64 // size of the first head that was kept; 0: none is
	seen    int64  // Unix ns at which the kept head was last the newest
	fork    *Fork
	doubt   string
	tried   int64 // Unix ns of the last answer or silence; 0: never
	asked   bool  // and there is no answer yet
	silent  int   // how often in a row there was none
	next    time.Time
}

// Watch is what a witness can say of one node.
type Watch struct {
	Node    lease.Principal
	Follows bool // false: it did so before
	Head    OpenedHead
	First   uint64
	Seen    int64
	Fork    *Fork
	Doubt   string // why the newest head is not older; "" if there is none
	Tried   int64
}

// NewWitness returns the witness that a node is before it knows anybody. It asks
// each node once in every, and who did not answer after [WitnessRetry], then twice that, or as soon;
// 0 is [WitnessEvery].
func NewWitness(self lease.Principal, every time.Duration) *Witness {
	if every == 0 {
		every = WitnessEvery
	}
	return &Witness{self: self, every: every, watched: map[lease.Principal]*watch{}}
}

// Told reports whether the fork is known from others alone.
func (w Watch) Told() bool { return w.Fork != nil && !w.Follows && w.First == 0 }

// Restore takes one fact of an earlier run: a [Remember], an [Accuse] or a [Discard].
func (w *Witness) Restore(fact WitnessEffect) {
	switch f := fact.(type) {
	case Remember:
		e := w.of(f.Head.Node)
		e.kept, e.first, e.seen = f.Head, f.First, f.Seen
	case Accuse:
		if s, err := f.Fork.Verify(); err == nil {
			w.of(s.Head.Node).fork = f.Fork
		}
	case Discard:
		delete(w.watched, f.Node)
	}
}

func (w *Witness) of(node lease.Principal) *watch {
	e, ok := w.watched[node]
	if !ok {
		e = &watch{}
		w.watched[node] = e
	}
	return e
}

// Step takes in what came, and returns what is to be done, in order.
func (w *Witness) Step(now time.Time, in WitnessInput) []WitnessEffect {
	var out []WitnessEffect
	switch in := in.(type) {
	case Known:
		w.know(now, in.Nodes)
	case Grown:
		if e, ok := w.answered(now, in.Node); ok {
			e.silent = 0
			out = w.hold(now, in.Node, e, in.Growth)
		}
	case Silent:
		if e, ok := w.answered(now, in.Node); ok {
			e.next = now.Add(min(WitnessRetry<<min(e.silent, maxSilent), w.every))
			e.silent++
		}
	case Told:
		out = w.told(in.Fork)
	case Displaced:
		out = w.displaced(in.Node)
	}
	return append(out, w.due(now)...)
}

// know takes the nodes that there are, and chooses whom to follow.
func (w *Witness) know(now time.Time, nodes []Candidate) {
	nodes = nodes[:min(len(nodes), MaxCandidates)]
	if same := digest(nodes); same != w.chosen {
		w.chosen = same
		w.choose(now, nodes)
	}
	w.forget()
}

// choose hashes for each node most of the others, which is the most that a node among a
// thousand does while nothing happens: so it is done where there is another of them.
func (w *Witness) choose(now time.Time, nodes []Candidate) {
	for _, e := range w.watched {
		e.follows = false
	}
	n := 0
	for _, c := range nodes {
		if n == MaxWatched || c.Node == w.self || !likely(c.Node, w.self, len(nodes)) || outdone(w.self, &c, nodes) || !slices.Contains(Witnesses(c.Node, nodes), w.self) {
			continue
		}
		n++
		e := w.of(c.Node)
		if e.follows = true; e.next.IsZero() {
			e.next = now
		}
	}
}

// forget lets go of the heads of nodes that were followed long ago.
func (w *Witness) forget() {
	old := make([]lease.Principal, 0, len(w.watched))
	for node, e := range w.watched {
		switch {
		case e.follows || e.asked || e.fork != nil:
		case e.first == 0:
			delete(w.watched, node)
		default:
			old = append(old, node)
		}
	}
	slices.SortFunc(old, func(a, b lease.Principal) int {
		return cmp.Or(cmp.Compare(w.watched[a].seen, w.watched[b].seen), bytes.Compare(a[:], b[:]))
	})
	for _, node := range old {
		if len(w.watched) <= MaxKept {
			break
		}
		delete(w.watched, node)
	}
}

// answered closes a question, and reports whether there was one.
func (w *Witness) answered(now time.Time, node lease.Principal) (*watch, bool) {
	e, ok := w.watched[node]
	if !ok || !e.asked {
		return nil, false
	}
	e.asked, e.tried, e.next = false, now.UnixNano(), now.Add(w.every)
	w.asking--
	return e, true
}

// hold holds what a node showed against what is kept of it.
func (w *Witness) hold(now time.Time, node lease.Principal, e *watch, g Growth) []WitnessEffect {
	head, err := OpenHead(g.Head)
	if err == nil && head.Node != node {
		err = ErrProofNodes
	}
	var fork *Fork
	if err == nil && e.first > 0 {
		head, _, fork, err = g.After(e.kept)
	}
	switch {
	case fork != nil:
		return w.accuse(node, e, fork)
	case err != nil:
		e.doubt = err.Error()
		return []WitnessEffect{Doubt{Node: node, Why: e.doubt}}
	}
	if e.first == 0 {
		e.first = head.Size
	}
	if head.Newer(e.kept.Head) {
		e.kept = head
	}
	e.seen, e.doubt = now.UnixNano(), ""
	return []WitnessEffect{Remember{Head: e.kept, First: e.first, Seen: e.seen}}
}

func (w *Witness) accuse(node lease.Principal, e *watch, f *Fork) []WitnessEffect {
	if e.fork != nil || !e.follows && w.forks() >= MaxForks {
		return nil
	}
	e.fork, e.doubt = f, ""
	return []WitnessEffect{Accuse{Fork: f}}
}

func (w *Witness) forks() (n int) {
	for _, e := range w.watched {
		if e.fork != nil {
			n++
		}
	}
	return n
}

// told takes a fork that somebody else shows.
func (w *Witness) told(f *Fork) []WitnessEffect {
	s, err := f.Verify()
	if err != nil {
		return nil
	}
	node := s.Head.Node
	if _, known := w.watched[node]; !known && w.forks() >= MaxForks {
		return nil
	}
	return w.accuse(node, w.of(node), f)
}

// displaced lets go of a fork that is known from others alone: what goes round has
// room for as many as are kept here, and whose goes first is decided there.
func (w *Witness) displaced(node lease.Principal) []WitnessEffect {
	e, ok := w.watched[node]
	if !ok || e.fork == nil || e.follows || e.first > 0 {
		return nil
	}
	delete(w.watched, node)
	return []WitnessEffect{Discard{Node: node}}
}

// due asks those whose time has come, the longest due first. Nobody's time is
// further ahead than a round, but by a clock that was set back since.
func (w *Witness) due(now time.Time) (out []WitnessEffect) {
	var ripe []lease.Principal
	for node, e := range w.watched {
		if e.asks() && (!e.next.After(now) || e.next.After(now.Add(WitnessEvery))) {
			ripe = append(ripe, node)
		}
	}
	slices.SortFunc(ripe, func(a, b lease.Principal) int {
		return cmp.Or(w.watched[a].next.Compare(w.watched[b].next), bytes.Compare(a[:], b[:]))
	})
	for _, node := range ripe {
		if w.asking == MaxAsking {
			break
		}
		w.asking++
		e := w.watched[node]
		e.asked = true
		out = append(out, Ask{Node: node, Size: e.kept.Size})
	}
	return out
}

// asks reports whether the node is to be asked at some time.
func (e *watch) asks() bool { return e.follows && !e.asked && e.fork == nil }

// NextWake reports when Step must next be called with a [Passed].
func (w *Witness) NextWake() (wake time.Time, ok bool) {
	if w.asking == MaxAsking {
		return wake, false // an answer, or that there is none, comes first
	}
	for _, e := range w.watched {
		if e.asks() && (!ok || e.next.Before(wake)) {
			wake, ok = e.next, true
		}
	}
	return wake, ok
}

// Watched returns what this witness can say, by node.
func (w *Witness) Watched() []Watch {
	out := make([]Watch, 0, len(w.watched))
	for node, e := range w.watched {
		out = append(out, Watch{Node: node, Follows: e.follows, Head: e.kept, First: e.first, Seen: e.seen, Fork: e.fork, Doubt: e.doubt, Tried: e.tried})
	}
	slices.SortFunc(out, func(a, b Watch) int { return bytes.Compare(a.Node[:], b.Node[:]) })
	return out
}
