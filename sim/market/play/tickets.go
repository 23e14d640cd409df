// SPDX-License-Identifier: Apache-2.0

package play

import (
	"fmt"
	"slices"

	"croft/sim/market/binomial"
	"croft/sim/report"
	"croft/sim/scenario"
)

// tickets plays one line: a result for each degree.
func (p *player) tickets(do *scenario.Tickets) error {
	for _, degree := range do.Degree {
		r, err := p.opt.trial(p.ctx, binomial.Config{Units: do.Units, Degree: degree, Redeem: do.Redeem, Trials: do.Trials, Hands: do.Hands, Seed: p.scn.Seed})
		if err != nil {
			return err
		}
		p.laws = append(p.laws, r)
		p.proofs += r.Proofs
		p.note("%s trials=%d conflicts=%d redeems=%d refused=%d leased=%d", r.Case(), r.Trials, r.Conflicts, r.Redeems, r.Refused, r.Leased)
		if r.Most > r.Units || r.Proofs > 0 {
			p.breach("%s: %d of %d units leased at once, %d conflicts among the honest", r.Case(), r.Most, r.Units, r.Proofs)
		}
		p.facts += r.Facts
		p.step(r.Virtual())
	}
	return nil
}

// law reports all tickets together, beside the law.
func (p *player) law() {
	if len(p.laws) == 0 {
		return
	}
	t := report.Table{Title: "Oversubscription: trials beside the binomial law", Case: "units, redeemed, degree", Columns: []report.Column{{Name: "tickets"}, {Name: "trials"},
		{Name: "conflict", Unit: "share"}, {Name: "law", Unit: "share"}, {Name: "rejected", Unit: "share"}, {Name: "law", Unit: "share"},
		{Name: "utilisation", Unit: "share"}, {Name: "law", Unit: "share"}, {Name: "sigma"}},
		Note: "conflict: trials in which anybody was refused; rejected: of all redeems; sigma: how far off the law the worst of them is, as improbable as so many standard deviations. " +
			"Of many rows one may be beyond 3 by chance: in one of 370 figures"}
	worst, redeems := 0.0, 0
	for _, r := range p.laws {
		l, sigma := r.Law(), r.Sigma()
		worst, redeems = max(worst, sigma), redeems+r.Redeems
		name := fmt.Sprintf("%d, %g, %g", r.Units, r.Redeem, float64(r.Degree)/100)
		if r.Hands > 1 {
			name += fmt.Sprintf(", %d hands", r.Hands)
		}
		p.rec.Set("refusals", r.Case(), "count", float64(r.Refused))
		t.Add(name, report.Cell(float64(r.Tickets)), report.Cell(float64(r.Trials)), report.Cell(r.Conflict()), report.Cell(l.Conflict()),
			p.cell("refusals", r.Case(), "share", r.Rejected()), report.Cell(l.Rejected()),
			p.cell("utilisation", r.Case(), "share", r.Used()), report.Cell(l.Used()), report.Cell(sigma))
	}
	p.rec.Table(t)
	p.rec.Set("law", "", "sigma", worst)
	p.rec.Counter("tickets", "redeemed").Add(p.virtual, uint64(redeems))
	var units []int
	for _, r := range p.laws {
		if !slices.Contains(units, r.Units) {
			units = append(units, r.Units)
			p.curves(r.Units)
		}
	}
}

// curves draws what comes of a number of units against the degree: of each
// probability the law as a line, and the trials as points with what the law allows.
func (p *player) curves(units int) {
	axis := report.Axis{Label: "degree of oversubscription", From: 1}
	of := func(title, label string, law func(binomial.Law) float64, got func(*binomial.Result) float64, spread func(binomial.Law, int) float64) {
		c := report.Curve{Title: fmt.Sprintf("%s of %d units against degree", title, units), X: axis, Y: report.Axis{Label: label, Unit: "share"}}
		var seen []float64
		for _, r := range p.laws {
			if r.Units != units || slices.Contains(seen, r.Redeem) {
				continue
			}
			seen = append(seen, r.Redeem)
			line := report.Line{Name: fmt.Sprintf("law, %g redeemed", r.Redeem), Law: true}
			dots := report.Line{Name: "trials, ± 3 sigma", Dots: true, With: true}
			highest := 100
			for _, o := range p.laws {
				if o.Units == units && o.Redeem == r.Redeem {
					highest = max(highest, o.Degree)
					dots.Points = append(dots.Points, report.Point{X: float64(o.Tickets) / float64(units), Y: got(o)})
					dots.Spread = append(dots.Spread, 3*spread(o.Law(), o.Trials))
				}
			}
			for _, n := range grid(units, highest) {
				l := binomial.Law{Units: units, Tickets: n, Redeem: r.Redeem}
				line.Points = append(line.Points, report.Point{X: float64(n) / float64(units), Y: law(l)})
			}
			c.Lines = append(c.Lines, line, dots)
		}
		p.rec.Curve(c)
	}
	of("Utilisation", "mean of the units that are leased", binomial.Law.Used, (*binomial.Result).Used, binomial.Law.Spread)
	of("Conflicts", "trials in which anybody is refused", binomial.Law.Conflict, (*binomial.Result).Conflict, binomial.Law.ConflictSpread)
}

// grid is the numbers of tickets at which a law is drawn: it has steps.
func grid(units, highest int) (list []int) {
	last := binomial.Tickets(units, highest)
	for n := units; n <= last; n += max(1, (last-units)/60) {
		list = append(list, n)
	}
	if list[len(list)-1] != last {
		list = append(list, last)
	}
	return list
}
