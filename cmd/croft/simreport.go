// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	simreport "croft/sim/report"
)

// printReport writes a report as people read it; what was expected stands last,
// where eyes are.
func printReport(w io.Writer, p paint, r *simreport.Report) {
	fmt.Fprintf(w, "%s: %s\n%s\n", p.head(r.Name), r.Head(), r.Effort())
	if r.Partial {
		fmt.Fprintln(w, p.bad("PARTIAL")+": it was interrupted, and nothing that it says is of the whole run")
	}
	rows, singles := r.Table()
	if len(rows) > 0 {
		table := [][]string{append([]string{"FIGURE"}, simreport.Stats...)}
		for _, row := range rows {
			cells := []string{strings.TrimSpace(row.Figure + " " + row.Of)}
			for _, v := range row.Values {
				cells = append(cells, simreport.Text(v.Value, v.Unit))
			}
			table = append(table, append(cells, simreport.About(row.Figure)))
		}
		fmt.Fprintln(w)
		aligned(w, table, len(simreport.Stats))
	}
	var table [][]string
	for _, v := range singles {
		table = append(table, []string{strings.Join(strings.Fields(v.Figure+" "+v.Of+" "+v.Stat), " "), simreport.Text(v.Value, v.Unit), simreport.About(v.Figure)})
	}
	for _, list := range []struct {
		prefix string
		counts []simreport.Count
	}{{"", r.Counts}, {"offers ignored: ", r.Drops}, {"wishes refused: ", r.Refusals}} {
		for _, c := range list.counts {
			if c.Count > 0 {
				table = append(table, []string{list.prefix + c.What, c.Text()})
			}
		}
	}
	if len(table) > 0 {
		fmt.Fprintln(w)
		aligned(w, table, 1)
	}
	printTables(w, p, r.Tables)
	printSlices(w, r.Slices)
	printVerdicts(w, p, r)
	printFoot(w, p, r)
}

func printSlices(w io.Writer, slices []simreport.Slice) {
	if len(slices) == 0 {
		return
	}
	table := [][]string{{"SLICE", "WANTED", "RUNNING", "AFTER", "BEGAN"}}
	for _, s := range slices {
		after := "-"
		if s.Time > 0 {
			after = simreport.Span(s.Time)
		}
		table = append(table, []string{s.Name, fmt.Sprint(s.Wanted), fmt.Sprint(s.Running), after, strings.Join(append([]string{s.Outcome}, s.Reasons(1)...), "; ")})
	}
	fmt.Fprintln(w)
	aligned(w, table, 3)
}

func printVerdicts(w io.Writer, p paint, r *simreport.Report) {
	fmt.Fprintln(w)
	if s := r.Safety; s != nil {
		fmt.Fprintf(w, "safety: %s looks at a node, %s at all, %d promises broken\n", simreport.Whole(int64(s.Checks)), simreport.Whole(int64(s.Sweeps)), len(s.Breaches)+s.More)
		for _, b := range s.Breaches {
			fmt.Fprintln(w, p.bad(fmt.Sprintf("  at %s node %d: %s", simreport.Span(b.At), b.Node, b.Text)))
		}
	}
	wide := 0
	for _, e := range r.Expects {
		wide = max(wide, len(e.Expect))
	}
	for _, e := range r.Expects {
		fmt.Fprintf(w, "%s %-*s  %s\n", p.mark(e.OK), wide, e.Expect, e.Got)
	}
}

func printFoot(w io.Writer, p paint, r *simreport.Report) {
	var models []string
	for _, m := range r.Foot.Models {
		models = append(models, m.What)
	}
	fmt.Fprintln(w)
	for _, line := range []struct{ what, list string }{
		{"real", strings.Join(r.Foot.Real, "; ")},
		{"modelled", strings.Join(models, "; ")},
		{"left out", strings.Join(r.Foot.Omits, "; ")},
		{"of this run", strings.Join(r.Foot.Notes, "; ")},
		{"history", r.History},
		{"machine", r.Machine},
	} {
		if line.list != "" {
			fmt.Fprintln(w, p.faint(fmt.Sprintf("%-11s  %s", line.what, line.list)))
		}
	}
}

// printOverlays tells how far runs are from one another.
func printOverlays(w io.Writer, p paint, runs []*simreport.Report) {
	overlays, labels := simreport.Compare(runs), simreport.Labels(runs)
	if len(overlays) == 0 {
		return
	}
	table := [][]string{{"LAID OVER ONE ANOTHER", "p50", "p95", "KS", "moved", "run"}}
	for _, o := range overlays {
		for i, run := range o.Runs {
			d, scale := o.Dist(i)
			row := []string{strings.TrimSpace(o.Figure + " " + o.Of), simreport.Text(d.Quantile(.5)*scale, o.Unit), simreport.Text(d.Quantile(.95)*scale, o.Unit), "-", "-", labels[run]}
			if i > 0 {
				row[3], row[4] = fmt.Sprintf("%.3f", o.Distances[i].KS), simreport.Text(o.Distances[i].Earth, o.Unit)
			}
			table = append(table, row)
		}
	}
	fmt.Fprintln(w)
	aligned(w, table, 4)
	fmt.Fprintln(w, p.faint("KS: the most by which the shares at or below some value differ; moved: the earth mover's distance"))
}
