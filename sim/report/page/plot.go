// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"

	"croft/sim/report"
)

// plot is one picture.
type plot struct {
	Title string
	Note  string // what is to be seen, in a line
	x, y  axis
	lines []line
	bands []band
	marks []mark
}

type axis struct {
	label, unit string
	log         bool
	high        float64 // at least so far; 0: as far as there is anything
	begin       float64 // where it begins, if it is not logarithmic
}

// line is drawn where there are points; a NaN breaks it.
type line struct {
	name   string
	points []report.Point
	law    bool      // it was not measured: dashed
	faint  bool      // it goes with the one before it
	steps  bool      // from one point to the next along the axes
	dots   bool      // points that are not joined
	with   bool      // it has the colour of the one before it
	spread []float64 // above and below each point
}

// band is a while in which something was in force.
type band struct {
	from, to float64
	text     string
}

// mark is a value that was expected.
type mark struct {
	x, y float64
	text string
}

// Of the picture, in pixels.
const (
	width, height            = 560.0, 250.0
	left, right, top, bottom = 62.0, 14.0, 10.0, 40.0
)

// empty reports whether there is nothing to be seen.
func (p *plot) empty() bool {
	for _, l := range p.lines {
		for _, q := range l.points {
			if !math.IsNaN(q.Y) {
				return false
			}
		}
	}
	return true
}

// SVG draws it.
func (p *plot) SVG() template.HTML {
	lowX, highX, lowY, highY := p.extent()
	x, ticksX := fit(lowX, highX, p.x.log, p.x.unit, 7)
	y, ticksY := fit(lowY, highY, p.y.log, p.y.unit, 5)
	if !p.x.log && p.x.high > 0 {
		x.high = p.x.high // time ends where the run did
	}
	if !p.x.log && p.x.begin < x.high {
		x.low = p.x.begin
	}
	x.from, x.to, y.from, y.to = left, width-right, height-bottom, top
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, width, height, html.EscapeString(p.Title))
	for _, w := range p.bands {
		fmt.Fprintf(&b, `<rect class="band" x="%.1f" y="%g" width="%.1f" height="%g"><title>%s</title></rect>`,
			x.at(w.from), top, math.Max(x.at(w.to)-x.at(w.from), 1), height-top-bottom, html.EscapeString(w.text))
	}
	for _, t := range ticksY {
		at := y.at(t)
		fmt.Fprintf(&b, `<path class="grid" d="M%g %.1fH%g"/><text class="tick" x="%g" y="%.1f" text-anchor="end">%s</text>`,
			left, at, width-right, left-6, at+4, html.EscapeString(tick(t, p.y.unit, ticksY)))
	}
	for _, t := range ticksX {
		if t > x.high*1.0001 || t < x.low {
			continue
		}
		at := x.at(t)
		fmt.Fprintf(&b, `<path class="grid" d="M%.1f %gv4"/><text class="tick" x="%.1f" y="%g" text-anchor="%s">%s</text>`,
			at, height-bottom, at, height-bottom+16, anchor(at), html.EscapeString(tick(t, p.x.unit, ticksX)))
	}
	fmt.Fprintf(&b, `<path class="axis" d="M%g %gV%gH%g"/>`, left, top, height-bottom, width-right)
	fmt.Fprintf(&b, `<text class="label" x="%g" y="%g" text-anchor="middle">%s</text>`, (left+width-right)/2, height-6, html.EscapeString(p.x.label))
	for i, l := range p.lines {
		l.bars(&b, p.class(i), x, y)
		along, alone := l.path(x, y)
		if along != "" {
			fmt.Fprintf(&b, `<path class="%s" d="%s"><title>%s</title></path>`, p.class(i), along, html.EscapeString(l.name))
		}
		if alone != "" {
			fmt.Fprintf(&b, `<path class="%s dots" d="%s"/>`, p.class(i), alone)
		}
	}
	for _, m := range p.marks {
		at := x.at(m.x)
		fmt.Fprintf(&b, `<path class="mark" d="M%.1f %gV%g"/><text class="tick halo" x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			at, top, height-bottom, at-4, y.at(m.y)+14, html.EscapeString(m.text))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// tick is what stands at a tick: all times of an axis in the same unit, if they are
// evenly spaced.
func tick(v float64, unit string, ticks []float64) string {
	if unit == "s" && len(ticks) > 1 && ticks[0] == 0 {
		switch {
		case ticks[1] >= 24*3600:
			return report.Text(v/(24*3600), "d")
		case ticks[1] >= 3600:
			return report.Text(v/3600, "h")
		case ticks[1] >= 60:
			return report.Text(v/60, "min")
		}
	}
	return report.Text(v, unit)
}

// anchor keeps labels at the edge within the picture.
func anchor(at float64) string {
	if at > width-right-12 {
		return "end"
	}
	return "middle"
}

// path goes along the points; those between two gaps stand alone.
func (l *line) path(x, y scale) (along, alone string) {
	var b, dots strings.Builder
	pen, lastX, lastY := false, 0.0, 0.0
	gap := func(i int) bool { return l.dots || i < 0 || i >= len(l.points) || math.IsNaN(l.points[i].Y) }
	for i, p := range l.points {
		if math.IsNaN(p.Y) {
			pen = false
			continue
		}
		px, py := x.at(p.X), y.at(p.Y)
		switch {
		case gap(i-1) && gap(i+1):
			fmt.Fprintf(&dots, "M%.1f %.1fh.1", px, py)
			continue
		case !pen:
			fmt.Fprintf(&b, "M%.1f %.1f", px, py)
		case l.steps:
			fmt.Fprintf(&b, "H%.1fV%.1f", px, py)
		case math.Abs(px-lastX) > 0.2 || math.Abs(py-lastY) > 0.2:
			fmt.Fprintf(&b, "L%.1f %.1f", px, py)
		default:
			continue
		}
		pen, lastX, lastY = true, px, py
	}
	return b.String(), dots.String()
}

// extent is what is to be seen.
func (p *plot) extent() (lowX, highX, lowY, highY float64) {
	lowX, lowY = math.Inf(1), math.Inf(1)
	see := func(x, y float64) {
		if !p.x.log || x > 0 {
			lowX, highX = math.Min(lowX, x), math.Max(highX, x)
		}
		if !p.y.log || y > 0 {
			lowY, highY = math.Min(lowY, y), math.Max(highY, y)
		}
	}
	for _, l := range p.lines {
		for _, q := range l.points {
			if !math.IsNaN(q.Y) {
				see(q.X, q.Y)
			}
		}
		for i, q := range l.points[:min(len(l.points), len(l.spread))] {
			if most := q.Y + math.Abs(l.spread[i]); p.y.unit != "share" || most <= 1 {
				see(q.X, most)
			}
		}
	}
	for _, m := range p.marks {
		see(m.x, m.y)
	}
	return lowX, math.Max(highX, p.x.high), lowY, cmp.Or(math.Max(highY, p.y.high), 1)
}

// Key is an entry of the legend: a line, or a dot.
type Key struct{ Class, Path, Name string }

// Legend names the lines, unless there is only one.
func (p *plot) Legend() (keys []Key) {
	if len(p.lines) < 2 {
		return nil
	}
	for i, l := range p.lines {
		k := Key{p.class(i), "M1 4H21", l.name}
		if l.dots {
			k.Class, k.Path = k.Class+" dots", "M11 4h.1"
		}
		keys = append(keys, k)
	}
	return keys
}
