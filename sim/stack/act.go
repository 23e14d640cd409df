// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"slices"
	"sync"
	"time"

	"croft/sim/scenario"
)

// act does one step of the scenario.
func (s *Stack) act(step scenario.Step) {
	switch do := step.Do.(type) {
	case *scenario.Slice:
		s.slice(do)
	case *scenario.Renew:
		s.renew(do)
	case *scenario.Stop:
		s.stop(do)
	case *scenario.Find:
		s.find(do)
	case *scenario.Try:
		s.hand("try", do.Role, do.Slice)
	case *scenario.Promote:
		s.hand("promote", do.Role, do.Slice)
	case *scenario.Ask:
		s.ask(do)
	case *scenario.Publish:
		s.publish(do)
	case *scenario.Change:
		for _, n := range s.choose(do.Who, (*node).isOffering) {
			n.change()
		}
	case *scenario.Leave:
		s.all(s.choose(do.Who, (*node).isPresent), (*node).leave)
	case *scenario.Loss, *scenario.Delay, *scenario.Reorder:
		fault := do.(scenario.Fault)
		s.during(s.wires.begin(fault, s.whom(fault.Whom())), fault.Lasts())
	case *scenario.Partition:
		inside := map[int]bool{}
		for _, n := range s.choose(do.Who, func(n *node) bool { return true }) {
			inside[n.index] = true
		}
		heal := s.wires.partition(inside)
		s.fabric.Recut()
		s.during(func() { heal(); s.fabric.Recut() }, do.For)
	case *scenario.BlackHole:
		chosen := s.choose(do.Who, (*node).isPresent)
		s.hole(chosen, true)
		s.during(func() { s.hole(chosen, false) }, do.For)
	case *scenario.Kill:
		s.kill(do.Who, false, do.Power, do.For)
	case *scenario.Restart:
		s.kill(do.Who, true, do.Power, do.After)
	case *scenario.Skew:
		for _, n := range s.choose(do.Who, func(n *node) bool { return true }) {
			by := int64(do.By)
			if s.draw(2) == 0 {
				by = -by
			}
			n.machine.skew.Add(by)
		}
	}
}

// during ends a fault after its time; 0 is for good.
func (s *Stack) during(end func(), d time.Duration) {
	if d > 0 {
		s.in(d, end)
	}
}

func (s *Stack) hole(nodes []*node, is bool) {
	for _, n := range nodes {
		n.books.Lock()
		n.hole = is
		n.books.Unlock()
	}
	s.wires.hole(nodes, is)
	s.fabric.Recut()
}

// kill ends daemons; those that come back do so after a time.
func (s *Stack) kill(who scenario.Who, torn, power bool, back time.Duration) {
	s.all(s.choose(who, (*node).isPresent), func(n *node) {
		if back > 0 {
			s.in(back, n.start)
		}
		n.kill(torn, power)
	})
}

// all does something to nodes, all at once.
func (s *Stack) all(nodes []*node, do func(*node)) {
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() { do(n) })
	}
	wg.Wait()
}

// whom are the nodes that a fault of the wires strikes; nil: all.
func (s *Stack) whom(who scenario.Who) []bool {
	if who.Everybody() {
		return nil
	}
	set := make([]bool, len(s.nodes))
	for _, n := range s.choose(who, func(*node) bool { return true }) {
		set[n.index] = true
	}
	return set
}

// choose draws nodes among those that may be drawn.
func (s *Stack) choose(who scenario.Who, may func(*node) bool) (chosen []*node) {
	for _, n := range s.nodes {
		if may(n) && who.May(n.index, s.profile.Place(n.index).Region) {
			chosen = append(chosen, n)
		}
	}
	want := who.Of(len(chosen))
	s.mu.Lock()
	s.rng.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	s.mu.Unlock()
	chosen = chosen[:want]
	slices.SortFunc(chosen, func(a, b *node) int { return a.index - b.index })
	return chosen
}

// anyPresent draws a node that answers; nil: there is none.
func (s *Stack) anyPresent() *node {
	list := s.choose(scenario.Who{Count: 1}, func(n *node) bool {
		n.books.Lock()
		defer n.books.Unlock()
		return n.up && n.told && !n.hole
	})
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// change has a node say something new of itself: its uptime, at least.
func (n *node) change() {
	defer n.turn.take()()
	if n.now != nil {
		n.now.daemon.Announce()
	}
}
