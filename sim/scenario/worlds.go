// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"slices"
	"strings"
)

// Worlds are where scenarios with nodes are played; the first is the usual one.
var Worlds = []string{"world", "stack", "lab"}

// Expected returns what is expected of a run in a world: what names no world is
// expected in all.
func (s *Scenario) Expected(world string) (list []Expect) {
	for _, e := range s.Expects {
		if len(e.Worlds) == 0 || slices.Contains(e.Worlds, world) {
			list = append(list, e)
		}
	}
	return list
}

// in reads the end of an expectation that is of some worlds, such as "in world,stack",
// and returns what stands before it. No valid expectation of all worlds has the word
// there: a slice of that name stands further in front.
func (r *reader) in(n int, rest []word) (before []word, worlds []string, ok bool) {
	at := slices.IndexFunc(rest, func(w word) bool { return w.value == "in" })
	if at < 1 || at < len(rest)-2 {
		return rest, nil, true
	}
	want := "want one or more of " + strings.Join(Worlds, ",")
	if at == len(rest)-1 {
		r.say(n, r.width, "in which world?", want)
		return nil, nil, false
	}
	column := rest[at+1].column
	for world := range strings.SplitSeq(rest[at+1].value, ",") {
		switch {
		case !slices.Contains(Worlds, world):
			r.say(n, column, "there is no world "+shown(world), want)
			return nil, nil, false
		case slices.Contains(worlds, world):
			r.say(n, column, "the world "+world+" stands there twice", "")
			return nil, nil, false
		}
		worlds = append(worlds, world)
		column += len(world) + 1 // those that there are have plain names
	}
	return rest[:at], worlds, true
}
