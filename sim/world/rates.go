// SPDX-License-Identifier: Apache-2.0

package world

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"croft/sim/report"
)

// rated is what finds took that were asked at one rate.
type rated struct {
	every        time.Duration
	lookup, page report.Dist
	asked, found uint64 // of those for which there was something
}

// perMinute is the rate.
func (r *rated) perMinute() float64 { return time.Minute.Seconds() / max(r.every.Seconds(), 1e-3) }

// rate is where finds are counted that are asked every so often.
func (d *discovery) rate(every time.Duration) *rated {
	at := slices.IndexFunc(d.rates, func(r *rated) bool { return r.every == every })
	if at < 0 {
		at = len(d.rates)
		d.rates = append(d.rates, &rated{every: every})
	}
	return d.rates[at]
}

// beside is what servers in the middle took at a rate.
type beside struct {
	perMinute float64
	servers   []served // one, two
}

type served struct{ p50, p95, success, load float64 }

// reportRates lays finds at several rates beside one another, and beside servers if
// they were played.
func (d *discovery) reportRates(rec *report.Recorder, central []beside) {
	rates := slices.Clone(d.rates)
	slices.SortFunc(rates, func(a, b *rated) int { return cmp.Compare(a.perMinute(), b.perMinute()) })
	for _, c := range central {
		if !slices.ContainsFunc(rates, func(r *rated) bool { return near(r.perMinute(), c.perMinute) }) {
			rates = append(rates, &rated{every: time.Duration(float64(time.Minute) / c.perMinute)})
		}
	}
	if len(rates) < 2 {
		return
	}
	slices.SortFunc(rates, func(a, b *rated) int { return cmp.Compare(a.perMinute(), b.perMinute()) })
	t := report.Table{Title: "Finds at several rates", Case: "a minute", Columns: []report.Column{{Name: "asked"}, {Name: "found", Unit: "share"},
		{Name: "first match p50", Unit: "s"}, {Name: "p95", Unit: "s"}, {Name: "page p50", Unit: "s"}, {Name: "p95", Unit: "s"}}}
	p50 := report.Curve{Title: "Time of a find against the rate of finds, p50", X: report.Axis{Label: "finds a minute", Log: true}, Y: report.Axis{Label: "median", Unit: "s"},
		Lines: []report.Line{{Name: "the index, first match"}, {Name: "the index, page of 20"}}}
	p95 := report.Curve{Title: "Time of a find against the rate of finds, p95", X: p50.X, Y: report.Axis{Label: "95th percentile", Unit: "s"}, Lines: slices.Clone(p50.Lines)}
	if len(central) > 0 {
		for _, name := range serverNames {
			t.Columns = append(t.Columns, report.Column{Name: name + " p50", Unit: "s"}, report.Column{Name: "p95", Unit: "s"}, report.Column{Name: "load", Unit: "share"})
			for _, c := range []*report.Curve{&p50, &p95} {
				c.Lines = append(c.Lines, report.Line{Name: name})
			}
		}
		t.Title += ", beside index servers"
		t.Note = "a server answers with a page at once; load: of its processor, by assumed costs. Holders of the index have no processor here: their rate costs nothing"
	}
	for _, r := range rates {
		x := r.perMinute()
		row := make([]*float64, 6, len(t.Columns))
		if r.asked > 0 {
			row[0], row[1] = report.Cell(float64(r.asked)), report.Cell(float64(r.found)/float64(r.asked))
		}
		for i, dist := range []*report.Dist{&r.lookup, &r.page} {
			if dist.Count() == 0 {
				continue
			}
			half, tail := dist.Quantile(.5)/1e9, dist.Quantile(.95)/1e9
			row[2+2*i], row[3+2*i] = report.Cell(half), report.Cell(tail)
			p50.Lines[i].Points, p95.Lines[i].Points = append(p50.Lines[i].Points, report.Point{X: x, Y: half}), append(p95.Lines[i].Points, report.Point{X: x, Y: tail})
		}
		if at := slices.IndexFunc(central, func(c beside) bool { return near(c.perMinute, x) }); at >= 0 {
			for i, s := range central[at].servers {
				row = append(row, report.Cell(s.p50), report.Cell(s.p95), report.Cell(s.load))
				l := 2 + i
				p50.Lines[l].Points, p95.Lines[l].Points = append(p50.Lines[l].Points, report.Point{X: x, Y: s.p50}), append(p95.Lines[l].Points, report.Point{X: x, Y: s.p95})
			}
		}
		t.Add(fmt.Sprintf("%.4g", x), row...)
	}
	rec.Table(t)
	rec.Curve(p50)
	rec.Curve(p95)
}

// near reports whether two rates are the same but for rounding.
func near(a, b float64) bool { return a < b*1.001 && b < a*1.001 }
