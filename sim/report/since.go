// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strconv"
	"time"

	"croft/sim/scenario"
)

// parted is a distribution in two: what came about before an instant, and the rest.
type parted struct {
	at            time.Duration
	before, since Dist
}

func (p *parted) add(now time.Duration, v int64) {
	if now < p.at {
		p.before.Add(v)
	} else {
		p.since.Add(v)
	}
}

// partings are the instants since which something is expected of a figure.
func partings(s *scenario.Scenario, figure, of string) (list []parted) {
	for _, e := range s.Expects {
		if e.Since > 0 && e.Figure == figure && e.Of == of {
			list = append(list, parted{at: e.Since})
		}
	}
	return list
}

// stat returns a statistic of a distribution.
func (d *Dist) stat(word string) float64 {
	if word == "mean" {
		return d.Mean()
	}
	percent, _ := strconv.Atoi(word[1:])
	return d.Quantile(float64(percent) / 100)
}

// compare holds what came about since an instant against what came before. The
// verdict is of no figure: its value is no value of one.
func (r *Recorder) compare(e scenario.Expect) Verdict {
	v := Verdict{Expect: e.String(), Line: e.Line, Got: "nothing to compare came about"}
	unit := e.Unit()
	scale := 1.0
	if unit == scenario.Seconds {
		scale = 1e-9
	}
	for _, m := range r.measures.list {
		if m.figure != e.Figure || m.of != e.Of {
			continue
		}
		for i := range m.parted {
			p := &m.parted[i]
			before, since := p.before.stat(e.Stat), p.since.stat(e.Stat)
			if p.at != e.Since || before == 0 || p.since.Count() == 0 {
				continue
			}
			v.OK = e.Op.Holds(since/before, e.Value)
			v.Got = fmt.Sprintf("%sx: %s, and %s before", scenario.Number.Format(rounded(since/before)), unit.Format(rounded(since*scale)), unit.Format(rounded(before*scale)))
		}
	}
	return v
}
