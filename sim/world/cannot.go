// SPDX-License-Identifier: Apache-2.0

package world

import (
	"fmt"

	"croft/gossip"
	"croft/sim/scenario"
)

// cannot returns what this world does not do of a scenario, as ErrCannot.
func cannot(s *scenario.Scenario) error {
	no := func(line int, what, why string) error {
		return fmt.Errorf("line %d: %s: %w: %s", line, what, ErrCannot, why)
	}
	for _, step := range s.Steps {
		switch do := step.Do.(type) {
		case *scenario.Find:
			return no(step.Line, step.Name(), "it has no model of the index on the DHT yet")
		case *scenario.Publish:
			return no(step.Line, step.Name(), "it has no topics of slices yet")
		case *scenario.Hostile:
			return no(step.Line, step.Name()+" "+do.Kind, "everybody in it keeps the rules so far")
		}
	}
	for _, e := range s.Expects {
		switch e.Figure {
		case "lookup", "detection", "utilisation":
			return no(e.Line, "expect "+e.Figure, "it does not measure that yet")
		}
	}
	if entries := s.Nodes.Count * min(s.Nodes.Count, viewCap(s)); entries > maxEntries {
		return fmt.Errorf("%d nodes with views of %d would take %.0f GB: %w: want a smaller view=", s.Nodes.Count,
			min(s.Nodes.Count, viewCap(s)), float64(entries)*entryBytes/1e9, ErrCannot)
	}
	return nil
}

func viewCap(s *scenario.Scenario) int {
	if s.Nodes.View > 0 {
		return s.Nodes.View
	}
	return gossip.DefaultCap
}
