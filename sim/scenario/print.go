// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"strings"
)

// String prints the scenario in a form that [Parse] reads as the same.
func (s *Scenario) String() string {
	var b strings.Builder
	if s.Market() {
		fmt.Fprintf(&b, "seed %d\n", s.Seed)
	} else {
		b.WriteString("nodes")
		print(&b, &s.Nodes)
		fmt.Fprintf(&b, "\nseed %d\njoin", s.Seed)
		print(&b, &s.Join)
		fmt.Fprintf(&b, "\nend %s\n", span(s.End))
	}
	for _, t := range s.Trials {
		b.WriteString(t.String() + "\n")
	}
	for _, step := range s.Steps {
		b.WriteString(step.String() + "\n")
	}
	for _, e := range s.Expects {
		b.WriteString(e.String() + "\n")
	}
	if s.History != "" {
		b.WriteString("history " + s.History + "\n")
	}
	return b.String()
}

func (s Step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "at %s ", span(s.At))
	if _, ok := s.Do.(Fault); ok {
		b.WriteString("fault ")
	}
	b.WriteString(s.Do.word())
	print(&b, s.Do)
	return b.String()
}

// Name returns what a step does in a word or two, such as "fault partition".
func (s Step) Name() string {
	if _, ok := s.Do.(Fault); ok {
		return "fault " + s.Do.word()
	}
	return s.Do.word()
}
