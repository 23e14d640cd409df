// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"croft/sim/scenario"
)

// Report is what came of a run.
type Report struct {
	Name     string        `json:"name"` // of the scenario, as it was asked for
	World    string        `json:"world"`
	Nodes    int           `json:"nodes"`
	Profile  string        `json:"profile"`
	Seed     uint64        `json:"seed"`
	Partial  bool          `json:"partial,omitempty"` // it was interrupted
	Virtual  time.Duration `json:"virtual_ns"`
	Wall     time.Duration `json:"wall_ns"`
	Events   uint64        `json:"events"`
	Lines    uint64        `json:"history_lines,omitempty"`
	History  string        `json:"history,omitempty"` // SHA-256, of worlds that repeat themselves
	Figures  []Value       `json:"figures"`
	Slices   []Slice       `json:"slices,omitempty"`
	Counts   []Count       `json:"counts"`
	Drops    []Count       `json:"drops,omitempty"`    // of offers, by reason
	Refusals []Count       `json:"refusals,omitempty"` // by sort and reason
	Safety   *Safety       `json:"safety,omitempty"`   // nil: this world cannot look
	Expects  []Verdict     `json:"expects,omitempty"`
	Steps    []Step        `json:"steps,omitempty"`
	Measures []Measured    `json:"measures,omitempty"`
	Courses  []Course      `json:"courses,omitempty"`
	Curves   []Curve       `json:"curves,omitempty"`
	Tables   []Table       `json:"tables,omitempty"`
	Foot     Foot          `json:"foot"`
	Peak     int64         `json:"peak_bytes,omitempty"` // of memory, of the whole process
	Machine  string        `json:"machine,omitempty"`
	Date     time.Time     `json:"date,omitzero"`
}

// Value is a figure with one statistic.
type Value struct {
	Figure string  `json:"figure"`
	Of     string  `json:"of,omitempty"`
	Stat   string  `json:"stat"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit,omitempty"` // s, B/s, share (from 0 to 1) or empty
}

// Measured is a figure with its distribution. Members times Scale are in Unit.
type Measured struct {
	Figure string  `json:"figure"`
	Of     string  `json:"of,omitempty"`
	Unit   string  `json:"unit,omitempty"`
	Scale  float64 `json:"scale"`
	Dist   *Dist   `json:"distribution"`
}

// Count counts something. Unit is B or empty.
type Count struct {
	What  string `json:"what"`
	Count uint64 `json:"count"`
	Unit  string `json:"unit,omitempty"`
}

// Text prints the count: all digits, unless it is of bytes.
func (c Count) Text() string {
	if c.Unit == "" {
		return Whole(int64(c.Count))
	}
	return Text(float64(c.Count), c.Unit)
}

// Slice is what became of a slice.
type Slice struct {
	Name    string        `json:"name"`
	Wanted  int           `json:"wanted"`
	Running int           `json:"running"` // at the end
	Outcome string        `json:"outcome"` // of its beginning
	Time    time.Duration `json:"time_ns"` // until then
	Why     []string      `json:"why,omitempty"`
}

// Reasons returns so many of the reasons, and how many there are beyond them.
func (s Slice) Reasons(most int) []string {
	if len(s.Why) <= most {
		return s.Why
	}
	return append(slices.Clone(s.Why[:most]), fmt.Sprintf("and %d more", len(s.Why)-most))
}

// Safety is what was looked at, and what was found.
type Safety struct {
	Checks   uint64   `json:"checks"` // of one node
	Sweeps   uint64   `json:"sweeps"` // of all
	Breaches []Breach `json:"breaches"`
	More     int      `json:"more,omitempty"` // that are not listed
}

// Breach is a promise that was not kept.
type Breach struct {
	At   time.Duration `json:"at_ns"`
	Node int           `json:"node"`
	Text string        `json:"text"`
}

// Verdict is an expectation and what came of it.
type Verdict struct {
	Expect string `json:"expect"`
	Line   int    `json:"line"`
	OK     bool   `json:"ok"`
	Got    string `json:"got"` // in the unit of the expectation, or why there is nothing

	Figure string  `json:"figure,omitempty"`
	Of     string  `json:"of,omitempty"`
	Stat   string  `json:"stat,omitempty"`
	Value  float64 `json:"value,omitempty"` // that was expected, in the figure's unit
}

// Quantile returns the share that the expectation's statistic is a quantile of; 0:
// it is none.
func (v Verdict) Quantile() float64 {
	return map[string]float64{"p50": .5, "p90": .9, "p95": .95, "p99": .99, "max": 1}[v.Stat]
}

