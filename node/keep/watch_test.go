// SPDX-License-Identifier: Apache-2.0

package keep_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/keep"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// net is a world of nodes on which one slice is kept.
type net struct {
	t     *testing.T
	now   time.Time
	nodes []lease.Principal
	dead  map[lease.Principal]bool
	has   map[lease.Principal]*running
	made  int
	runs  int

	stubborn map[lease.Principal]bool // confirm no close
	closes   int                      // that were not confirmed
}

type running struct {
	name  string
	until time.Time
	state keep.State
}

func newNet(t *testing.T, n int) *net {
	w := &net{t: t, now: start, dead: map[lease.Principal]bool{}, has: map[lease.Principal]*running{}}
	for i := range n {
		w.nodes = append(w.nodes, leasetest.Who(fmt.Sprintf("n%d", i)))
	}
	return w
}

func (w *net) run(node lease.Principal, until time.Time) *running {
	w.made++
	r := &running{fmt.Sprintf("s%03d", w.made), until, keep.Runs}
	w.has[node] = r
	return r
}

// lives counts what runs, on nodes that are there.
func (w *net) lives() (n int) {
	for node, r := range w.has {
		if !w.dead[node] && r.state == keep.Runs && w.now.Before(r.until) {
			n++
		}
	}
	return n
}

func (w *net) look(nodes []lease.Principal) (s keep.Sight) {
	s.Health = map[lease.Principal]string{}
	for _, node := range nodes {
		if w.dead[node] {
			s.Silent = append(s.Silent, node)
			continue
		}
		if r := w.has[node]; r != nil && w.now.Before(r.until) {
			s.Seen = append(s.Seen, keep.Seen{Sliver: r.name, Node: node, State: r.state, Left: int64(r.until.Sub(w.now) / time.Second)})
		}
	}
	return s
}

// keeper is a watch, its disk, and what decides for it.
type keeper struct {
	*keep.Watch
	w      *net
	disk   keep.Standing
	ends   int64
	decide func(keep.Question) keep.Decision
	asked  int
	over   string

	launches string // the name that new slivers are given by their nodes; empty: one each
}

func (w *net) charge(want int, lasts time.Duration) keep.Charge {
	return keep.Charge{Slice: "web", Owner: leasetest.Who("alice"), Want: want, Term: 600, Until: start.Add(lasts).Unix(), Nodes: w.nodes[:want]}
}

func (w *net) keeper(want int, lasts time.Duration) *keeper {
	k := &keeper{w: w, ends: start.Add(lasts).Unix(), decide: all}
	k.disk = keep.Begin(w.now, w.charge(want, lasts))
	k.Watch = keep.New(w.now, k.disk, k.ends)
	return k
}

// all does whatever may be done.
func all(q keep.Question) (d keep.Decision) {
	free := q.Candidates[:min(len(q.Candidates), q.May)]
	for _, s := range q.Slivers {
		if s.Due {
			d.Renew = append(d.Renew, s.Sliver)
		}
		if s.Lost && len(free) > 0 {
			d.Replace = append(d.Replace, keep.Replacement{Sliver: s.Sliver, Node: free[0].Node})
			free = free[1:]
		}
	}
	for _, c := range free {
		d.Add = append(d.Add, c.Node)
	}
	return d
}

// turn looks once and does what comes of it.
func (k *keeper) turn() {
	for inputs := []keep.Input{keep.Tick{}}; len(inputs) > 0; inputs = inputs[1:] {
		effects := k.Step(k.w.now, inputs[0])
		for i, e := range effects {
			switch e := e.(type) {
			case keep.Store:
				if i != 0 {
					k.w.t.Fatal("something is done before it is written down")
				}
				k.disk = e.Standing
			case keep.Look:
				inputs = append(inputs, keep.Looked{Sight: k.w.look(e.Nodes)})
			case keep.Seek:
				inputs = append(inputs, k.seek(e.Not))
			case keep.Consult:
				if err := e.Question.Check(); err != nil {
					k.w.t.Fatalf("%v: %+v", err, e.Question)
				}
				k.asked++
				inputs = append(inputs, keep.Decided{Decision: k.decide(e.Question), By: "builtin"})
			case keep.Renew:
				inputs = append(inputs, k.renew(e))
			case keep.Run:
				inputs = append(inputs, k.launch(e))
			case keep.Close:
				inputs = append(inputs, k.close(e))
			case keep.Over:
				k.over = e.Why
			}
		}
	}
}

