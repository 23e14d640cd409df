// SPDX-License-Identifier: Apache-2.0

package swarm_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"croft/lease"
	"croft/sandbox/swarm"
)

// start is an instant that every transcript begins at.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestTranscripts replays testdata/*.txt: what a fetch is told, a line each, and what
// it does. Commands:
//
//	new pieces=N [sums]   a fetch of N pieces, with sums of who wants the blob or not
//	do                    lines: at OFFSET | tick | named NODE… | whole NODE | part NODE PIECE… | summed NODE |
//	                      got, moved, lied, denied NODE PIECE | kept PIECE… | failed NODE WHY | refuted
//	wake                  when it wants to be called again
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &stage{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				d.ScanArgs(t, "pieces", &s.pieces)
				cfg := swarm.Config{Self: named("self"), Size: s.size(), Seed: 1}
				if d.HasArg("sums") {
					cfg.Sums = make(swarm.Sums, 32*s.pieces)
				}
				s.f, s.now, s.begun = swarm.New(cfg), start, start
				return ""
			case "do":
				var out strings.Builder
				for line := range strings.Lines(d.Input) {
					out.WriteString(s.do(strings.Fields(line)))
				}
				return out.String()
			case "wake":
				at, ok := s.f.NextWake()
				return fmt.Sprintln(at.Sub(s.begun), ok)
			}
			d.Fatalf(t, "unknown command %q", d.Cmd)
			return ""
		})
	})
}

type stage struct {
	t          *testing.T
	f          *swarm.Fetch
	pieces     int
	now, begun time.Time
}

func (s *stage) size() int64 { return int64(s.pieces)*swarm.MinPiece - 1 }

// named is a node whose short form begins with its name.
func named(name string) (p lease.Principal) {
	copy(p[:], name)
	return p
}

func (s *stage) do(words []string) string {
	var in swarm.Input
	node := func() lease.Principal { return named(words[1]) }
	set := func(list []string) swarm.Set {
		out := swarm.NewSet(s.pieces)
		for _, w := range list {
			i, err := strconv.Atoi(w)
			if err != nil {
				s.t.Fatal(err)
			}
			out.Add(i)
		}
		return out
	}
	piece := func() int { i, _ := strconv.Atoi(words[2]); return i }
	switch words[0] {
	case "at":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = s.begun.Add(d)
		return ""
	case "tick":
		in = swarm.Tick{}
	case "named":
		n := swarm.Named{}
		for _, w := range words[1:] {
			n.Nodes = append(n.Nodes, named(w))
		}
		in = n
	case "whole":
		in = swarm.Told{Node: node(), Holding: swarm.Holding{Whole: true}}
	case "part":
		in = swarm.Told{Node: node(), Holding: swarm.Holding{Pieces: set(words[2:])}}
	case "summed":
		in = swarm.Summed{Node: node(), Sums: make(swarm.Sums, 32*s.pieces)}
	case "got":
		in = swarm.Got{Node: node(), Piece: piece()}
	case "lied":
		in = swarm.Lied{Node: node(), Piece: piece()}
	case "kept":
		in = swarm.Kept{Pieces: set(words[1:])}
	case "moved":
		in = swarm.Moved{Node: node(), Piece: piece()}
	case "denied":
		in = swarm.Denied{Node: node(), Piece: piece(), Why: "busy"}
	case "failed":
		in = swarm.Failed{Node: node(), Why: strings.Join(words[2:], " ")}
	case "refuted":
		in = swarm.Refuted{}
	default:
		s.t.Fatalf("unknown input %q", words)
	}
	out := ""
	for _, e := range s.f.Step(s.now, in) {
		out += readable(e.String()) + "\n"
	}
	return out
}

// readable has nodes by their names again.
func readable(s string) string {
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		s = strings.ReplaceAll(s, named(name).Short(), name)
	}
	return s
}

// TestNetworks plays fetches of many nodes against one another, with nodes that are
// busy, lie, stop and are never there: whoever is left gets the blob, nobody is asked beyond his
// bound, and the owner sends little more than one copy.
func TestNetworks(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			n := newNetwork(t, r, 3+r.IntN(40), 1+r.IntN(60))
			n.run()
		})
	}
}

// network is a model: each node sends one piece a tick, and words take a tick.
type network struct {
	t      *testing.T
	r      *rand.Rand
	pieces int
	now    time.Time
	nodes  []*member
}

type member struct {
	id         lease.Principal
	f          *swarm.Fetch // nil: it has all
	have       swarm.Set
	lies, dead bool
	over       bool
	queue      []pull
	waits      []swarm.Effect // to be answered
	given      int
	denied     []swarm.Denied // to be told
	stuck      string
}

// modelServing is how many pieces a node of the model sends at once.
const modelServing = 6

type pull struct {
	by    *member
	piece int
}

func newNetwork(t *testing.T, r *rand.Rand, members, pieces int) *network {
	n := &network{t: t, r: r, pieces: pieces, now: start}
	size := int64(pieces) * swarm.MinPiece
	for i := range members {
		m := &member{id: lease.Principal{byte(i + 1), byte(i >> 8), 7}, have: swarm.NewSet(pieces)}
		switch {
		case i == 0:
			m.have = swarm.All(size)
		case r.IntN(5) == 0:
			m.lies = true
			m.have = swarm.All(size)
		case r.IntN(6) == 0:
			m.dead = true
		default:
			m.f = swarm.New(swarm.Config{Self: m.id, Size: size, Sums: make(swarm.Sums, 32*pieces), Seed: uint64(i)})
		}
		n.nodes = append(n.nodes, m)
	}
	return n
}

