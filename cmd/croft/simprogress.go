// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	simreport "croft/sim/report"
)

// progressLine is one line on a terminal that says how far a run is.
type progressLine struct {
	w     io.Writer // nil: there is no terminal
	name  string
	began time.Time
	shown time.Time
}

func (a *app) progressLine(name string) *progressLine {
	p := &progressLine{name: name, began: time.Now()}
	if f, ok := a.err.(*os.File); ok && !a.json && term.IsTerminal(int(f.Fd())) {
		p.w = f
	}
	return p
}

func (p *progressLine) show(at simreport.Progress) {
	if p.w == nil || time.Since(p.shown) < progressEvery {
		return
	}
	p.shown = time.Now()
	fmt.Fprintf(p.w, "\r%s  %s\x1b[K", p.name, progressText(at, time.Since(p.began)))
}

// progressText says how far a run is, after so long.
func progressText(at simreport.Progress, took time.Duration) string {
	const wide = 24
	done := min(max(float64(at.Now)/float64(max(at.End, 1)), 0), 1)
	full := int(done * wide)
	s := fmt.Sprintf("[%s%s] %3.0f%%  %s of %s", strings.Repeat("█", full), strings.Repeat("░", wide-full), done*100,
		simreport.Span(at.Now.Truncate(time.Second)), simreport.Span(at.End))
	if at.Up > 0 {
		s += fmt.Sprintf("  %d nodes", at.Up)
	}
	if at.Events > 0 && took > 0 {
		s += fmt.Sprintf("  %s events/s", simreport.Whole(int64(float64(at.Events)/took.Seconds())))
	}
	if done > 0.02 && took > time.Second {
		left := time.Duration(float64(took) * (1 - done) / done)
		s += "  " + simreport.Span(left.Round(time.Second)) + " left"
	}
	return s
}

func (p *progressLine) clear() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
