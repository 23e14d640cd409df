// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"croft/sim/world"
)

// progressLine is one line on a terminal that says how far a run is.
type progressLine struct {
	w     io.Writer // nil: there is no terminal
	shown time.Time
}

func (a *app) progressLine() *progressLine {
	if f, ok := a.err.(*os.File); ok && !a.json && term.IsTerminal(int(f.Fd())) {
		return &progressLine{w: f}
	}
	return &progressLine{}
}

func (p *progressLine) show(at world.Progress) {
	if p.w == nil || time.Since(p.shown) < progressEvery {
		return
	}
	p.shown = time.Now()
	done := float64(at.Now) / float64(max(at.End, 1))
	bar := strings.Repeat("#", int(done*20))
	fmt.Fprintf(p.w, "\r[%-20s] %3.0f%%  %s of %s  %d nodes  %d events\x1b[K", bar, done*100, at.Now.Round(time.Second), at.End, at.Up, at.Events)
}

func (p *progressLine) clear() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// peakMemory is the most that this process had, in bytes.
func peakMemory() int64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss << 10
}

// printReport writes a report as people read it.
func printReport(w io.Writer, name string, r *world.Report) {
	fmt.Fprintf(w, "%s: %d nodes, %s, seed %d; %s in %s, %d events, %s\n", name, r.Nodes, r.Profile, r.Seed, r.Virtual.Round(time.Millisecond),
		r.Wall.Round(10*time.Millisecond), r.Events, octets(uint64(peakMemory())))
	if r.Partial {
		fmt.Fprintln(w, "PARTIAL: it was interrupted, and nothing that it says is of the whole run")
	}
	fmt.Fprintln(w, "\nFIGURE\tp50\tp90\tp95\tp99\tmax\tmean\t")
	figure := ""
	for _, v := range r.Figures {
		if v.Stat != "p50" && v.Figure+v.Of != figure || v.Figure == "delivery" && v.Stat == "share" {
			continue
		}
		if v.Stat == "p50" {
			figure = v.Figure + v.Of
			fmt.Fprintf(w, "%s", v.Figure)
		}
		fmt.Fprintf(w, "\t%s", measured(v))
		if v.Stat == "mean" {
			fmt.Fprintln(w, "\t")
		}
	}
	fmt.Fprintln(w)
	figure = ""
	for _, v := range r.Figures {
		if v.Stat == "p50" {
			figure = v.Figure
		}
		if v.Figure == "slice" || v.Figure == figure && v.Stat != "share" && v.Of == "" {
			continue
		}
		fmt.Fprintf(w, "%s %s\t%s\n", strings.TrimSpace(v.Figure+" "+v.Of), v.Stat, measured(v))
	}
	for _, c := range r.Counts {
		fmt.Fprintf(w, "%s\t%d\n", c.What, c.Count)
	}
	for _, c := range r.Drops {
		fmt.Fprintf(w, "offers ignored: %s\t%d\n", c.What, c.Count)
	}
	for _, c := range r.Refusals {
		fmt.Fprintf(w, "wishes refused: %s\t%d\n", c.What, c.Count)
	}
	if len(r.Slices) > 0 {
		fmt.Fprintln(w, "\nSLICE\tWANTED\tRUNNING\tBEGAN\tAFTER")
	}
	for _, s := range r.Slices {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", s.Name, s.Wanted, s.Running, s.Outcome, s.Time.Round(time.Millisecond))
	}
	fmt.Fprintf(w, "\nsafety: %d looks at a node, %d at all, %d promises broken\n", r.Safety.Checks, r.Safety.Sweeps, len(r.Safety.Breaches)+r.Safety.More)
	for _, b := range r.Safety.Breaches {
		fmt.Fprintf(w, "  at %s node %d: %s\n", b.At, b.Node, b.Text)
	}
	for _, e := range r.Expects {
		verdict := "ok"
		if !e.OK {
			verdict = "FAILED"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", verdict, e.Expect, e.Got)
	}
	fmt.Fprintf(w, "\nhistory %s\n", r.History)
	fmt.Fprintln(w, "Real are cores, views, slices and signatures; modelled are wires, mesh, sandbox, disk; there is no DHT (docs/simulation.md).")
}

// measured prints a figure in its unit.
func measured(v world.Value) string {
	switch v.Unit {
	case "s":
		return time.Duration(v.Value * 1e9).Round(100 * time.Microsecond).String()
	case "B/s":
		return octets(uint64(v.Value)) + "/s"
	}
	return fmt.Sprintf("%.4g", v.Value)
}
