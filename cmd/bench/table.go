// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"
)

// A line is one row of the table. Spreads are the quartiles.
type line struct {
	What     string     `json:"what"`
	Unit     string     `json:"unit,omitempty"`
	N        int        `json:"n,omitempty"`
	Median   float64    `json:"median"`
	Spread   [2]float64 `json:"spread"`
	Baseline *baseline  `json:"baseline,omitempty"`
	Goal     *goal      `json:"goal,omitempty"`
	Met      *bool      `json:"met,omitempty"`
	Note     string     `json:"note,omitempty"`
}

// A baseline is what the line is compared with, measured in the same run.
type baseline struct {
	What   string     `json:"what"`
	Median float64    `json:"median"`
	Ratio  float64    `json:"ratio"` // median of the rounds' ratios
	Spread [2]float64 `json:"spread"`
}

// A goal bounds the ratio where there is a baseline, else the median.
type goal struct {
	Least bool    `json:"least,omitempty"` // at least; else at most
	Bound float64 `json:"bound"`
}

func atMost(v float64) *goal  { return &goal{Bound: v} }
func atLeast(v float64) *goal { return &goal{Least: true, Bound: v} }

func (g goal) met(v float64) bool { return v == g.Bound || (v > g.Bound) == g.Least }

func (g goal) String() string {
	sign := "≤"
	if g.Least {
		sign = "≥"
	}
	return sign + " " + number(g.Bound)
}

// plain is a line without a baseline.
func plain(what, unit string, s sample, g *goal, note string) line {
	l := line{What: what, Unit: unit, N: len(s), Median: s.median(), Spread: quartiles(s), Goal: g, Note: note}
	if g != nil {
		met := g.met(l.Median)
		l.Met = &met
	}
	return l
}

// against is a line with one. The rounds of both are in the same order.
func against(what, unit string, s sample, base string, with sample, g *goal, note string) line {
	l := plain(what, unit, s, nil, note)
	ratios := s.over(with)
	l.Baseline = &baseline{What: base, Median: with.median(), Ratio: ratios.median(), Spread: quartiles(ratios)}
	if l.Goal = g; g != nil {
		met := g.met(l.Baseline.Ratio)
		l.Met = &met
	}
	return l
}

func quartiles(s sample) [2]float64 { return [2]float64{s.quantile(0.25), s.quantile(0.75)} }

// A report is the whole table.
type report struct {
	Machine machine `json:"machine"`
	Quick   bool    `json:"quick,omitempty"`
	Took    float64 `json:"took_s"`
	Lines   []line  `json:"lines"`
}

func (r report) json(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

func (r report) table(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%.0f s in all. Spread: quartiles. Absolute figures drift with what else runs; ratios are of rounds taken in turns.\n", r.Machine, r.Took)
	if r.Quick {
		fmt.Fprintln(w, "Quick: too few rounds to be quoted.")
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tMEDIAN\tSPREAD\tN\tBASELINE\tRATIO\tGOAL\tMET")
	var notes []string
	for _, l := range r.Lines {
		base, ratio, bound, met := "-", "-", "-", "-"
		if b := l.Baseline; b != nil {
			base = fmt.Sprintf("%s: %s", b.What, number(b.Median))
			ratio = fmt.Sprintf("%.3g (%.3g–%.3g)", b.Ratio, b.Spread[0], b.Spread[1])
		}
		if l.Goal != nil {
			bound, met = l.Goal.String(), "NO"
			if *l.Met {
				met = "yes"
			}
		}
		what := l.What
		if l.Note != "" {
			notes = append(notes, l.Note)
			what += fmt.Sprintf(" [%d]", len(notes))
		}
		if l.N == 0 {
			fmt.Fprintf(t, "%s\t-\t-\t-\t-\t-\t-\t-\n", what)
			continue
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s–%s\t%d\t%s\t%s\t%s\t%s\n", what, number(l.Median), l.Unit,
			number(l.Spread[0]), number(l.Spread[1]), l.N, base, ratio, bound, met)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i, n := range notes {
		if _, err := fmt.Fprintf(w, "[%d] %s\n", i+1, n); err != nil {
			return err
		}
	}
	return nil
}

// number prints three significant digits, and all of those before the point.
func number(v float64) string {
	if v == 0 {
		return "0"
	}
	digits := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	if v == math.Trunc(v) {
		digits = 0
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}
