// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"math"
	"strings"
)

// bars draws how far above and below each point what is true may be; what lies
// beyond the picture is left away.
func (l *line) bars(b *strings.Builder, class string, x, y scale) {
	var d strings.Builder
	for i, p := range l.points[:min(len(l.points), len(l.spread))] {
		if s := math.Abs(l.spread[i]); s > 0 && !math.IsNaN(p.Y) {
			inside := func(v float64) float64 { return y.at(min(max(v, y.low), y.high)) }
			at, from, to := x.at(p.X), inside(p.Y-s), inside(p.Y+s)
			fmt.Fprintf(&d, "M%.1f %.1fh6M%.1f %.1fV%.1fM%.1f %.1fh6", at-3, from, at, from, to, at-3, to)
		}
	}
	if d.Len() > 0 {
		fmt.Fprintf(b, `<path class="%s bar" d="%s"/>`, class, d.String())
	}
}

// class is a line's, with its colour: that of the one before it, if it goes with
// that.
func (p *plot) class(i int) string {
	colour := -1
	for _, l := range p.lines[:i+1] {
		if !l.faint && !l.with || colour < 0 {
			colour++
		}
	}
	l := p.lines[i]
	c := "line"
	if l.faint {
		c += " faint"
	}
	c += fmt.Sprintf(" c%d", colour%8)
	if l.law {
		c += " law"
	}
	return c
}
