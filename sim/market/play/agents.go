// SPDX-License-Identifier: Apache-2.0

package play

import (
	"fmt"
	"math"
	"time"

	"croft/sim/market"
	"croft/sim/report"
	"croft/sim/scenario"
)

// The hour of agents, shortened: who dies does so once all tickets are out, and what
// follows is looked at for a quarter of an hour.
const (
	death  = 8 * time.Minute
	length = 30 * time.Minute
)

// agents plays one line: each number of the dead at each degree and term.
func (p *player) agents(do *scenario.Agents) error {
	t := report.Table{Title: fmt.Sprintf("Agents that die: %d sites, %d %% of all machines wished for", do.Sites, do.Load), Case: "dead, degree, term",
		Columns: []report.Column{{Name: "utilisation", Unit: "share"}, {Name: "±", Unit: "share"}, {Name: "within reach", Unit: "share"}, {Name: "served", Unit: "share"},
			{Name: "their users", Unit: "share"}, {Name: "refused by a node", Unit: "share"}},
		Note: "after the death: machines leased, the most that the living could promise, wishes served, those of the dead agents' users, and refusals a wish; " +
			fmt.Sprintf("mean of %d runs, ± their standard deviation", do.Runs)}
	if len(do.Term) > 1 {
		t.Title += ", by the term of what was passed on"
	}
	byDegree, byTerm := []report.Line{}, []report.Line{}
	for _, term := range do.Term {
		for _, dead := range do.Dead {
			line := report.Line{Name: fmt.Sprintf("%d of %d dead", dead, do.Sites)}
			reach := report.Line{Name: "within reach of the living", Law: true, With: true}
			if len(do.Term) > 1 {
				line.Name += ", for " + report.Span(term)
			}
			for _, degree := range do.Degree {
				mean, spread, within, err := p.hours(do, &t, dead, degree, term)
				if err != nil {
					return err
				}
				x := float64(degree) / 100
				line.Points = append(line.Points, report.Point{X: x, Y: mean})
				line.Spread = append(line.Spread, spread)
				reach.Points = append(reach.Points, report.Point{X: x, Y: min(within, float64(do.Load)/100)})
				byTerm = along(byTerm, fmt.Sprintf("%d dead, degree %g", dead, x), report.Point{X: term.Seconds(), Y: mean}, spread)
			}
			byDegree = append(byDegree, line)
			if len(do.Term) == 1 && len(do.Degree) > 1 {
				byDegree = append(byDegree, reach)
			}
		}
	}
	p.rec.Table(t)
	if len(do.Degree) > 1 && len(do.Term) == 1 {
		p.rec.Curve(report.Curve{Title: "Utilisation when agents are dead, against degree", X: report.Axis{Label: "degree of oversubscription", From: 1},
			Y: report.Axis{Label: "machines leased after the death, ± standard deviation", Unit: "share"}, Lines: byDegree})
	}
	if len(do.Term) > 1 {
		p.rec.Curve(report.Curve{Title: "Utilisation when agents are dead, against the term of what they passed on", X: report.Axis{Label: "term", Unit: "s"},
			Y: report.Axis{Label: "machines leased after the death, ± standard deviation", Unit: "share"}, Lines: byTerm})
	}
	return nil
}

// along adds a point to the line of a name.
func along(lines []report.Line, name string, at report.Point, spread float64) []report.Line {
	for i := range lines {
		if lines[i].Name == name {
			lines[i].Points, lines[i].Spread = append(lines[i].Points, at), append(lines[i].Spread, spread)
			return lines
		}
	}
	return append(lines, report.Line{Name: name, Points: []report.Point{at}, Spread: []float64{spread}})
}

// hours plays one case as often as is wanted, with other wishes each time; every case
// has the same.
func (p *player) hours(do *scenario.Agents, t *report.Table, dead, degree int, term time.Duration) (mean, spread, within float64, err error) {
	name := fmt.Sprintf("dead%d-degree%d", dead, degree)
	if len(do.Term) > 1 {
		name += fmt.Sprintf("-term%.0f", term.Minutes())
	}
	var sum, squares, orphans, refused float64
	var after market.Count
	for n := range do.Runs {
		if err := p.ctx.Err(); err != nil {
			return 0, 0, 0, err
		}
		r, err := market.Run(market.Config{Sites: do.Sites, Degree: uint16(degree), Dead: dead, Term: term, Load: float64(do.Load) / 100,
			Seed: p.scn.Seed + uint64(n), Length: length, Death: death})
		if err != nil {
			return 0, 0, 0, err
		}
		p.proofs += r.Proofs
		p.note("%s run=%d late=%.6f wishes=%d served=%d orphans=%d/%d refused=%v", name, n, r.Late, r.After.Wishes, r.After.Served, r.Orphan.Served, r.Orphan.Wishes, r.After.Refused)
		if r.Proofs > 0 || r.Used > 1 {
			p.breach("%s: %d conflicts among the honest, %.3f of all machines leased", name, r.Proofs, r.Used)
		}
		sum, squares, orphans = sum+r.Late, squares+r.Late*r.Late, orphans+r.Orphan.Share()
		after.Wishes, after.Served = after.Wishes+r.After.Wishes, after.Served+r.After.Served
		for _, count := range r.After.Refused {
			refused += float64(count)
		}
		within = r.Config.Reach()
		p.step(length)
	}
	runs := float64(do.Runs)
	mean = sum / runs
	if do.Runs > 1 {
		spread = math.Sqrt(max(squares-sum*mean, 0) / (runs - 1))
	}
	ofOrphans := report.Cell(orphans / runs)
	if dead == 0 {
		ofOrphans = nil
	}
	lasting := report.Cell(within)
	if term < length { // what the dead passed on has run out
		lasting = nil
	}
	p.rec.Set("refusals", name, "count", refused)
	t.Add(fmt.Sprintf("%d, %g, %s", dead, float64(degree)/100, report.Span(term)), p.cell("utilisation", name, "share", mean), report.Cell(spread), lasting,
		p.cell("served", name, "share", after.Share()), ofOrphans, p.cell("refusals", name, "share", refused/float64(max(after.Wishes, 1))))
	return mean, spread, within, nil
}
