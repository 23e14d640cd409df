// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"croft/sim/report"
)

// maxLines is how many lines one can tell apart; the smaller ones become "others".
const maxLines = 7

// plots lists what there is to be seen of a run.
func plots(r *report.Report) (list []*plot) {
	add := func(p *plot) {
		if p != nil && !p.empty() {
			list = append(list, p)
		}
	}
	for _, c := range r.Courses {
		if c.Kind == report.Samples {
			add(samples(r, c))
		}
	}
	for _, m := range r.Measures {
		add(spread(r, m))
	}
	for _, c := range r.Curves {
		add(curve(c))
	}
	add(together(r, "nodes", "Nodes that are up", ""))
	add(together(r, "slivers", "Slivers that run", ""))
	add(together(r, "leases", "Leases, by what became of them", "/s"))
	add(together(r, "refusals", "Wishes refused, by sort and reason", "/s"))
	add(sent(r))
	add(together(r, "messages", "Messages", "/s"))
	add(together(r, "offers", "Offers", "/s"))
	add(together(r, "drops", "Offers ignored, by reason", "/s"))
	return list
}

// overTime is a picture of the run from its beginning to its end.
func overTime(r *report.Report, title, unit string) *plot {
	p := &plot{Title: title, x: axis{label: "time of the run", unit: "s", high: r.Virtual.Seconds()}, y: axis{unit: unit}}
	for _, s := range r.Steps {
		if s.Until > s.At {
			p.bands = append(p.bands, band{s.At.Seconds(), s.Until.Seconds(), s.Text})
		}
	}
	return p
}

// points places what is of a slot into its middle, and levels at its end.
func points(c report.Course, values []*float64) (list []report.Point) {
	at := 0.5
	if c.Kind == report.Levels {
		at = 1
	}
	for i, v := range values {
		y := math.NaN()
		if v != nil {
			y = *v
		}
		list = append(list, report.Point{X: (float64(i) + at) * c.Every.Seconds(), Y: y})
	}
	return list
}

func samples(r *report.Report, c report.Course) *plot {
	p := overTime(r, title(c.Group, c.Of)+", over time", c.Unit)
	p.Note = "mean and largest of " + slotted(c)
	p.lines = []line{{name: "mean", points: points(c, c.Values)}, {name: "largest", points: points(c, c.Max), faint: true}}
	return p
}

func slotted(c report.Course) string {
	if c.Every == time.Second {
		return "each second"
	}
	return "every " + report.Span(c.Every)
}

func perSecond(c report.Course) string {
	if c.Every == time.Second {
		return "per second"
	}
	return "per second, the mean of " + slotted(c)
}

func title(figure, of string) string {
	return strings.TrimSpace(strings.ToUpper(figure[:1]) + figure[1:] + " " + of)
}

// spread is a distribution: which share is at or below a value.
func spread(r *report.Report, m report.Measured) *plot {
	p := cdf(title(m.Figure, m.Of), m.Unit)
	p.Note = report.About(m.Figure)
	p.lines = []line{stairs(m.Figure, m.Dist.CDF(200, m.Scale))}
	for _, e := range r.Expects {
		if q := e.Quantile(); q > 0 && e.Figure == m.Figure && e.Of == m.Of {
			p.marks = append(p.marks, mark{e.Value, q, strings.TrimPrefix(e.Expect, "expect ")})
		}
	}
	p.x.log = p.wide()
	return p
}

// stairs is a distribution as a line: it rises where there are members.
func stairs(name string, cdf []report.Point) line {
	return line{name: name, points: append([]report.Point{{X: cdf[0].X}}, cdf...), steps: true}
}

func cdf(title, unit string) *plot {
	return &plot{Title: title, x: axis{unit: unit, label: "at or below"}, y: axis{unit: "share", high: 1}}
}

// wide reports whether values are so far apart that a logarithmic axis shows more.
func (p *plot) wide() bool {
	low, high := math.Inf(1), 0.0
	for _, m := range p.marks {
		low, high = math.Min(low, m.x), math.Max(high, m.x)
	}
	for _, l := range p.lines {
		for _, q := range l.points {
			if q.X > 0 {
				low, high = math.Min(low, q.X), math.Max(high, q.X)
			}
		}
	}
	return high > 50*low
}

// overlay is a distribution of several runs.
func overlay(o *report.Overlay, labels []string) *plot {
	p := cdf(title(o.Figure, o.Of), o.Unit)
	p.Note = report.About(o.Figure)
	for i, run := range o.Runs {
		d, scale := o.Dist(i)
		name := labels[run]
		if i > 0 {
			name += fmt.Sprintf(" (KS %.3f)", o.Distances[i].KS)
		}
		p.lines = append(p.lines, stairs(name, d.CDF(200, scale)))
	}
	p.x.log = p.wide()
	return p
}

func curve(c report.Curve) *plot {
	p := &plot{Title: c.Title, x: axis{label: c.X.Label, unit: c.X.Unit, log: c.X.Log, begin: c.X.From}, y: axis{label: c.Y.Label, unit: c.Y.Unit, log: c.Y.Log}, Note: c.Y.Label}
	for _, l := range c.Lines {
		p.lines = append(p.lines, line{name: l.Name, points: l.Points, law: l.Law, dots: l.Dots, spread: l.Spread, with: l.With})
	}
	return p
}

// together draws a group of courses into one picture.
func together(r *report.Report, group, heading, unit string) *plot {
	var courses []report.Course
	for _, c := range r.Courses {
		if c.Group == group && c.Kind != report.Samples && total(c) > 0 {
			courses = append(courses, c)
		}
	}
	if len(courses) == 0 {
		return nil
	}
	p := overTime(r, heading, unit)
	if courses[0].Kind == report.Rates {
		p.Note = perSecond(courses[0])
		p.y.unit = ""
	}
	slices.SortStableFunc(courses, func(a, b report.Course) int { return cmp.Compare(total(b), total(a)) })
	if len(courses) > maxLines {
		courses = append(courses[:maxLines-1], others(courses[maxLines-1:]))
	}
	for _, c := range courses {
		name := c.Of
		if c.Kind == report.Rates {
			name += ": " + report.Whole(int64(math.Round(total(c)*c.Every.Seconds())))
		}
		p.lines = append(p.lines, line{name: name, points: points(c, c.Values), steps: c.Kind == report.Levels})
	}
	return p
}

func total(c report.Course) (sum float64) {
	for _, v := range c.Values {
		if v != nil {
			sum += *v
		}
	}
	return sum
}

// others is the sum of some courses.
func others(list []report.Course) report.Course {
	sum := list[0]
	sum.Of, sum.Values = fmt.Sprintf("%d others", len(list)), nil
	for i := range list[0].Values {
		v := 0.0
		for _, c := range list {
			if i < len(c.Values) && c.Values[i] != nil {
				v += *c.Values[i]
			}
		}
		sum.Values = append(sum.Values, &v)
	}
	return sum
}

// sent is what a node that is up sends, by sort.
func sent(r *report.Report) *plot {
	i := slices.IndexFunc(r.Courses, func(c report.Course) bool { return c.Group == "nodes" && c.Of == "up" })
	if i < 0 {
		return nil
	}
	p := overTime(r, "Sent by a node that is up", "B/s")
	for _, c := range r.Courses {
		if c.Group == "bytes" && c.Kind == report.Rates && total(c) > 0 {
			p.Note = "bytes " + perSecond(c)
			p.lines = append(p.lines, line{name: c.Of, points: points(c, c.Per(r.Courses[i]).Values)})
		}
	}
	return p
}