func (k *keeper) seek(not []lease.Principal) keep.Input {
	var list []keep.Candidate
	for _, n := range k.w.nodes {
		if !k.w.dead[n] && !slices.Contains(not, n) {
			list = append(list, keep.Candidate{Node: n})
		}
	}
	keep.Order(leasetest.Who("alice"), "web", list)
	var nodes []lease.Principal
	for _, c := range list {
		nodes = append(nodes, c.Node)
	}
	return keep.Found{Candidates: list, Sight: k.w.look(nodes)}
}

func (k *keeper) renew(e keep.Renew) (d keep.Done) {
	for node, r := range k.w.has {
		if slices.Contains(e.Slivers, r.name) && !k.w.dead[node] {
			r.until = time.Unix(e.Until, 0)
			d.Renewed = append(d.Renewed, keep.Known{Sliver: r.name, Node: node, Until: e.Until})
		}
	}
	return d
}

func (k *keeper) launch(e keep.Run) (d keep.Done) {
	for _, n := range e.Nodes {
		k.w.runs++
		if k.w.dead[n] || k.w.has[n] != nil && k.w.now.Before(k.w.has[n].until) {
			d.Missed = append(d.Missed, keep.Miss{Node: n, Why: "refused"})
			continue
		}
		r := k.w.run(n, time.Unix(e.Until, 0))
		if k.launches != "" {
			r.name = k.launches
		}
		d.Ran = append(d.Ran, keep.Known{Sliver: r.name, Node: n, Until: e.Until})
	}
	return d
}

func (k *keeper) close(e keep.Close) (d keep.Done) {
	for node, r := range k.w.has {
		if slices.Contains(e.Slivers, r.name) && k.w.stubborn[node] {
			k.w.closes++
			d.Missed = append(d.Missed, keep.Miss{Node: node, Sliver: r.name, Why: "no answer"})
			continue
		}
		if slices.Contains(e.Slivers, r.name) {
			delete(k.w.has, node)
			d.Closed = append(d.Closed, keep.Known{Sliver: r.name, Node: node})
		}
	}
	return d
}

// pass lets time go by, one look after another.
func (w *net) pass(d time.Duration, keepers ...*keeper) {
	for end := w.now.Add(d); w.now.Before(end); w.now = w.now.Add(time.Second) {
		for _, k := range keepers {
			if at, ok := k.NextWake(); ok && !w.now.Before(at) {
				k.turn()
			}
		}
	}
}

func (w *net) begin(want int) {
	for _, n := range w.nodes[:want] {
		w.run(n, start.Add(10*time.Minute))
	}
}

func (w *net) stands(when string, want int) {
	w.t.Helper()
	if n := w.lives(); n != want {
		w.t.Errorf("%s: %d live, want %d: %v", when, n, want, w.has)
	}
}

func TestRenewedUntilTheGrantEnds(t *testing.T) {
	w := newNet(t, 6)
	w.begin(3)
	k := w.keeper(3, time.Hour)
	w.pass(55*time.Minute, k)
	w.stands("after five terms", 3)
	if w.made != 3 {
		t.Errorf("%d were run anew", w.made-3)
	}
	if k.asked > 40 {
		t.Errorf("asked %d times for 30 renewals", k.asked)
	}
	w.pass(6*time.Minute, k)
	if k.over == "" || k.disk.Over == "" {
		t.Error("it is kept beyond the grant")
	}
	for _, r := range w.has {
		if r.until.Unix() > k.ends {
			t.Errorf("a lease until %s, beyond the grant", r.until)
		}
	}
}

