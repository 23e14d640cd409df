// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Verdicts is one table of what was expected of several runs: a row for each
// expectation, for people.
type Verdicts struct {
	Head []string
	Rows [][]string
	Bad  []bool // of each row: it does not hold, or nobody knows
}

// Summary makes that table. What a run took stands in its first row. A run that was
// interrupted has one row, that says when; one of which nothing was expected has none.
func Summary(runs []*Report) Verdicts {
	t := Verdicts{Head: []string{"scenario", "world", "nodes", "figure", "reached", "target", "holds", "wall", "memory"}}
	for _, r := range runs {
		nodes, memory := "-", "-" // trials have no network
		if r.Nodes > 0 {
			nodes = Whole(int64(r.Nodes))
		}
		if r.Peak > 0 {
			memory = Text(float64(r.Peak), "B")
		}
		first := []string{r.Name, r.World, nodes}
		took := []string{Span(r.Wall.Round(100 * time.Millisecond)), memory}
		add := func(ok bool, cells ...string) {
			t.Rows, t.Bad = append(t.Rows, slices.Concat(first, cells, took)), append(t.Bad, !ok)
			first, took = []string{"", "", ""}, []string{"", ""}
		}
		if r.Partial {
			add(false, "-", "interrupted at "+Span(r.Virtual.Round(time.Second)), "the whole run", "no")
		}
		for _, v := range r.Expects {
			figure, target := v.target()
			add(v.OK, figure, v.reached(r), target, map[bool]string{true: "yes", false: "no"}[v.OK])
		}
	}
	return t
}

// target splits an expectation into what is looked at and what it is to be.
func (v Verdict) target() (figure, target string) {
	words := strings.Fields(strings.TrimPrefix(v.Expect, "expect "))
	at := slices.IndexFunc(words, func(w string) bool { return strings.ContainsAny(w, "<>=") })
	switch {
	case len(words) == 0: // a stranger's file
		return "-", "-"
	case at < 0 && v.Figure == "": // a history
		return words[0], strings.Join(words[1:], " ")
	case at < 0:
		return words[0], "0 breaches"
	}
	figure, target = strings.Join(words[:at], " "), strings.NewReplacer("<=", "≤", ">=", "≥").Replace(words[at])
	if v.since() {
		return figure, strings.Join(append([]string{target}, words[at+1:min(at+4, len(words))]...), " ")
	}
	return figure, target + " " + Text(v.Value, unitOf(v.Figure, v.Stat).String())
}

// since reports whether it compares with before.
func (v Verdict) since() bool { return strings.Contains(v.Expect, "x since ") }

// reached is what came of it.
func (v Verdict) reached(r *Report) string {
	if f, ok := r.Value(v.Figure, v.Of, v.Stat); ok && !v.since() {
		return Text(f.Value, f.Unit)
	}
	return v.Got
}

// Markdown is the table with where and when its runs were played.
func (t Verdicts) Markdown(runs []*Report) string {
	var s strings.Builder
	var where []string
	for _, r := range runs {
		if at := fmt.Sprintf("%s, %s", r.Date.Format(time.DateOnly), r.Machine); !slices.Contains(where, at) {
			where = append(where, at)
		}
	}
	fmt.Fprintf(&s, "Played on %s.\n\n|", strings.Join(where, "; and on "))
	line := func(cells []string) {
		for _, c := range cells {
			s.WriteString(" " + strings.ReplaceAll(c, "|", `\|`) + " |")
		}
		s.WriteString("\n")
	}
	line(t.Head)
	s.WriteString(strings.Repeat("|---", len(t.Head)) + "|\n")
	for i, row := range t.Rows {
		if t.Bad[i] {
			row = slices.Clone(row)
			row[6] = "**" + row[6] + "**"
		}
		s.WriteString("|")
		line(row)
	}
	return s.String()
}
