// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"strings"
	"time"

	"croft/sim/scenario"
)

// Recorder gathers what a run measures.
type Recorder struct {
	Safety *Safety // nil: this world does not look

	world    string
	scn      *scenario.Scenario
	measures handles[Measure]
	counters handles[Counter]
	gauges   handles[Gauge]
	values   []Value
	rows     []Slice
	curves   []Curve
	tables   []Table
}

// NewRecorder begins a report of a scenario in a world of that name.
func NewRecorder(world string, s *scenario.Scenario) *Recorder {
	return &Recorder{world: world, scn: s}
}

// Measure is a figure of which there are many: a distribution, and its course.
type Measure struct {
	figure, of string
	dist       Dist
	slots      slots
	timed      bool
	parted     []parted // for each instant that something is compared since
}

// Measure returns the handle of a figure of [scenario.Figures]: the same for the
// same name. Durations are added in nanoseconds, rates in bytes per second.
func (r *Recorder) Measure(figure, of string) *Measure {
	m, name, fresh := r.measures.get(figure, of)
	if fresh {
		m.figure, m.of = figure, name
		m.parted = partings(r.scn, figure, name)
	}
	return m
}

// Add counts one that came about at an instant of the run.
func (m *Measure) Add(now time.Duration, v int64) {
	m.dist.Add(v)
	m.slots.add(now, float64(v))
	m.timed = true
	for i := range m.parted {
		m.parted[i].add(now, v)
	}
}

// Observe counts one that belongs to no instant.
func (m *Measure) Observe(v int64) { m.dist.Add(v) }

// Count returns how many were added.
func (m *Measure) Count() uint64 { return m.dist.count }

// Quantile returns the least value that a share q of all is at or below.
func (m *Measure) Quantile(q float64) float64 { return m.dist.Quantile(q) }

// Counter is a sum, and its rate.
type Counter struct {
	group, of string
	total     uint64
	slots     slots
}

// Counter returns the handle of a sum: the same for the same name. Those of the
// groups drops and refusals are by reason; bytes are those that nodes send.
func (r *Recorder) Counter(group, of string) *Counter {
	c, name, fresh := r.counters.get(group, of)
	if fresh {
		c.group, c.of = group, name
	}
	return c
}

// Add counts n at an instant.
func (c *Counter) Add(now time.Duration, n uint64) {
	c.total += n
	c.slots.add(now, float64(n))
}

// Total returns the sum.
func (c *Counter) Total() uint64 { return c.total }

// Total returns the sum of a group of counters.
func (r *Recorder) Total(group string) (sum uint64) {
	for _, c := range r.counters.list {
		if c.group == group {
			sum += c.total
		}
	}
	return sum
}

// Gauge is a level, and its course.
type Gauge struct {
	group, of string
	slots     slots
	last      float64
}

// Gauge returns the handle of a level: the same for the same name.
func (r *Recorder) Gauge(group, of string) *Gauge {
	g, name, fresh := r.gauges.get(group, of)
	if fresh {
		g.group, g.of = group, name
	}
	return g
}

// Set says what it is from an instant on.
func (g *Gauge) Set(now time.Duration, v float64) {
	g.last = v
	g.slots.add(now, v)
}

// Set says a statistic that the world has worked out by itself.
func (r *Recorder) Set(figure, of, stat string, v float64) {
	r.values = append(r.values, Value{figure, of, stat, v, unitOf(figure, stat).String()})
}

// Slice says what became of a slice. Of one that never began, Time is 0.
func (r *Recorder) Slice(s Slice) {
	r.Set("slice", s.Name, "running", float64(s.Running))
	if s.Time > 0 {
		r.Set("slice", s.Name, "time", s.Time.Seconds())
	}
	r.rows = append(r.rows, s)
}

// Curve adds a curve.
func (r *Recorder) Curve(c Curve) { r.curves = append(r.curves, c) }

// Breach notes a promise that was not kept. Safety is set.
func (r *Recorder) Breach(b Breach) {
	if len(r.Safety.Breaches) == maxBreaches {
		r.Safety.More++
		return
	}
	r.Safety.Breaches = append(r.Safety.Breaches, b)
}

// Report ends the recording at an instant of the run, and holds what was measured
// against what was expected; of part of a run nothing was. History is the world's,
// or empty: whoever repeats itself is held to the scenario's.
func (r *Recorder) Report(now time.Duration, partial bool, history string) *Report {
	s := r.scn
	out := &Report{World: r.world, Nodes: s.Nodes.Count, Profile: s.Nodes.Profile, Seed: s.Seed, Partial: partial, Virtual: now, History: history,
		Slices: r.rows, Curves: r.curves, Tables: r.tables, Safety: r.Safety}
	for _, step := range s.Steps {
		if step.At <= now {
			_, text, _ := strings.Cut(strings.TrimPrefix(step.String(), "at "), " ")
			out.Steps = append(out.Steps, Step{step.At, min(step.Until(s.End), now), text})
		}
	}
	for _, m := range r.measures.list {
		if m.dist.count == 0 {
			continue
		}
		unit := unitOf(m.figure, "p50")
		scale := 1.0
		if unit == scenario.Seconds {
			scale = 1e-9
		}
		for i, v := range []float64{m.dist.Quantile(.5), m.dist.Quantile(.9), m.dist.Quantile(.95), m.dist.Quantile(.99), m.dist.Max(), m.dist.Mean()} {
			out.Figures = append(out.Figures, Value{m.figure, m.of, Stats[i], v * scale, unit.String()})
		}
		out.Measures = append(out.Measures, Measured{m.figure, m.of, unit.String(), scale, &m.dist})
		if m.timed {
			out.Courses = append(out.Courses, m.slots.course(m.figure, m.of, Samples, unit.String(), scale, now))
		}
	}
	out.Figures = append(out.Figures, r.values...)
	for _, g := range r.gauges.list {
		out.Counts = append(out.Counts, Count{What: named(g.group, g.of), Count: uint64(max(g.last, 0))})
		out.Courses = append(out.Courses, g.slots.course(g.group, g.of, Levels, "", 1, now))
	}
	for _, c := range r.counters.list {
		unit := ""
		if c.group == "bytes" {
			unit = "B"
		}
		switch c.group {
		case "drops":
			out.Drops = append(out.Drops, Count{What: c.of, Count: c.total})
		case "refusals":
			out.Refusals = append(out.Refusals, Count{What: c.of, Count: c.total})
		default:
			out.Counts = append(out.Counts, Count{named(c.group, c.of), c.total, unit})
		}
		out.Courses = append(out.Courses, c.slots.course(c.group, c.of, Rates, unit, 1, now))
	}
	for _, list := range [][]Count{out.Drops, out.Refusals} {
		slices.SortFunc(list, func(a, b Count) int { return strings.Compare(a.What, b.What) })
	}
	if partial {
		return out
	}
	for _, e := range s.Expected(r.world) {
		if e.Since > 0 {
			out.Expects = append(out.Expects, r.compare(e))
			continue
		}
		out.Expects = append(out.Expects, out.judge(e))
	}
	if h := s.History; h != "" {
		out.Expects = append(out.Expects, Verdict{Expect: "history " + h, OK: h == history, Got: history})
	}
	return out
}

func named(group, of string) string { return strings.TrimSpace(group + " " + of) }

// unitOf is the unit of a figure's statistic. A figure that nothing can be expected
// of is a number.
func unitOf(figure, stat string) scenario.Unit {
	for _, f := range scenario.Figures {
		if f.Word == figure {
			return f.Stats[stat]
		}
	}
	return scenario.Number
}