func TestTheLostAreReplacedAndClosedWhenTheyComeBack(t *testing.T) {
	w := newNet(t, 6)
	w.begin(3)
	k := w.keeper(3, time.Hour)
	w.pass(time.Minute, k)
	w.dead[w.nodes[0]] = true
	w.pass(30*time.Second, k)
	w.stands("silent for a moment", 2)
	if w.runs != 0 {
		t.Error("a daemon that is started again loses its sliver")
	}
	w.pass(40*time.Second, k)
	w.stands("lost", 3)
	w.dead[w.nodes[0]] = false
	w.stands("it is back", 4)
	w.pass(time.Minute, k)
	w.stands("the old one is closed", 3)
	var did []keep.Deed
	for _, a := range k.disk.Acts {
		did = append(did, a.What)
	}
	if want := []keep.Deed{keep.Began, keep.Ran, keep.Replaced, keep.Closed}; !slices.Equal(did, want) {
		t.Errorf("%v, want %v", did, want)
	}
}

// A node that is back and confirms no close does not keep the slice from being kept.
func TestWhoConfirmsNoCloseHoldsUpNothing(t *testing.T) {
	w := newNet(t, 6)
	w.begin(3)
	k := w.keeper(3, 3*time.Hour)
	w.pass(time.Minute, k)
	w.dead[w.nodes[0]] = true
	w.pass(80*time.Second, k)
	w.stands("replaced", 3)
	w.dead[w.nodes[0]], w.stubborn = false, map[lease.Principal]bool{w.nodes[0]: true}
	w.has[w.nodes[0]].until = start.Add(3 * time.Hour) // as it says itself
	w.pass(40*time.Minute, k)
	w.stands("some terms later", 4)
	if w.closes < 2 || w.closes > 5 {
		t.Errorf("it was tried %d times in 40 min", w.closes)
	}
}

// What a monitor says of a silent node makes it lost sooner, and nothing of one that answers.
func TestTheAbsentAreLostSooner(t *testing.T) {
	w := newNet(t, 3)
	k := w.keeper(2, time.Hour)
	sight := keep.Sight{Silent: w.nodes[:1], Seen: []keep.Seen{{Sliver: "b", Node: w.nodes[1], State: keep.Runs, Left: 600}},
		Health: map[lease.Principal]string{w.nodes[0]: "absent", w.nodes[1]: "absent"}}
	first := sight
	first.Silent, first.Seen = nil, append(slices.Clone(sight.Seen), keep.Seen{Sliver: "a", Node: w.nodes[0], State: keep.Runs, Left: 600})
	for i, s := range []keep.Sight{first, sight, sight} {
		at := start.Add(time.Duration(i) * keep.LookEvery)
		k.Step(at, keep.Tick{})
		effects := k.Step(at, keep.Looked{Sight: s})
		seeks := false
		for _, e := range effects {
			if _, ok := e.(keep.Seek); ok {
				seeks = true
			}
		}
		if seeks != (i == 2) {
			t.Errorf("look %d: %v", i, effects)
		}
	}
}

func TestEndedProgramsAreRunAnewOnlySoOften(t *testing.T) {
	w := newNet(t, 20)
	w.begin(2)
	k := w.keeper(2, 2*time.Hour)
	for range 40 * 60 {
		for _, r := range w.has {
			r.state = keep.Ended
		}
		w.pass(time.Second, k)
	}
	if w.runs != 6 {
		t.Errorf("%d were run in %s, want 6", w.runs, w.now.Sub(start))
	}
	// Nor does a new daemon forget it.
	k.Watch = keep.New(w.now, k.disk, k.ends)
	w.pass(5*time.Minute, k)
	if w.runs != 6 {
		t.Errorf("%d were run after a restart, want 6", w.runs)
	}
}