func (n *network) member(id lease.Principal) *member {
	return n.nodes[slices.IndexFunc(n.nodes, func(m *member) bool { return m.id == id })]
}

func (n *network) run() {
	for _, m := range n.nodes {
		if m.f == nil {
			continue
		}
		var list []lease.Principal
		for _, i := range n.r.Perm(len(n.nodes)) {
			list = append(list, n.nodes[i].id)
		}
		n.step(m, swarm.Named{Nodes: list})
	}
	honest := 0
	for round := range 100000 {
		open := 0
		for _, m := range n.nodes {
			if m.f != nil && !m.over {
				open++
			}
		}
		if open == 0 {
			break
		}
		if round == 99999 {
			n.t.Fatalf("%d have not got it after %s", open, n.now.Sub(start))
		}
		n.now = n.now.Add(100 * time.Millisecond)
		for _, m := range n.nodes {
			n.tick(m)
		}
	}
	for _, m := range n.nodes {
		if m.f == nil {
			continue
		}
		honest++
		if m.stuck != "" || m.have.Len() != n.pieces {
			n.t.Errorf("%x has %d of %d: %s", m.id[:2], m.have.Len(), n.pieces, m.stuck)
		}
		for _, liar := range m.f.Liars() {
			if !n.member(liar).lies {
				n.t.Errorf("%x is called a liar", liar[:2])
			}
		}
	}
	if most := n.pieces*3 + honest*swarm.MaxPullsEach; n.nodes[0].given > most && honest > 6 {
		n.t.Errorf("the seed sent %d pieces of %d to %d", n.nodes[0].given, n.pieces, honest)
	}
}

// tick sends one piece, and answers what was asked.
func (n *network) tick(m *member) {
	if m.dead {
		return
	}
	if len(m.queue) > 0 {
		p := m.queue[0]
		m.queue = m.queue[1:]
		m.given++
		switch {
		case p.by.over:
		case m.lies:
			n.step(p.by, swarm.Lied{Node: m.id, Piece: p.piece})
		default:
			p.by.have.Add(p.piece)
			n.step(p.by, swarm.Got{Node: m.id, Piece: p.piece})
		}
	}
	if m.f != nil && !m.over {
		denied := m.denied
		for m.denied = nil; len(denied) > 0; denied = denied[1:] {
			n.step(m, denied[0])
		}
		for _, e := range m.waits {
			if a, ok := e.(swarm.Ask); ok {
				o := n.member(a.Node)
				switch {
				case o.dead: // silent
					continue
				case o.f == nil:
					n.step(m, swarm.Told{Node: a.Node, Holding: swarm.Holding{Whole: true}})
				case o.have.Len() <= a.Known && o.have.Len() < n.pieces:
					continue
				default:
					n.step(m, swarm.Told{Node: a.Node, Holding: swarm.Holding{Pieces: slices.Clone(o.have)}})
				}
			}
		}
		if at, ok := m.f.NextWake(); ok && !at.After(n.now) {
			n.step(m, swarm.Tick{})
			if at, ok := m.f.NextWake(); ok && !at.After(n.now) && !m.over {
				n.t.Fatalf("it wants to be woken at %s, which was served", at.Sub(start))
			}
		}
	}
}

func (n *network) step(m *member, in swarm.Input) {
	if told, ok := in.(swarm.Told); ok {
		m.waits = slices.DeleteFunc(m.waits, func(e swarm.Effect) bool {
			return e == swarm.Effect(swarm.Ask{Node: told.Node, Known: askedOf(m, told.Node)})
		})
	}
	denied, refusal := in.(swarm.Denied)
	for _, e := range m.f.Step(n.now, in) {
		switch e := e.(type) {
		case swarm.Ask:
			m.waits = append(m.waits, e)
			if len(m.waits) > swarm.MaxHolders {
				n.t.Fatalf("%d are asked at once", len(m.waits))
			}
		case swarm.Pull:
			o := n.member(e.Node)
			if len(o.queue) >= modelServing {
				m.denied = append(m.denied, swarm.Denied{Node: e.Node, Piece: e.Piece, Why: "busy"})
				continue
			}
			o.queue = append(o.queue, pull{m, e.Piece})
			each, all := 0, 0
			for _, x := range n.nodes {
				for _, p := range x.queue {
					if p.by == m {
						all++
						if x == o {
							each++
						}
					}
				}
			}
			if each > swarm.MaxPullsEach || all > swarm.MaxPulls {
				n.t.Fatalf("%d pieces are asked of one, %d in all", each, all)
			}
		case swarm.Leave:
			m.waits = slices.DeleteFunc(m.waits, func(w swarm.Effect) bool { return w.(swarm.Ask).Node == e.Node })
			o := n.member(e.Node)
			before := len(o.queue)
			o.queue = slices.DeleteFunc(o.queue, func(p pull) bool { return p.by == m })
			if refusal && denied.Node == e.Node && len(o.queue) < before {
				n.t.Fatalf("one piece is refused, and another that is on its way is given up")
			}
			m.denied = slices.DeleteFunc(m.denied, func(d swarm.Denied) bool { return d.Node == e.Node })
		case swarm.Whole:
			m.over = true
		case swarm.Stuck:
			m.over, m.stuck = true, e.Why
		}
	}
}

func askedOf(m *member, node lease.Principal) int {
	for _, e := range m.waits {
		if a := e.(swarm.Ask); a.Node == node {
			return a.Known
		}
	}
	return -1
}
