// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Agreement is what came of one scenario when world and stack were last laid over one
// another: a measurement of some day, that goes with the program.
type Agreement struct {
	Scenario string   `json:"scenario"`
	Text     string   `json:"sha256"` // of the scenario as it was played
	Nodes    int      `json:"nodes"`
	Seeds    int      `json:"seeds"` // from 0 on
	Date     string   `json:"date"`
	Commit   string   `json:"commit,omitempty"` // of the program that was measured
	Figures  []Agreed `json:"figures"`
}

// Agreed is how far the two were from one another by one figure, over all seeds: the
// least and the most of each.
type Agreed struct {
	Figure string     `json:"figure"`
	KS     [2]float64 `json:"ks"`    // from 0 to 1
	Stat   string     `json:"stat"`  // that Ratio is of
	Ratio  [2]float64 `json:"ratio"` // of the world's to the stack's
}

// Note widens what is known of a figure by a run more.
func (a *Agreement) Note(figure, stat string, ks, ratio float64) {
	ks, ratio = two(ks), two(ratio)
	at := slices.IndexFunc(a.Figures, func(f Agreed) bool { return f.Figure == figure })
	if at < 0 {
		a.Figures = append(a.Figures, Agreed{figure, [2]float64{ks, ks}, stat, [2]float64{ratio, ratio}})
		return
	}
	f := &a.Figures[at]
	f.KS = [2]float64{min(f.KS[0], ks), max(f.KS[1], ks)}
	f.Ratio = [2]float64{min(f.Ratio[0], ratio), max(f.Ratio[1], ratio)}
}

// two keeps two decimals: seeds differ by more.
func two(v float64) float64 { return math.Round(v*100) / 100 }

// Beside says how far world and stack agree on what a run of either measured, and on
// which of it nobody has compared them.
func (a *Agreement) Beside(r *Report) []string {
	if r.World != "world" && r.World != "stack" || r.Nodes == 0 {
		return nil
	}
	list := []string{fmt.Sprintf("world beside stack in %s, %d nodes, %d seeds, on %s", a.Scenario, a.Nodes, a.Seeds, a.Date)}
	if a.Commit != "" {
		list[0] += ", at commit " + a.Commit
	}
	var not []string
	for _, m := range r.Measures {
		at := slices.IndexFunc(a.Figures, func(f Agreed) bool { return f.Figure == m.Figure })
		switch {
		case m.Of != "":
		case at < 0:
			not = append(not, m.Figure)
		default:
			f := a.Figures[at]
			list = append(list, fmt.Sprintf("%s KS %.2f to %.2f, %s %.2f to %.2f times the stack's", f.Figure, f.KS[0], f.KS[1], f.Stat, f.Ratio[0], f.Ratio[1]))
		}
	}
	if len(not) > 0 {
		list = append(list, "not compared: "+strings.Join(not, ", "))
	}
	return list
}
