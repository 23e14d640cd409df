// SPDX-License-Identifier: Apache-2.0

package world

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"croft/gossip"
	"croft/sim/scenario"
)

// cannot returns what this world does not do of a scenario, as ErrCannot.
func cannot(s *scenario.Scenario) error {
	no := func(line int, what, why string) error {
		return fmt.Errorf("line %d: %s: %w: %s", line, what, ErrCannot, why)
	}
	if s.Market() {
		return no(s.Trials[0].Line, s.Trials[0].String(), "trials have no network")
	}
	for _, step := range s.Steps {
		switch do := step.Do.(type) {
		case *scenario.Hostile:
			if shards(s) {
				return no(step.Line, step.Name()+" "+do.Kind, "where not everybody hears everybody nobody is hostile yet")
			}
		case *scenario.Slice:
			if do.Serves != "" {
				return no(step.Line, step.Name()+" serves="+do.Serves, "its slivers have no socket to serve a role at; `--world stack` has")
			}
		case *scenario.Try, *scenario.Promote, *scenario.Ask:
			return no(step.Line, step.Name(), "its slivers have no socket to serve a role at; `--world stack` has")
		}
	}
	if s.Nodes.Publishers > 0 {
		return fmt.Errorf("publishers=%d: %w: all of its nodes have something to offer", s.Nodes.Publishers, ErrCannot)
	}
	if err := tooManyCuts(s.Steps); err != nil {
		return err
	}
	for _, e := range s.Expected("world") {
		switch e.Figure {
		case "law", "served":
			return no(e.Line, "expect "+e.Figure, "that is of trials, which have no network")
		}
	}
	if entries := s.Nodes.Count * min(s.Nodes.Count, viewCap(s)); entries > maxEntries {
		return fmt.Errorf("%d nodes with views of %d would take %.0f GB: %w: want a smaller view=", s.Nodes.Count,
			min(s.Nodes.Count, viewCap(s)), float64(entries)*entryBytes/1e9, ErrCannot)
	}
	return nil
}

// tooManyCuts refuses more partitions at once than a node's side has bits. One that
// heals when another begins is still there then.
func tooManyCuts(steps []scenario.Step) error {
	var heals []time.Duration // when those in force do
	partitions := slices.DeleteFunc(slices.Clone(steps), func(s scenario.Step) bool { _, is := s.Do.(*scenario.Partition); return !is })
	slices.SortStableFunc(partitions, func(a, b scenario.Step) int { return cmp.Compare(a.At, b.At) })
	for _, step := range partitions {
		heals = slices.DeleteFunc(heals, func(at time.Duration) bool { return at < step.At })
		if len(heals) == maxCuts {
			return fmt.Errorf("line %d: %s: %w: %d others are in force by then, which is the limit", step.Line, step.Name(), ErrCannot, maxCuts)
		}
		until := time.Duration(math.MaxInt64)
		if d := step.Do.(*scenario.Partition).For; d > 0 {
			until = step.At + d
		}
		heals = append(heals, until)
	}
	return nil
}

func viewCap(s *scenario.Scenario) int {
	if s.Nodes.View > 0 {
		return s.Nodes.View
	}
	return gossip.DefaultCap
}
