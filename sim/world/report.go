// SPDX-License-Identifier: Apache-2.0

package world

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"croft/lease"
	"croft/sim/scenario"
)

// figures is what is counted on the way.
type figures struct {
	delivery, latejoin     dist
	stretch                dist   // thousandths
	omitted                uint64 // offers that neighbours were found to leave out
	due, reached           uint64 // copies of offers that should come, and did
	published, duplicates  uint64
	drops                  map[string]uint64
	wishes, refusals       uint64
	refused                map[string]uint64
	granted, leased, ended uint64
	proofs                 uint64
}

func (f *figures) drop(reason string) {
	if f.drops == nil {
		f.drops = map[string]uint64{}
	}
	f.drops[reason]++
}

func (f *figures) refuse(r *lease.Refusal) {
	if f.refused == nil {
		f.refused = map[string]uint64{}
	}
	f.refusals++
	f.refused[r.Code()]++
}

func (f *figures) fact(x lease.Fact) {
	switch x.K {
	case lease.FactHeld:
		f.granted++
	case lease.FactCommitted:
		f.leased++
	case lease.FactEnded:
		f.ended++
	}
}

// Report is what came of a run.
type Report struct {
	World    string        `json:"world"`
	Nodes    int           `json:"nodes"`
	Profile  string        `json:"profile"`
	Seed     uint64        `json:"seed"`
	Partial  bool          `json:"partial,omitempty"` // it was interrupted
	Virtual  time.Duration `json:"virtual_ns"`
	Wall     time.Duration `json:"wall_ns"`
	Events   uint64        `json:"events"`
	Lines    uint64        `json:"history_lines"`
	History  string        `json:"history"` // SHA-256
	Figures  []Value       `json:"figures"`
	Slices   []SliceReport `json:"slices,omitempty"`
	Counts   []Count       `json:"counts"`
	Drops    []Count       `json:"drops,omitempty"`    // of offers, by reason
	Refusals []Count       `json:"refusals,omitempty"` // by code
	Safety   Safety        `json:"safety"`
	Expects  []Verdict     `json:"expects,omitempty"`
}

// Value is a figure with one statistic. Unit is s, B/s or empty.
type Value struct {
	Figure string  `json:"figure"`
	Of     string  `json:"of,omitempty"`
	Stat   string  `json:"stat"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit,omitempty"`
}

// Count counts something.
type Count struct {
	What  string `json:"what"`
	Count uint64 `json:"count"`
}

// SliceReport is what became of a slice.
type SliceReport struct {
	Name    string        `json:"name"`
	Wanted  int           `json:"wanted"`
	Running int           `json:"running"` // at the end
	Outcome string        `json:"outcome"` // of its beginning
	Time    time.Duration `json:"time_ns"` // until then
	Why     []string      `json:"why,omitempty"`
}

// Safety is what was looked at, and what was found.
type Safety struct {
	Checks   uint64   `json:"checks"` // of one node
	Sweeps   uint64   `json:"sweeps"` // of all
	Breaches []Breach `json:"breaches"`
	More     int      `json:"more,omitempty"` // that are not listed
}

// Verdict is an expectation and what came of it.
type Verdict struct {
	Expect string `json:"expect"`
	Line   int    `json:"line"`
	OK     bool   `json:"ok"`
	Got    string `json:"got"` // in the unit of the expectation, or why there is nothing
}

// OK reports whether the run is whole, safe, and as was expected.
func (r *Report) OK() bool {
	return !r.Partial && len(r.Safety.Breaches) == 0 &&
		!slices.ContainsFunc(r.Expects, func(v Verdict) bool { return !v.OK })
}