func TestTwoKeepersDoNotFight(t *testing.T) {
	w := newNet(t, 12)
	w.begin(4)
	a, b := w.keeper(4, 3*time.Hour), w.keeper(4, 3*time.Hour)
	w.pass(time.Minute, a, b)
	for round := range 3 {
		w.dead[w.nodes[round]] = true
		w.pass(2*time.Minute, a, b)
		w.stands(fmt.Sprintf("round %d", round), 4)
	}
	if w.runs > 4 {
		t.Errorf("%d were run for 3 that were lost", w.runs)
	}
	// Both run one more at once, as neither had looked again: it ends with its lease.
	w.run(w.nodes[10], w.now.Add(10*time.Minute))
	a.Step(w.now, keep.Changed{Charge: func() keep.Charge { c := w.charge(4, 3*time.Hour); c.Nodes = w.nodes; return c }(), Ends: a.ends})
	b.Step(w.now, keep.Changed{Charge: func() keep.Charge { c := w.charge(4, 3*time.Hour); c.Nodes = w.nodes; return c }(), Ends: b.ends})
	w.stands("one too many", 5)
	w.pass(25*time.Minute, a, b)
	w.stands("a term later", 4)
}

// Whatever a daemon forgets when it dies, the next keeps the slice.
func TestRestarts(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newNet(t, 8)
		w.begin(3)
		k := w.keeper(3, 3*time.Hour)
		for range 20 {
			w.pass(time.Duration(r.IntN(90))*time.Second, k)
			switch r.IntN(3) {
			case 0:
				k.Watch = keep.New(w.now, k.disk, k.ends)
			case 1:
				clear(w.dead)
				w.dead[w.nodes[r.IntN(len(w.nodes))]] = true
			}
			if len(w.has) > len(w.nodes) {
				t.Fatal("two slivers on a node")
			}
		}
		clear(w.dead)
		w.pass(25*time.Minute, k)
		if n := w.lives(); n != 3 && w.runs < 9 {
			t.Errorf("seed %d: %d live after %d runs: %v", seed, n, w.runs, k.disk.Acts)
		}
	}
}

// A decision that goes beyond its question does nothing, whoever let it pass.
func TestDecisionsBeyondTheQuestion(t *testing.T) {
	for name, decide := range map[string]func(keep.Question) keep.Decision{
		"too many": func(q keep.Question) keep.Decision { return keep.Decision{Add: leasetestNodes(q, len(q.Candidates))} },
		"elsewhere": func(keep.Question) keep.Decision {
			return keep.Decision{Add: []lease.Principal{leasetest.Who("mallory")}}
		},
		"what lives": func(q keep.Question) keep.Decision {
			return keep.Decision{Replace: []keep.Replacement{{Sliver: "s002", Node: q.Candidates[0].Node}}}
		},
		"not due": func(keep.Question) keep.Decision { return keep.Decision{Renew: []string{"s002"}} },
		"twice": func(q keep.Question) keep.Decision {
			return keep.Decision{Replace: []keep.Replacement{{Sliver: "s001", Node: q.Candidates[0].Node}, {Sliver: "s001", Node: q.Candidates[1].Node}}}
		},
		"another's":    func(keep.Question) keep.Decision { return keep.Decision{Renew: []string{"s999"}} },
		"does nothing": func(keep.Question) keep.Decision { return keep.Decision{} },
	} {
		w := newNet(t, 8)
		w.begin(2)
		k := w.keeper(2, time.Hour)
		k.decide = decide
		w.pass(time.Second, k)
		w.has[w.nodes[0]].state = keep.Ended
		w.pass(3*time.Minute, k)
		if w.runs > 0 || k.asked == 0 {
			t.Errorf("%s: %d runs, asked %d times", name, w.runs, k.asked)
		}
		if last := k.disk.Acts[len(k.disk.Acts)-1]; name != "does nothing" && last.What != keep.Missed {
			t.Errorf("%s: %+v", name, last)
		}
	}
}

func leasetestNodes(q keep.Question, n int) (list []lease.Principal) {
	for _, c := range q.Candidates[:n] {
		list = append(list, c.Node)
	}
	return list
}

