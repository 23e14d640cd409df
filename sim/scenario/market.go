// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Trial is an experiment on leases alone, without a network: a pointer to one of the
// types below. A scenario has nodes, or trials.
type Trial struct {
	Do   Deal
	Line int // where it stands; not printed
}

// Deal is what a trial tries.
type Deal interface{ deal() string }

// Tickets has an agent sell a node's units more often than there are, and whoever
// bought one redeem it, or not: once for each degree, so many trials.
type Tickets struct {
	Units  int     `key:"units" min:"1" max:"200" need:"yes"`
	Redeem float64 `key:"redeem" need:"yes"`
	Degree []int   `key:"degree" min:"100" max:"1000" default:"100,150,200"`
	Trials int     `key:"trials" min:"1" max:"2000" default:"200"`
	Hands  int     `key:"hands" min:"1" max:"8" default:"1"` // that a ticket goes through on its way
}

// Agents has some of the sites' agents die, and their users go on wishing.
type Agents struct {
	Sites  int             `key:"sites" min:"2" max:"8" default:"4"`
	Degree []int           `key:"degree" min:"100" max:"1000" default:"100,125,150,200"`
	Dead   []int           `key:"dead" min:"0" max:"7" default:"0,1,2,3"`
	Load   int             `key:"load" min:"10" max:"300" default:"120"` // per cent of all machines, wished for
	Term   []time.Duration `key:"term" min:"5m" max:"2h" default:"1h"`   // of what agents pass to peers
	Runs   int             `key:"runs" min:"1" max:"50" default:"3"`
}

// Burst has demand grow towards a deadline, under each mechanism.
type Burst struct {
	Units  int           `key:"units" min:"4" max:"200" default:"40"`
	Days   int           `key:"days" min:"2" max:"30" default:"12"` // before the deadline; one comes after it
	Peak   int           `key:"peak" min:"10" max:"1000" default:"300"`
	Come   float64       `key:"come" default:"0.7"` // of those who planned ahead
	Ahead  time.Duration `key:"ahead" min:"1m" max:"2d" default:"12h"`
	Degree []int         `key:"degree" min:"100" max:"1000" default:"100,150,200"`
}

func (*Tickets) deal() string { return "tickets" }
func (*Agents) deal() string  { return "agents" }
func (*Burst) deal() string   { return "burst" }

var deals = []func() Deal{func() Deal { return new(Tickets) }, func() Deal { return new(Agents) }, func() Deal { return new(Burst) }}

// maxList bounds a list of values in one field: a curve has so many points.
const maxList = 16

// Market reports whether the scenario is of trials, and has no network.
func (s *Scenario) Market() bool { return len(s.Trials) > 0 }

func (t Trial) String() string {
	var b strings.Builder
	b.WriteString(t.Do.deal())
	print(&b, t.Do)
	return b.String()
}

// trial reads a trial, if that is the command.
func (r *reader) trial(n int, command string, rest []word) bool {
	for _, make := range deals {
		if do := make(); do.deal() == command {
			before := len(r.mistakes)
			r.set(do, rest, n)
			if a, ok := do.(*Agents); ok && slices.ContainsFunc(a.Dead, func(dead int) bool { return dead >= a.Sites }) {
				r.say(n, 1, fmt.Sprintf("all %d agents are dead", a.Sites), "want dead= below sites=")
			}
			if len(r.mistakes) == before {
				r.Trials = append(r.Trials, Trial{do, n})
			}
			r.trials++
			return true
		}
	}
	return false
}

// checkMarket holds a scenario of trials against what it cannot have.
func (r *reader) checkMarket() {
	for _, command := range []string{"nodes", "join", "end"} {
		if line := r.lines[command]; line > 0 {
			r.say(line, 1, command+" beside trials, which have no network", "want one of the two")
		}
	}
	if r.Nodes.Count > 0 && r.lines["nodes"] == 0 {
		r.say(0, 0, fmt.Sprintf("%d nodes of a scenario that has no network", r.Nodes.Count), "want no nodes")
	}
	if len(r.Steps) > 0 {
		r.say(r.Steps[0].Line, 1, r.Steps[0].Name()+" beside trials, which have no network", "want one of the two")
	}
	for _, e := range r.Expects {
		if len(e.Worlds) > 0 {
			r.say(e.Line, 1, "trials are in no world", "want no in")
		}
	}
	if len(r.Trials) > MaxSteps {
		r.say(r.Trials[MaxSteps].Line, 1, fmt.Sprintf("%d trials", len(r.Trials)), fmt.Sprintf("want at most %d", MaxSteps))
	}
}

func (r *reader) commands() []string {
	list := []string{"nodes", "seed", "join", "end", "at", "expect", "history"}
	for _, make := range deals {
		list = append(list, make().deal())
	}
	return list
}