func (w *World) report(wall time.Duration, partial bool) *Report {
	if !partial {
		w.retire(10 * time.Second) // younger ones may still be on the way
	}
	f := &w.figures
	r := &Report{World: "world", Nodes: len(w.nodes), Profile: w.scn.Nodes.Profile, Seed: w.scn.Seed, Partial: partial, Virtual: w.now,
		Wall: wall, Events: w.events, Lines: w.trace.lines, History: w.trace.hash(),
		Safety: Safety{w.safety.checks, w.safety.sweeps, w.safety.breaches, w.safety.more}}
	links := 0
	for _, n := range w.nodes {
		if n.up {
			links += len(n.neighbour)
		}
	}
	r.dist("delivery", &f.delivery, 1e-9, "s")
	if f.due > 0 {
		r.value("delivery", "", "share", float64(f.reached)/float64(f.due), "")
	}
	r.dist("latejoin", &f.latejoin, 1e-9, "s")
	w.reportBytes(r)
	if f.delivery.count > 0 {
		r.value("duplicates", "", "mean", float64(f.duplicates)/float64(f.delivery.count), "")
	}
	r.value("degree", "", "mean", float64(links)/float64(max(w.up, 1)), "")
	r.value("grants", "", "count", float64(f.granted), "")
	r.value("refusals", "", "count", float64(f.refusals), "")
	if f.wishes > 0 {
		r.value("refusals", "", "share", float64(f.refusals)/float64(f.wishes), "")
	}
	r.value("proofs", "", "count", float64(f.proofs), "")
	for _, s := range w.inOrder {
		one := SliceReport{Name: s.spec.Name, Wanted: s.spec.Nodes, Running: s.running(), Outcome: s.outcome, Why: s.why}
		r.value("slice", one.Name, "running", float64(one.Running), "")
		if s.ended && s.whole > 0 {
			one.Time = s.whole - s.began
			r.value("slice", one.Name, "time", one.Time.Seconds(), "s")
		}
		if one.Outcome == "" {
			one.Outcome = "under way"
		}
		r.Slices = append(r.Slices, one)
	}
	r.Counts = []Count{{"nodes up", uint64(w.up)}, {"offers published", f.published}, {"leases", f.leased}, {"ends", f.ended}, {"offers left out", f.omitted},
		{"messages lost", w.wires.lost}, {"packets repeated", w.wires.repeated}, {"messages doubled", w.wires.doubled}, {"messages held back", w.wires.heldBack}}
	r.Drops, r.Refusals = counts(f.drops), counts(f.refused)
	if partial {
		return r // nothing can be said of what was expected
	}
	for _, e := range w.scn.Expects {
		r.Expects = append(r.Expects, r.judge(e))
	}
	if h := w.scn.History; h != "" {
		r.Expects = append(r.Expects, Verdict{"history " + h, 0, h == r.History, r.History})
	}
	return r
}

func counts(m map[string]uint64) (list []Count) {
	for _, what := range slices.Sorted(maps.Keys(m)) {
		list = append(list, Count{what, m[what]})
	}
	return list
}

func (r *Report) value(figure, of, stat string, v float64, unit string) {
	r.Figures = append(r.Figures, Value{figure, of, stat, v, unit})
}

func (r *Report) dist(figure string, d *dist, scale float64, unit string) {
	if d.count == 0 {
		return
	}
	for _, q := range []struct {
		stat string
		q    float64
	}{{"p50", .5}, {"p90", .9}, {"p95", .95}, {"p99", .99}} {
		r.value(figure, "", q.stat, d.quantile(q.q)*scale, unit)
	}
	r.value(figure, "", "max", float64(d.largest)*scale, unit)
	r.value(figure, "", "mean", d.mean()*scale, unit)
}

// rounded keeps five digits: more is noise to a reader.
func rounded(v float64) float64 {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 5, 64), 64)
	return v
}

// judge holds an expectation against what was measured. What was not measured is
// not as expected.
func (r *Report) judge(e scenario.Expect) Verdict {
	v := Verdict{Expect: e.String(), Line: e.Line}
	if e.Figure == "safety" {
		v.OK, v.Got = len(r.Safety.Breaches) == 0, fmt.Sprintf("%d breaches", len(r.Safety.Breaches)+r.Safety.More)
		return v
	}
	for _, f := range r.Figures {
		if f.Figure == e.Figure && f.Of == e.Of && f.Stat == e.Stat {
			v.OK, v.Got = e.Op.Holds(f.Value, e.Value), e.Unit().Format(rounded(f.Value))
			return v
		}
	}
	v.Got = "nothing to measure came about"
	return v
}
