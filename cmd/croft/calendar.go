// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/api"
)

func (a *app) leaseCalendar() *cobra.Command {
	var at string
	var term time.Duration
	var of []string
	var tree bool
	c := &cobra.Command{
		Use: "calendar", Short: "Draw the node's books over time, pool by pool", Args: cobra.NoArgs,
		Long: `Draw what is booked on the node behind the socket, pool by pool: for each resource
how full the pool is from now on, its peak and its capacity, and every lease.
A column is the highest load in its part of the time: . is nothing, # is full, ? is
further than the node looked. With --tree: what is promised out of pool sharp instead,
each capacity followed by the tickets on it, by whatever hands they were passed on.`,
		Example: "  croft lease calendar --for 6h --of cpu,memory\n  croft lease calendar --tree",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []lease.Resource
			for _, name := range of {
				r, err := lease.ParseResource(name)
				if err != nil {
					return usage("such as --of cpu,memory,egress.rate", "--of: %w", err)
				}
				list = append(list, r)
			}
			from, err := parseAt(at, time.Now())
			if err != nil {
				return err
			}
			if term < time.Minute {
				return usage("such as --for 6h", "--for %s is too short to draw", term)
			}
			t := lease.Term{Until: from.Add(term).Unix()}
			if at != "now" {
				t.From = from.Unix()
			}
			books, err := a.way().Calendar(cmd.Context(), t)
			if err != nil {
				return err
			}
			return a.print(books, func(w io.Writer) {
				if tree {
					drawTree(w, books, list)
					return
				}
				drawBooks(w, books, list)
			})
		},
	}
	c.Flags().StringVar(&at, "at", "now", "from when on: +2h, 18:30, '2026-05-04 09:00'")
	c.Flags().DurationVar(&term, "for", 24*time.Hour, "how long")
	c.Flags().StringSliceVar(&of, "of", []string{"cpu", "memory"}, "resources to draw")
	c.Flags().BoolVar(&tree, "tree", false, "what is promised, claim by claim, and how much of it is drawn")
	return c
}

// drawTree prints who holds what of the node's capacity, indented by the hands
// that it came through.
func drawTree(w io.Writer, books api.Calendar, of []lease.Resource) {
	if len(books.Tree) == 0 {
		fmt.Fprintln(w, "nothing is promised: `croft ticket give` does")
		return
	}
	fmt.Fprint(w, "CLAIM\tHOLDER\tSLOT\tUNTIL\tDEGREE")
	for _, r := range of {
		fmt.Fprintf(w, "\t%s DRAWN\tOF\tTO PROMISE", strings.ToUpper(r.String()))
	}
	fmt.Fprintln(w)
	for _, p := range books.Tree {
		fmt.Fprintf(w, "%s%s\t%s\t%d\t%s\t%d", strings.Repeat("  ", p.Depth), p.Claim.Short(), p.Holder.Short(), p.Slot, dateTime(p.Term.Until), p.Degree)
		for _, r := range of {
			fmt.Fprintf(w, "\t%s\t%s\t%s", r.Format(p.Drawn[r]), r.Format(p.RSet[r]), r.Format(p.Left[r]))
		}
		fmt.Fprintln(w)
	}
	if books.More > 0 {
		fmt.Fprintf(w, "and %d more\n", books.More)
	}
}

// columns is the width of a drawn calendar.
const columns = 60

func drawBooks(w io.Writer, books api.Calendar, of []lease.Resource) {
	fmt.Fprintf(w, "%s to %s, %s a column; idle now: %s\n", dateTime(books.Term.From), dateTime(books.Term.Until),
		(time.Duration(books.Term.Seconds()) * time.Second / columns).Round(time.Second), books.Idle)
	for _, p := range books.Pools {
		fmt.Fprintf(w, "\n%s (%s)\n", p.Pool, p.Mechanism)
		for _, r := range of {
			line, peak := drawPool(p, books.Term, r)
			fmt.Fprintf(w, "  %s\t%s\tpeak %s of %s\n", r, line, r.Format(peak), r.Format(p.Capacity[r]))
		}
		for _, c := range p.Claims {
			id := "-" // of a hold
			if !c.Lease.IsZero() {
				id = c.Lease.Short()
			}
			fmt.Fprintf(w, "  %s\t%s\t%s %s %s%s\n", id, drawTerm(lease.Term{From: max(c.From, c.Starts), Until: c.Until}, books.Term),
				c.State, c.Holder.Short(), c.Slice, remarks(c))
		}
	}
}

func remarks(c api.Claim) (s string) {
	if c.Weight > 0 {
		s += fmt.Sprintf(" weight %d", c.Weight)
	}
	if c.Exclusive {
		s += " alone"
	}
	if !c.Share.IsZero() {
		s += " has " + lease.CPU.String() + "=" + lease.CPU.Format(c.Share[lease.CPU])
	}
	return s
}

// steps are how full a pool is, from nothing to all.
const steps = ".123456789#"

// drawPool draws one resource of one pool, and returns its peak.
func drawPool(p api.PoolCalendar, t lease.Term, r lease.Resource) (line string, peak uint64) {
	var b strings.Builder
	for i := range int64(columns) {
		from := t.From + t.Seconds()*i/columns
		until := max(t.From+t.Seconds()*(i+1)/columns, from+1)
		var top uint64
		for k, l := range p.Levels {
			end := p.Seen
			if k+1 < len(p.Levels) {
				end = p.Levels[k+1].At
			}
			if l.At < until && from < end {
				top = max(top, l.Load[r])
			}
		}
		peak = max(peak, top)
		switch {
		case from >= p.Seen:
			b.WriteByte('?')
		case top == 0:
			b.WriteByte(steps[0])
		case top >= p.Capacity[r]:
			b.WriteByte(steps[len(steps)-1])
		default: // anything is more than nothing, and less than all
			b.WriteByte(steps[1+min(uint64(float64(top)/float64(p.Capacity[r])*9), 8)])
		}
	}
	return b.String(), peak
}

// drawTerm draws when a lease holds.
func drawTerm(lived, t lease.Term) string {
	line := []byte(strings.Repeat(" ", columns))
	for i := range int64(columns) {
		from := t.From + t.Seconds()*i/columns
		if lived.Overlaps(lease.Term{From: from, Until: max(t.From+t.Seconds()*(i+1)/columns, from+1)}) {
			line[i] = '='
		}
	}
	return string(line)
}
