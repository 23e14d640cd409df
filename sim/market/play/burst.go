// SPDX-License-Identifier: Apache-2.0

package play

import (
	"fmt"
	"time"

	"croft/sim/market/burst"
	"croft/sim/report"
	"croft/sim/scenario"
)

// burst plays one line: the same wishes under each mechanism.
func (p *player) burst(do *scenario.Burst) error {
	list := []burst.Config{{Mechanism: burst.Shares}, {Mechanism: burst.Calendar}}
	for _, degree := range do.Degree {
		list = append(list, burst.Config{Mechanism: burst.Sharp, Degree: degree})
	}
	t := report.Table{Title: fmt.Sprintf("A deadline after %d days: %d units, demand to %d %%", do.Days, do.Units, do.Peak), Case: "mechanism",
		Columns: []report.Column{{Name: "utilisation", Unit: "share"}, {Name: "last day", Unit: "share"}, {Name: "refused", Unit: "share"}, {Name: "last day", Unit: "share"},
			{Name: "got", Unit: "share"}, {Name: "last day", Unit: "share"}, {Name: "sold out"}, {Name: "no room"}},
		Note: "refused: of those who came; got: of all that those who came wanted, what was in use; shares refuse nobody, and each has less; last day: the one before the deadline"}
	used, refused, part := curve(do, "Utilisation before a deadline", "units in use"), curve(do, "Refused before a deadline", "of those who came"),
		curve(do, "Got before a deadline", "of what those who came wanted")
	demand := report.Line{Name: "demand, to 100 %", Law: true}
	for _, c := range list {
		c.Units, c.Days, c.Peak, c.Come, c.Ahead, c.Seed = do.Units, do.Days, do.Peak, do.Come, do.Ahead, p.scn.Seed
		r, err := burst.Run(p.ctx, c)
		if err != nil {
			return err
		}
		p.proofs += r.Proofs
		p.note("%s used=%.6f came=%d served=%d refused=%v most=%.3f", c.Case(), r.Whole.Used, r.Whole.Came, r.Whole.Served, r.Refused, r.Most)
		if r.Most > float64(c.Units)+1e-6 || r.Proofs > 0 {
			p.breach("%s: %.3f of %d units in use at once, %d conflicts among the honest", c.Case(), r.Most, c.Units, r.Proofs)
		}
		p.facts += r.Facts
		p.step(time.Duration(c.Days)*24*time.Hour + burst.After)
		a, b, d := report.Line{Name: c.Case()}, report.Line{Name: c.Case()}, report.Line{Name: c.Case()}
		day := burst.Slot{}
		const slots = int(24 * time.Hour / burst.Every)
		for i, s := range r.Slots {
			at := (time.Duration(i)*burst.Every + burst.Every/2).Seconds()
			if len(demand.Points) < len(r.Slots) {
				demand.Points = append(demand.Points, report.Point{X: at, Y: min(c.Demand(time.Duration(at)*time.Second), 1)})
			}
			a.Points = append(a.Points, report.Point{X: at, Y: s.Used})
			if s.Came > 0 {
				b.Points = append(b.Points, report.Point{X: at, Y: 1 - float64(s.Served)/float64(s.Came)})
			}
			if s.Wanted > 0 {
				d.Points = append(d.Points, report.Point{X: at, Y: min(s.Used/s.Wanted, 1)}) // what began before runs on
			}
			if last := do.Days * slots; i >= last-slots && i < last {
				day = burst.Slot{Used: day.Used + s.Used/float64(slots), Wanted: day.Wanted + s.Wanted/float64(slots), Came: day.Came + s.Came, Served: day.Served + s.Served}
			}
		}
		used.Lines, refused.Lines, part.Lines = append(used.Lines, a), append(refused.Lines, b), append(part.Lines, d)
		p.rec.Set("refusals", c.Case(), "count", float64(r.Whole.Came-r.Whole.Served))
		p.rec.Set("served", c.Case(), "share", served(r.Whole))
		soldOut := r.Refused["sold out"]
		noRoom := r.Whole.Came - r.Whole.Served - soldOut
		t.Add(c.Case(), p.cell("utilisation", c.Case(), "share", r.Whole.Used), report.Cell(day.Used), p.cell("refusals", c.Case(), "share", 1-served(r.Whole)),
			report.Cell(1-served(day)), got(r.Whole), got(day), report.Cell(float64(soldOut)), report.Cell(float64(noRoom)))
	}
	used.Lines = append(used.Lines, demand)
	p.rec.Table(t)
	for _, c := range []report.Curve{used, refused, part} {
		p.rec.Curve(c)
	}
	return nil
}

func curve(do *scenario.Burst, title, label string) report.Curve {
	return report.Curve{Title: title, X: report.Axis{Label: fmt.Sprintf("time of the run; the deadline is after %d days", do.Days), Unit: "s"}, Y: report.Axis{Label: label, Unit: "share"}}
}

func served(s burst.Slot) float64 { return float64(s.Served) / float64(max(s.Came, 1)) }

// got is what was in use, of what was wanted.
func got(s burst.Slot) *float64 {
	if s.Wanted == 0 {
		return nil
	}
	return report.Cell(min(s.Used/s.Wanted, 1))
}
