// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"testing"

	"croft/sim/report"
	"croft/sim/scenario"
	"croft/sim/scenarios"
	"croft/sim/world"
)

// both is played in world and stack: joins, news, finds, a slice that speaks, deaths.
const both = `nodes 60
join wave=20 every=1s
at 30s  change fraction=0.3
at 40s  find where="cpu>=100" count=100 every=100ms view=off
at 50s  slice ron nodes=12
at 60s  publish news slice=ron count=10
at 90s  change fraction=0.3
at 95s  fault kill count=8
end 130s
`

// apart is how far world and stack may be from one another: by Kolmogorov and Smirnov,
// and as a factor between the values at a quantile. Of seeds 0 to 3 the furthest is
// said beside each. A world that floods nothing fails by delivery and latejoin.
var apart = map[string]struct{ ks, quantile, factor float64 }{
	"delivery":  {0.20, .5, 1.4}, // 0.14, 1.2
	"latejoin":  {0.60, .5, 2.5}, // 0.50, 1.9: half come with the second heartbeat, or not
	"degree":    {0.40, .5, 1.5}, // 0.29, 1.3
	"topic":     {0.60, .5, 2.5}, // 0.46, 1.9
	"detection": {0.80, .5, 1.3}, // 0.63, 1.1: there are but eight deaths
	"lookup":    {0.60, .95, 3},  // 0.50, 1.9: many a first match is at the asker, who holds a part of the index
	"bytes":     {0.50, .5, 1.6}, // 0.38, 1.3
}

// What the models of the world make of a scenario is near what whole daemons do.
func TestSameAsWorld(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays sixty daemons")
	}
	real, model := play(t, both), inWorld(t, both)
	compared := 0
	for _, o := range report.Compare([]*report.Report{model, real}) {
		want, ok := apart[o.Figure]
		if !ok || o.Of != "" {
			continue
		}
		compared++
		a, _ := o.Dist(0)
		b, _ := o.Dist(1)
		at, bt := a.Quantile(want.quantile), b.Quantile(want.quantile)
		t.Logf("%s: KS %.2f; at %g %.3g and %.3g", o.Figure, o.Distances[1].KS, want.quantile, at, bt)
		if ratio := at / bt; o.Distances[1].KS > want.ks || !(ratio <= want.factor && ratio >= 1/want.factor) {
			t.Errorf("%s: world and stack are far apart: %+v, at %g %.3g and %.3g", o.Figure, o.Distances[1], want.quantile, at, bt)
		}
	}
	if compared != len(apart) {
		t.Errorf("%d figures are compared, of %d", compared, len(apart))
	}
}

// inWorld plays a scenario in the world.
func inWorld(t *testing.T, text string) *report.Report {
	t.Helper()
	s, err := scenario.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := world.Run(t.Context(), s, world.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What the scenario for every world expects of times holds where they are virtual; the
// lab has its own test.
func TestThree(t *testing.T) {
	text, err := scenarios.Text("three")
	if err != nil {
		t.Fatal(err)
	}
	real, model := play(t, text), inWorld(t, text)
	if !model.OK() {
		t.Errorf("world: %+v", model.Expects)
	}
	if a, b := len(real.Expects), len(model.Expects); a < 10 || a != b {
		t.Errorf("%d expectations are of the stack, %d of the world", a, b)
	}
}

// What the world leaves to the stack, whose nodes need offer nothing, can be played here.
func TestShipped(t *testing.T) {
	left := 0
	for _, name := range scenarios.Names() {
		text, err := scenarios.Text(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Parse(text)
		if err != nil || s.Nodes.Publishers == 0 {
			continue
		}
		left++
		if err := cannot(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left == 0 {
		t.Error("none is shipped")
	}
}
