// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// transitions is the whole life of a sliver, in the order in which it happens. A
// state that stands nowhere on the left is an end.
var transitions = []struct {
	from State
	to   []State
}{
	{Created, []State{Starting, Stopping}},
	{Starting, []State{Running, Failed, Stopping}},
	{Running, []State{Stopped, Stopping}},
	{Stopped, []State{Stopping}},
	{Failed, []State{Gone}},
	{Stopping, []State{Gone}},
}

func (s State) mayBecome(to State) bool {
	for _, t := range transitions {
		if t.from == s {
			return slices.Contains(t.to, to)
		}
	}
	return false
}

// Transitions prints the life of a sliver, one "from to" a line.
func Transitions() string {
	var b strings.Builder
	for _, t := range transitions {
		for _, to := range t.to {
			fmt.Fprintf(&b, "%-9s %s\n", t.from, to)
		}
	}
	return b.String()
}

// ending reports that a Teardown is under way or done.
func (s State) ending() bool { return s == Stopping || s == Failed || s == Gone }