// Step is what the scenario had happen, and until when it was in force; of what
// happens at once that is its own instant.
type Step struct {
	At    time.Duration `json:"at_ns"`
	Until time.Duration `json:"until_ns"`
	Text  string        `json:"text"`
}

// Curve is one thing against another, such as utilisation against degree.
type Curve struct {
	Title string `json:"title"`
	X     Axis   `json:"x"`
	Y     Axis   `json:"y"`
	Lines []Line `json:"lines"`
}

// Axis says what is on an axis. Unit is as in Value.
type Axis struct {
	Label string  `json:"label"`
	Unit  string  `json:"unit,omitempty"`
	Log   bool    `json:"log,omitempty"`
	From  float64 `json:"from,omitempty"` // of one that is not logarithmic: where it begins
}

// Line is a line of a curve. A law is drawn dashed, and was not measured. Of dots,
// each stands for itself, and Spread says how far what is true may be above or below.
type Line struct {
	Name   string    `json:"name"`
	Law    bool      `json:"law,omitempty"`
	Dots   bool      `json:"dots,omitempty"`
	With   bool      `json:"with,omitempty"` // it goes with the one before it
	Points []Point   `json:"points"`
	Spread []float64 `json:"spread,omitempty"` // of each point, in the unit of Y
}

// Foot is what a reader has to know to make anything of the figures.
type Foot struct {
	Real   []string `json:"real"` // what is the production's own
	Models []Model  `json:"models"`
	Omits  []string `json:"omits,omitempty"` // what is left out
	Notes  []string `json:"notes,omitempty"` // of this run, such as "routing tables were seeded"
}

// Model is what stands in for something real.
type Model struct {
	What string `json:"what"`
	How  string `json:"how"`
}

// OK reports whether the run is whole, safe, and as was expected.
func (r *Report) OK() bool {
	return !r.Partial && (r.Safety == nil || len(r.Safety.Breaches) == 0) &&
		!slices.ContainsFunc(r.Expects, func(v Verdict) bool { return !v.OK })
}

// Value returns a figure's statistic.
func (r *Report) Value(figure, of, stat string) (Value, bool) {
	for _, v := range r.Figures {
		if v.Figure == figure && v.Of == of && v.Stat == stat {
			return v, true
		}
	}
	return Value{}, false
}

// Row is a figure of which there is a distribution: its statistics in the order of
// [Stats].
type Row struct {
	Figure string
	Of     string
	Values []Value
}

// Stats are the statistics of a distribution.
var Stats = []string{"p50", "p90", "p95", "p99", "max", "mean"}

// Table sorts the figures into those with a distribution and single values. What
// slices came to has its own list, and what is of a case stands in a table.
func (r *Report) Table() (rows []Row, singles []Value) {
	for _, m := range r.Measures {
		row := Row{Figure: m.Figure, Of: m.Of}
		for _, stat := range Stats {
			v, _ := r.Value(m.Figure, m.Of, stat)
			row.Values = append(row.Values, v)
		}
		rows = append(rows, row)
	}
	for _, v := range r.Figures {
		spread := slices.ContainsFunc(rows, func(r Row) bool { return r.Figure == v.Figure && r.Of == v.Of })
		cased := v.Of != "" && len(r.Tables) > 0
		if v.Figure != "slice" && !cased && !(spread && slices.Contains(Stats, v.Stat)) {
			singles = append(singles, v)
		}
	}
	return rows, singles
}

// rounded keeps five digits: more is noise to a reader.
func rounded(v float64) float64 {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 5, 64), 64)
	return v
}

// judge holds an expectation against what was measured. What was not measured is
// not as expected.
func (r *Report) judge(e scenario.Expect) Verdict {
	v := Verdict{Expect: e.String(), Line: e.Line, Got: "nothing to measure came about", Figure: e.Figure, Of: e.Of, Stat: e.Stat, Value: e.Value}
	if e.Figure == "safety" {
		if r.Safety == nil {
			v.Got = "this world does not look at it"
			return v
		}
		v.OK, v.Got = len(r.Safety.Breaches) == 0, fmt.Sprintf("%d breaches", len(r.Safety.Breaches)+r.Safety.More)
		return v
	}
	if f, ok := r.Value(e.Figure, e.Of, e.Stat); ok {
		v.OK, v.Got = e.Op.Holds(f.Value, e.Value), e.Unit().Format(rounded(f.Value))
	}
	return v
}
