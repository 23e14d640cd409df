// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"testing"

	"croft/sim/report"
	"croft/sim/scenario"
	"croft/sim/world"
)

// both is played in world and stack: joins, news, finds, a slice that speaks, deaths.
const both = `nodes 60
join wave=20 every=1s
at 30s  change fraction=0.3
at 40s  find where="cpu>=100" count=20 view=off
at 50s  slice ron nodes=12
at 60s  publish news slice=ron count=10
at 90s  change fraction=0.3
at 95s  fault kill count=4
end 130s
`

// apart is how far world and stack may be from one another: by Kolmogorov and Smirnov,
// and as a factor between the medians. In a small network a run differs from the next;
// lookups are the first match here and whole answers there.
var apart = map[string]struct{ ks, medians float64 }{
	"delivery":  {0.55, 3},
	"latejoin":  {0.45, 5}, // half come with the second heartbeat, or not
	"degree":    {0.35, 1.5},
	"topic":     {0.50, 2.5},
	"detection": {1, 1.6},
	"lookup":    {1, 6},
	"bytes":     {1, 3},
}

// What the models of the world make of a scenario is near what whole daemons do.
func TestSameAsWorld(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays sixty daemons")
	}
	real := play(t, both)
	s, err := scenario.Parse(both)
	if err != nil {
		t.Fatal(err)
	}
	model, err := world.Run(t.Context(), s, world.Options{})
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, o := range report.Compare([]*report.Report{model, real}) {
		want, ok := apart[o.Figure]
		if !ok {
			continue
		}
		compared++
		a, _ := o.Dist(0)
		b, _ := o.Dist(1)
		ratio := a.Quantile(.5) / b.Quantile(.5)
		t.Logf("%s: KS %.2f, moved %.0f %% of the mean; medians %.3g, %.3g", o.Figure, o.Distances[1].KS, 100*o.Distances[1].Relative, a.Quantile(.5), b.Quantile(.5))
		if o.Distances[1].KS > want.ks || ratio > want.medians || ratio < 1/want.medians {
			t.Errorf("%s: world and stack are far apart: %+v, medians %.3g and %.3g", o.Figure, o.Distances[1], a.Quantile(.5), b.Quantile(.5))
		}
	}
	if compared != len(apart) {
		t.Errorf("%d figures are compared, of %d", compared, len(apart))
	}
}
