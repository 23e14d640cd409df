// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"fmt"

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
			return no(step.Line, step.Name()+" "+do.Kind, "everybody in it keeps the rules so far")
		case *scenario.Duplicate:
			return no(step.Line, step.Name(), "its connections are reliable, so that nothing comes twice")
		}
	}
	for _, e := range s.Expected("stack") {
		switch e.Figure {
		case "utilisation":
			return no(e.Line, "expect "+e.Figure, "it does not measure that yet")
		}
	}
	switch {
	case s.History != "":
		return fmt.Errorf("a history: %w: its runs do not repeat themselves; `--world world` does", ErrCannot)
	case s.Nodes.View > 0:
		return fmt.Errorf("view=%d: %w: views are as large as a daemon's", s.Nodes.View, ErrCannot)
	case s.Nodes.Count > maxSeeded:
		return fmt.Errorf("%d nodes: %w: want at most %d", s.Nodes.Count, ErrCannot, maxSeeded)
	case s.Nodes.Count > maxNodes && !(s.Nodes.Seeded && s.Nodes.Offering() <= maxPublishers):
		return fmt.Errorf("%d nodes that all look for one another would take %.0f GB: %w: want at most %d, or seeded=yes publishers=%d", s.Nodes.Count,
			float64(s.Nodes.Count)*nodeBytes/1e9, ErrCannot, maxNodes, maxPublishers)
	}
	return nil
}
