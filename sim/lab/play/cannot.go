// SPDX-License-Identifier: Apache-2.0

package play

import (
	"fmt"
	"slices"

	"croft/sim/report"
	"croft/sim/scenario"
)

// measured are the figures that can be told from outside.
var measured = []string{"safety", "delivery", "latejoin", "lookup", "bytes", "slice", "grants", "topic"}

// cannot returns what a lab does not do of a scenario.
func cannot(s *scenario.Scenario) error {
	no := func(line int, what, why string) error {
		return fmt.Errorf("line %d: %s: %w: %s", line, what, report.ErrCannot, why)
	}
	if n := s.Nodes.Count; n < minNodes || n > maxNodes {
		return fmt.Errorf("%d nodes: %w: want %d to %d real ones; so many would take %.1f GB of memory", n, report.ErrCannot, minNodes, maxNodes, float64(n)*0.05)
	}
	if s.Nodes.View > 0 {
		return fmt.Errorf("view=%d: %w: the daemons keep their own bound", s.Nodes.View, report.ErrCannot)
	}
	if s.Nodes.Publishers > 0 || s.Nodes.Seeded {
		return fmt.Errorf("publishers= and seeded=: %w: its daemons are real ones, and all of them offer", report.ErrCannot)
	}
	if s.History != "" {
		return fmt.Errorf("history: %w: real machines never repeat themselves", report.ErrCannot)
	}
	for _, step := range s.Steps {
		switch do := step.Do.(type) {
		case *scenario.Hostile:
			return no(step.Line, step.Name()+" "+do.Kind, "all its daemons are real ones")
		case *scenario.Slice:
			if do.Serves != "" {
				return no(step.Line, step.Name()+" serves="+do.Serves, "no program of its slices serves a role; `make demo-obsolescence` hands them over among real machines")
			}
		case *scenario.Try, *scenario.Promote, *scenario.Ask:
			return no(step.Line, step.Name(), "no program of its slices serves a role; `make demo-obsolescence` hands them over among real machines")
		case *scenario.Delay, *scenario.Duplicate, *scenario.Reorder:
			return no(step.Line, step.Name(), "its wires keep their distance and order, and only lose")
		case *scenario.Skew:
			return no(step.Line, step.Name(), "all its nodes have the clock of one machine")
		case *scenario.Kill:
			if do.Power {
				return no(step.Line, step.Name()+" power=yes", "it can end daemons, and not a machine")
			}
		case *scenario.Restart:
			if do.Power {
				return no(step.Line, step.Name()+" power=yes", "it can end daemons, and not a machine")
			}
		}
	}
	for _, e := range s.Expected("lab") {
		if !slices.Contains(measured, e.Figure) {
			return no(e.Line, "expect "+e.Figure, "that cannot be told from outside")
		}
	}
	return nil
}
