// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"croft/lease"
	"croft/lease/offer"
	"croft/sim/cost"
	"croft/sim/profile"
	"croft/sim/report"
	"croft/sim/scenario"
	"croft/sim/stack/lean"
)

// Options are of a run.
type Options struct {
	Dir string // where the daemons keep what is not in their journals
	// Progress is called now and then; may be nil.
	Progress func(report.Progress)
	// Abandon leaves everything running when the report is there: the process ends.
	Abandon bool
}

// Stack is one run.
type Stack struct {
	scn     *scenario.Scenario
	profile *profile.Profile
	dir     string
	began   time.Time // virtual
	wires   *wires
	fabric  *lean.Fabric
	nodes   []*node
	byKey   map[lease.Principal]int
	offers  offers
	figures figures
	addrs   addrs
	seeds   *seeds         // nil: tables fill by look-ups
	work    sync.WaitGroup // steps under way

	mu      sync.Mutex // guards what follows
	rng     *rand.Rand // of whom a step strikes
	up      int
	ending  bool
	err     error
	checks  int // looks at ledgers
	slices  map[string]*researcher
	inOrder []*researcher
}

// Run plays a scenario to its end, or until ctx is done: then what there is comes
// back, marked as partial. It is called in a bubble, and ctx may come from outside of
// it. The error is ErrCannot, or of what should not be.
func Run(ctx context.Context, scn *scenario.Scenario, opt Options) (*report.Report, error) {
	if err := cannot(scn); err != nil {
		return nil, err
	}
	s, err := newStack(scn, opt.Dir)
	if err != nil {
		return nil, err
	}
	return s.run(ctx, opt)
}

func (s *Stack) run(ctx context.Context, opt Options) (*report.Report, error) {
	meter := cost.Begin()
	s.schedule()
	partial := s.wait(ctx, opt)
	s.check(true)
	r := s.report(partial, meter)
	if err := s.close(opt.Abandon); err != nil {
		return nil, err
	}
	return r, nil
}

func newStack(scn *scenario.Scenario, dir string) (*Stack, error) {
	p, err := profile.New(scn.Nodes.Profile, scn.Nodes.Count, scn.Seed)
	if err != nil {
		return nil, err
	}
	s := &Stack{scn: scn, profile: p, dir: dir, began: time.Now(), byKey: map[lease.Principal]int{}, slices: map[string]*researcher{},
		rng: rand.New(rand.NewPCG(scn.Seed, 0x737461636b)), wires: &wires{profile: p, holes: make([]bool, scn.Nodes.Count)}}
	s.fabric = lean.NewFabric(s.wires)
	s.offers.known, s.offers.latest = map[[sha256.Size]byte]*told{}, make([]*offer.Opened, s.scn.Nodes.Count)
	s.figures.init(scn)
	for i := range scn.Nodes.Count {
		n, err := s.newNode(i)
		if err != nil {
			return nil, fmt.Errorf("making node %d: %w", i, err)
		}
		s.nodes = append(s.nodes, n)
		s.byKey[n.key.Principal()] = i
	}
	if scn.Nodes.Seeded {
		s.seeds = newSeeds(s.nodes)
	}
	return s, nil
}

// schedule has everything of the scenario happen in its time.
func (s *Stack) schedule() {
	if s.seeds != nil {
		s.in(s.scn.Joined()+time.Second, s.seeds.again)
	}
	for _, step := range s.scn.Steps {
		s.in(step.At, func() { s.act(step) })
	}
	s.guard()
	for i, n := range s.nodes {
		s.in(time.Duration(i/s.scn.Join.Wave)*s.scn.Join.Every+time.Duration(s.draw(int(100*time.Millisecond))), n.start)
	}
}

// in has do happen after a time, beside everything else.
func (s *Stack) in(d time.Duration, do func()) {
	s.work.Add(1)
	time.AfterFunc(d, func() {
		defer s.work.Done()
		if !s.over() {
			do()
		}
	})
}

// wait lets time go by until the end, and reports whether it was cut short. Whoever
// interrupts is outside of the bubble, so nobody can wait for him: he is looked for.
func (s *Stack) wait(ctx context.Context, opt Options) (partial bool) {
	memory := newCollector(len(s.nodes))
	for told := -beat; ; {
		at := s.now()
		up, err := s.state(at)
		memory.pace()
		if opt.Progress != nil && at-told >= beat {
			told = at
			opt.Progress(report.Progress{Now: at, End: s.scn.End, Up: up})
		}
		switch {
		case ctx.Err() != nil, err != nil:
			return true
		case at >= s.scn.End:
			return false
		}
		<-time.After(min(look, s.scn.End-at))
	}
}

// state is looked at again and again.
func (s *Stack) state(at time.Duration) (up int, err error) {
	s.mu.Lock()
	up, err = s.up, s.err
	s.mu.Unlock()
	s.figures.Lock()
	defer s.figures.Unlock()
	s.figures.up.Set(at, float64(up))
	return up, err
}

// close ends all nodes, or nothing at all.
func (s *Stack) close(abandon bool) error {
	s.mu.Lock()
	s.ending = true
	err := s.err
	s.mu.Unlock()
	if abandon {
		return err
	}
	var all sync.WaitGroup
	for _, n := range s.nodes {
		all.Go(func() { n.kill(false, true) })
	}
	all.Wait()
	s.work.Wait()
	<-time.After(lean.DialTimeout) // who was dialled by those that have ended
	return err
}

// now is the time of the run.
func (s *Stack) now() time.Duration { return time.Since(s.began) }

func (s *Stack) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending
}

// fail ends the run by a mistake of ours.
func (s *Stack) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

func (s *Stack) changed(by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up += by
}

// draw returns a number below n.
func (s *Stack) draw(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(n)
}

// loudOf is how many connections of a node gossip knows of, of so many nodes: in a run and
// in its baseline.
func loudOf(nodes int) int {
	if nodes > maxNodes {
		return loudMany
	}
	return loud
}

// present counts the nodes whose offers there are.
func (s *Stack) present() (count int) {
	for _, n := range s.nodes {
		if n.isOffering() {
			count++
		}
	}
	return count
}

// contacts draws nodes for a newcomer to join by.
func (s *Stack) contacts(but *node) (list []*node) {
	for range 100 * contacts {
		n := s.nodes[s.draw(len(s.nodes))]
		n.books.Lock()
		ok := n.up && !n.hole && n != but
		n.books.Unlock()
		if ok {
			if list = append(list, n); len(list) == contacts {
				return list
			}
		}
	}
	for _, n := range s.nodes { // few are there
		n.books.Lock()
		ok := n.up && !n.hole && n != but
		n.books.Unlock()
		if ok && len(list) < contacts {
			list = append(list, n)
		}
	}
	return list
}