func TestStandingsAreReadAsTheyWereWritten(t *testing.T) {
	w := newNet(t, 6)
	w.begin(3)
	k := w.keeper(3, time.Hour)
	w.dead[w.nodes[0]] = true
	w.pass(10*time.Minute, k)
	s, err := keep.ParseStanding(k.disk.Record())
	if err != nil || !slices.Equal(s.Known, k.disk.Known) || !slices.Equal(s.Acts, k.disk.Acts) || !slices.Equal(s.Places, k.disk.Places) || len(s.Known) == 0 {
		t.Errorf("%v, %+v", err, s)
	}
	for _, b := range []string{"", "{}", `{"charge":{}}`, string(k.disk.Record()) + "{}"} {
		if _, err := keep.ParseStanding([]byte(b)); !errors.Is(err, keep.ErrCharge) {
			t.Errorf("%.20q: %v", b, err)
		}
	}
}

func FuzzStanding(f *testing.F) {
	f.Add(keep.Begin(start, keep.Charge{Slice: "web", Owner: leasetest.Who("alice"), Want: 2, Term: 600, Until: 1}).Record())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := keep.ParseStanding(b)
		if err != nil {
			return
		}
		w := keep.New(start, s, s.Charge.Until) // whatever is on the disk, a watch goes on
		for _, in := range []keep.Input{keep.Tick{}, keep.Looked{}, keep.Found{}, keep.Undecided{}, keep.Tick{}} {
			for _, e := range w.Step(start, in) {
				if q, ok := e.(keep.Consult); ok && q.Question.Check() != nil {
					t.Fatalf("%+v", q.Question)
				}
			}
		}
	})
}

// What another keeper runs already on a node that would be thought of counts, and the
// node is no candidate; where one is to be run is written down before it is asked.
func TestBeforeAnythingIsRun(t *testing.T) {
	w := newNet(t, 6)
	k := w.keeper(3, time.Hour)
	k.Step(start, keep.Tick{})
	k.Step(start, keep.Looked{Sight: keep.Sight{Seen: []keep.Seen{{Sliver: "a", Node: w.nodes[0], State: keep.Runs, Left: 600}}}})
	effects := k.Step(start, keep.Found{Candidates: []keep.Candidate{{Node: w.nodes[3]}, {Node: w.nodes[4]}, {Node: w.nodes[5]}},
		Sight: keep.Sight{Seen: []keep.Seen{{Sliver: "b", Node: w.nodes[3], State: keep.Runs, Left: 600}}, Silent: w.nodes[4:5]}})
	q, ok := effects[len(effects)-1].(keep.Consult)
	if !ok || q.Question.May != 1 || len(q.Question.Candidates) != 1 || q.Question.Candidates[0].Node != w.nodes[5] {
		t.Fatalf("%+v", effects)
	}
	effects = k.Step(start, keep.Decided{Decision: keep.Decision{Add: w.nodes[5:6]}, By: "builtin"})
	s, ok := effects[0].(keep.Store)
	if !ok || !slices.ContainsFunc(s.Standing.Places, func(p keep.Place) bool { return p.Node == w.nodes[5] }) || len(s.Standing.Runs) != 1 {
		t.Fatalf("%+v", effects)
	}
}

// A node that signs leases with other slivers' names takes none out of sight.
func TestNamesOfOthersTakeNothingOutOfSight(t *testing.T) {
	w := newNet(t, 6)
	w.begin(3)
	k := w.keeper(3, time.Hour)
	w.pass(time.Minute, k)
	liar := w.has[w.nodes[2]]
	for until := w.now.Add(20 * time.Minute); w.now.Before(until); {
		liar.name = "s001" // its sibling's
		w.pass(time.Second, k)
	}
	if w.has[w.nodes[0]].name != "s001" || !w.now.Before(w.has[w.nodes[0]].until) || w.lives() < 3 {
		t.Errorf("%d live: %v", w.lives(), w.has)
	}
	// Nor does one that is new.
	k.launches = "s001"
	w.has[w.nodes[1]].state = keep.Ended
	w.pass(10*time.Minute, k)
	if !w.now.Before(w.has[w.nodes[0]].until) {
		t.Error("a name that was taken ended the renewals")
	}
}
