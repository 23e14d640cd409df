// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"croft/sim/profile"
)

// Check holds a scenario that was changed after [Parse] against the same rules; of
// what was not in the file the line is 0.
func (s *Scenario) Check() error {
	r := &reader{Scenario: *s, lines: map[string]int{}}
	if want := few(s.Nodes.Count); want != "" && !s.Market() {
		r.say(0, 0, fmt.Sprintf("%d nodes", s.Nodes.Count), want)
	} else {
		r.check()
	}
	if len(r.mistakes) > 0 {
		return r.mistakes
	}
	return nil
}

// few says how many nodes there may be, where that many may not.
func few(count int) (want string) {
	if count < 1 || count > MaxNodes {
		want = fmt.Sprintf("want 1 to %d", MaxNodes)
	}
	if count > MaxNodes {
		want += fmt.Sprintf("; so many would take %.0f GB of memory at the least", float64(count)*bytesPerNode/1e9)
	}
	return want
}

// check holds what single lines cannot say against one another.
func (r *reader) check() {
	if r.trials > 0 || r.Market() {
		r.checkMarket()
		return
	}
	if r.lines["nodes"] == 0 && r.Nodes.Count == 0 {
		r.say(0, 0, "there are no nodes", "want a line such as nodes 100")
		return
	}
	joined := r.Scenario.Joined()
	if r.End == 0 && r.lines["end"] == 0 {
		r.End = r.defaultEnd(joined)
	}
	if len(r.Steps) > MaxSteps {
		r.say(r.Steps[MaxSteps].Line, 1, fmt.Sprintf("%d steps", len(r.Steps)), fmt.Sprintf("want at most %d", MaxSteps))
	}
	if joined > MaxLength {
		r.say(r.lines["join"], 1, "the last node joins after "+span(MaxLength), "want larger waves")
	} else if r.End < joined {
		r.say(r.lines["end"], 1, fmt.Sprintf("it ends at %s, and the last node joins at %s", span(r.End), span(joined)), "want a later end or larger waves")
	}
	if r.Nodes.Publishers > r.Nodes.Count {
		r.say(r.lines["nodes"], 1, fmt.Sprintf("%d publishers of %d nodes", r.Nodes.Publishers, r.Nodes.Count), "want at most all of them")
	}
	slices := map[string]time.Duration{}
	for _, s := range r.Steps {
		if s.At >= r.End {
			r.say(s.Line, 1, fmt.Sprintf("it happens at %s and the run ends at %s", span(s.At), span(r.End)), "want an earlier step or a line such as end 10m")
		}
		r.possible(s, slices)
	}
	for _, e := range r.Expects {
		r.compares(e)
		if _, ok := slices[e.Of]; e.Figure == "slice" && !ok {
			r.say(e.Line, 1, "there is no slice "+e.Of, "want a step that makes it")
		}
	}
}

// Joined returns when the last node has joined.
func (s *Scenario) Joined() time.Duration {
	waves := time.Duration((s.Nodes.Count - 1) / max(s.Join.Wave, 1))
	if s.Join.Every > 0 && waves > MaxLength/s.Join.Every {
		return MaxLength + time.Hour // later than any end
	}
	return waves * s.Join.Every
}

// defaultEnd leaves a minute after whatever is the last to happen.
func (r *reader) defaultEnd(joined time.Duration) time.Duration {
	last := joined
	for _, s := range r.Steps {
		at := s.At
		switch do := s.Do.(type) {
		case Fault:
			at += do.Lasts()
		case *Find:
			at += time.Duration(do.Count) * do.Every
		case *Ask:
			at += time.Duration(do.Count) * do.Every
		case *Publish:
			at += do.After + time.Duration(do.Count)*do.Every
		}
		last = max(last, min(at, MaxLength))
	}
	return last + time.Minute
}

// possible refuses what cannot be, with the reason.
func (r *reader) possible(s Step, slices map[string]time.Duration) {
	no := func(text, want string) { r.say(s.Line, 1, text, want) }
	known := func(name string) {
		if at, ok := slices[name]; !ok {
			no("there is no slice "+name+" yet", "want a step above that makes it")
		} else if at > s.At {
			no(fmt.Sprintf("slice %s begins only at %s", name, span(at)), "want a later step")
		}
	}
	switch do := s.Do.(type) {
	case *Slice:
		if _, twice := slices[do.Name]; twice {
			no("slice "+do.Name+" is there already", "want another name")
		}
		slices[do.Name] = s.At
		if most := r.Nodes.Offering(); do.Nodes > most {
			no(fmt.Sprintf("slice %s wants %d nodes of %d", do.Name, do.Nodes, most), "want more nodes or a smaller slice")
		}
	case *Renew:
		known(do.Name)
	case *Stop:
		known(do.Name)
	case *Publish:
		known(do.Slice)
	case *Try:
		known(do.Slice)
		r.serves(s, do.Role, do.Slice)
	case *Promote:
		known(do.Slice)
		r.serves(s, do.Role, do.Slice)
	case *Ask:
		known(do.Slice)
	case *Change:
		r.whose(s, do.Who, false)
	case *Leave:
		r.whose(s, do.Who, true)
	case Fault:
		r.fault(s, do)
	}
}

func (r *reader) fault(s Step, f Fault) {
	no := func(text, want string) { r.say(s.Line, 1, text, want) }
	deadly := false
	switch f := f.(type) {
	case *Partition:
		if f.Everybody() || f.Fraction == 1 && f.Region == "" {
			no("a partition of everybody cuts nobody off", "want region=, fraction= or count=")
		}
		if f.Region != "" && r.Nodes.Profile == "flat" {
			break // told by whose
		}
	case *Kill:
		deadly = f.For == 0
	case *BlackHole, *Hostile:
		deadly = true
	case *Restart:
		if f.For > 0 {
			no("a restart lasts for no time", "want after=, the time until the daemon is back")
		}
	case *Skew:
		if f.For > 0 {
			no("a clock that was stepped stays so", "want no for=")
		}
	}
	if d := f.Lasts(); d > 0 && s.At+d > r.End {
		no(fmt.Sprintf("it lasts until %s and the run ends at %s", span(s.At+d), span(r.End)), "want a shorter fault or a later end")
	}
	r.whose(s, f.Whom(), deadly)
}

// whose checks a choice of nodes. Of the deadly kind somebody must be spared.
func (r *reader) whose(s Step, w Who, deadly bool) {
	no := func(text, want string) { r.say(s.Line, 1, text, want) }
	switch regions := profile.Regions(r.Nodes.Profile); {
	case w.Fraction > 0 && w.Count > 0:
		no("fraction= and count= are two answers to one question", "want one of them")
	case max(w.Count, w.First) > r.Nodes.Count:
		no(fmt.Sprintf("%d nodes of %d", max(w.Count, w.First), r.Nodes.Count), "want at most all of them")
	case !slices.Contains(profile.Names, r.Nodes.Profile): // told already
	case w.Region != "" && !slices.Contains(regions, w.Region) && len(regions) == 0:
		no("the profile "+r.Nodes.Profile+" has no regions", "want fraction= or count=, or profile=planetlab")
	case w.Region != "" && !slices.Contains(regions, w.Region):
		no("there is no region "+shown(w.Region), "want one of "+strings.Join(regions, " "))
	case deadly && w.Region == "" && (w.First == 0 || w.First == r.Nodes.Count) && w.Of(r.Nodes.Count) == r.Nodes.Count:
		no("that leaves nobody who keeps the rules and could be looked at", "want fraction= below 1, count= or region=")
	}
}
