// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"croft/sim/report"
	"croft/sim/scenario"
	"croft/sim/scenarios"
	"croft/sim/world"
)

// played is a report of a real run with faults, refusals and slices, and what no run
// of that world has, as others fill it in.
func played(t *testing.T, seed uint64) *report.Report {
	t.Helper()
	text, err := scenarios.Text("safety")
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenario.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	s.Seed = seed
	r, err := world.Run(t.Context(), s, world.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.Name, r.Machine, r.Date, r.Peak = "safety", "a machine, 2 cores", time.Unix(1_800_000_000, 0).UTC(), 123_456_789
	law := report.Line{Name: "binomial law", Law: true}
	got := report.Line{Name: "measured"}
	for degree := 1.0; degree <= 4; degree += 0.25 {
		y := 1 - math.Exp(-degree)
		law.Points, got.Points = append(law.Points, report.Point{X: degree, Y: y}), append(got.Points, report.Point{X: degree, Y: y * 0.99})
	}
	seen := report.Line{Name: "trials", Dots: true, With: true, Points: []report.Point{{X: 1.5, Y: 0.77}, {X: 3, Y: 0.9}}, Spread: []float64{0.05, 0.3}}
	r.Tables = []report.Table{{Title: "Oversubscription", Case: "degree", Columns: []report.Column{{Name: "utilisation", Unit: "share"}, {Name: "p50", Unit: "s"}}, Note: "of two trials"}}
	r.Tables[0].Add("1.5", report.Cell(0.77), report.Cell(0.1234))
	r.Tables[0].Add("3", report.Cell(0.9), nil)
	weeks := report.Line{Name: "in use"}
	for day := range 14 {
		weeks.Points = append(weeks.Points, report.Point{X: float64(day) * 86400, Y: float64(day) / 13})
	}
	r.Curves = []report.Curve{{Title: "Utilisation against degree", X: report.Axis{Label: "degree of oversubscription"},
		Y: report.Axis{Label: "utilisation", Unit: "share"}, Lines: []report.Line{got, law, seen}},
		{Title: "Two weeks", X: report.Axis{Label: "time of the run", Unit: "s"}, Y: report.Axis{Label: "in use", Unit: "share"}, Lines: []report.Line{weeks}}}
	return r
}

func written(t *testing.T, runs ...*report.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, runs); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var reference = regexp.MustCompile(`(?i)(src|href|action|data|srcset|poster|xlink:href)\s*=\s*"([^"]*)"`)

// A page has everything in it: nothing is fetched, nothing is run.
func TestWhole(t *testing.T) {
	page := written(t, played(t, 1), played(t, 2))
	for _, m := range reference.FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(m[2], "#") {
			t.Errorf("it refers to %s", m[0])
		}
	}
	for _, bad := range []string{"<script", "<link", "<iframe", "url(", "@import", " style=", "NaN", "Inf", "ZgotmplZ", "%!"} {
		if strings.Contains(page, bad) {
			t.Errorf("it has %q", bad)
		}
	}
	for _, want := range []string{"default-src &#39;none&#39;; style-src &#39;sha256-", "safety, seed 1", "safety, seed 2", "Laid over one another", "Sent by a node that is up",
		"Wishes refused, by sort and reason", "Offers ignored, by reason", "Utilisation against degree", "binomial law", "Nodes that are up", "Leases, by what became of them",
		"<th>1.5</th><td>77 %</td><td>123 ms</td>", "<th>3</th><td>90 %</td><td>-</td>", "of two trials", `class="line c1 bar"`, "14 d", "prefers-color-scheme: dark", "@media print", "history"} {
		if !strings.Contains(page, want) {
			t.Errorf("it lacks %q", want)
		}
	}
}

// What a run does not have is not shown.
func TestOnlyWhatThereIs(t *testing.T) {
	r := report.NewRecorder("lab", &scenario.Scenario{End: time.Minute, Nodes: scenario.Nodes{Count: 3, Profile: "flat"}}).Report(time.Minute, false, "")
	page := written(t, r)
	for _, bad := range []string{"<svg", "Plots", "Slices", "history", "What was expected", "promise"} {
		if strings.Contains(page, bad) {
			t.Errorf("it has %q", bad)
		}
	}
}

// A stranger's words are words.
func TestEscaped(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	s := &scenario.Scenario{End: time.Minute, Nodes: scenario.Nodes{Count: 3, Profile: "flat"}}
	rec := report.NewRecorder("world", s)
	rec.Safety = &report.Safety{}
	for _, of := range []string{evil, "full"} {
		rec.Counter("drops", of).Add(time.Second, 3)
		rec.Counter("refusals", of).Add(time.Second, 3)
		rec.Measure("delivery", of).Add(time.Second, 3)
		rec.Gauge("nodes", of).Set(time.Second, 3)
	}
	rec.Breach(report.Breach{Text: evil})
	rec.Slice(report.Slice{Name: evil, Outcome: evil, Why: []string{evil}})
	rec.Table(report.Table{Title: evil, Case: evil, Columns: []report.Column{{Name: evil, Unit: evil}}, Rows: []report.Cells{{Case: evil, Values: []*float64{report.Cell(1)}}}, Note: evil})
	rec.Curve(report.Curve{Title: evil, X: report.Axis{Label: evil, Unit: evil}, Y: report.Axis{Label: evil, Unit: evil}, Lines: []report.Line{{Name: evil, Points: []report.Point{{X: 1, Y: 1}}}}})
	r := rec.Report(time.Minute, false, evil)
	r.Name, r.Machine, r.Profile = evil, evil, evil
	r.Expects = []report.Verdict{{Expect: evil, Got: evil}}
	r.Steps = []report.Step{{At: 1, Until: time.Second, Text: evil}}
	r.Foot = report.Foot{Real: []string{evil}, Models: []report.Model{{What: evil, How: evil}}, Omits: []string{evil}, Notes: []string{evil}}
	page := written(t, r, r)
	if strings.Contains(page, "<script") || strings.Contains(page, "<img") {
		t.Error("what a stranger said is markup")
	}
	if n := strings.Count(page, "&lt;script&gt;"); n < 20 {
		t.Errorf("it is shown %d times, so the test shows little", n)
	}
}

func TestScales(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		log       bool
		unit      string
		ticks     string
	}{
		{0, 1, false, "share", "0 % 20 % 40 % 60 % 80 % 100 %"},
		{0, 330, false, "s", "0 min 2 min 4 min 6 min"},
		{0, 0.043, false, "s", "0 s 10 ms 20 ms 30 ms 40 ms 50 ms"},
		{0, 7300, false, "B/s", "0 B/s 2 kB/s 4 kB/s 6 kB/s 8 kB/s"},
		{0, 3, false, "", "0 1 2 3"},
		{0.02, 9, true, "s", "100 ms 1 s"},
		{0.02, 1.5, true, "s", "20 ms 50 ms 100 ms 200 ms 500 ms 1 s"},
	} {
		s, ticks := fit(c.low, c.high, c.log, c.unit, 5)
		var text []string
		for _, v := range ticks {
			text = append(text, tick(v, c.unit, ticks))
		}
		if got := strings.Join(text, " "); got != c.ticks {
			t.Errorf("%v to %v: %s, want %s", c.low, c.high, got, c.ticks)
		}
		s.from, s.to = 10, 110
		if lo, hi := s.at(s.low), s.at(s.high); lo != 10 || hi != 110 {
			t.Errorf("%v to %v is from %v to %v", c.low, c.high, lo, hi)
		}
	}
}
