// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"croft/sim/report"
	"croft/sim/scenario"
	"croft/sim/scenarios"
	"croft/sim/world"
)

var rewrite = flag.Bool("rewrite", false, "measure the agreement of world and stack anew, and write it down")

// apart is how far world and stack may be from one another: by Kolmogorov and Smirnov,
// and as a factor between the values at a quantile: a third and more above what was seen, as a run
// of the stack is never the same again. A world that floods nothing fails by delivery and latejoin.
var apart = map[string]struct{ ks, quantile, factor float64 }{
	"delivery":  {0.20, .5, 1.4},
	"latejoin":  {0.60, .5, 2.5}, // half come with the second heartbeat, or not
	"degree":    {0.40, .5, 1.5},
	"topic":     {0.65, .5, 3},   // four meshes, drawn anew in each run of the stack
	"detection": {0.70, .5, 1.3}, // there are but eight deaths
	"lookup":    {0.60, .95, 3},  // many a first match is at the asker, who holds a part of the index
	"bytes":     {0.50, .5, 1.6},
}

// Beyond what reports tell a run may be by so much: of KS, and as a factor of the ratio. By
// more the program is another than the one that was measured.
const beyondKS, beyondRatio = 0.2, 1.6

// What the models of the world make of a scenario is near what whole daemons do; and
// reports tell no other agreement than that of this scenario.
func TestSameAsWorld(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays sixty daemons")
	}
	text, err := scenarios.Text("agree")
	if err != nil {
		t.Fatal(err)
	}
	shipped, seeds := scenarios.Agreement(), 1
	if *rewrite {
		seeds = 4
	}
	now := report.Agreement{Scenario: "agree", Text: fmt.Sprintf("%x", sha256.Sum256([]byte(text))), Seeds: seeds, Date: time.Now().UTC().Format(time.DateOnly)}
	for seed := range seeds {
		again := fmt.Sprintf("%s\nseed %d\n", text, seed)
		real, model := play(t, again), inWorld(t, again)
		now.Nodes = model.Nodes
		same(t, &now, model, real)
	}
	if *rewrite && !t.Failed() {
		if commit, err := exec.Command("git", "rev-parse", "--short=10", "HEAD").Output(); err == nil { // else it is not known
			now.Commit = strings.TrimSpace(string(commit))
		}
		b, err := json.MarshalIndent(now, "", "  ")
		if err == nil {
			err = os.WriteFile("../scenarios/agreement.json", append(b, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, f := range now.Figures {
		at := slices.IndexFunc(shipped.Figures, func(s report.Agreed) bool { return s.Figure == f.Figure })
		if at < 0 {
			t.Errorf("%s: reports do not tell of it", f.Figure)
			continue
		}
		if told := shipped.Figures[at]; f.KS[1] > told.KS[1]+beyondKS || f.KS[0] < told.KS[0]-beyondKS || f.Ratio[1] > told.Ratio[1]*beyondRatio || f.Ratio[0] < told.Ratio[0]/beyondRatio {
			t.Errorf("%s: seed 0 is %+v, and reports tell %+v: run make agreement", f.Figure, f, told)
		}
	}
	for _, f := range shipped.Figures {
		if want := apart[f.Figure]; f.KS[1] > want.ks || f.Ratio[0] < 1/want.factor || f.Ratio[1] > want.factor {
			t.Errorf("%s: what reports tell is beyond the bounds: %+v", f.Figure, f)
		}
	}
	if shipped.Text != now.Text || shipped.Nodes != now.Nodes || len(shipped.Figures) != len(apart) {
		t.Error("what reports tell of world and stack is of another scenario: run make agreement")
	}
}

// same holds two runs to one another, and notes how far they are apart.
func same(t *testing.T, now *report.Agreement, model, real *report.Report) {
	t.Helper()
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
		now.Note(o.Figure, fmt.Sprintf("p%g", 100*want.quantile), o.Distances[1].KS, at/bt)
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

// What is meant for the stack can be played there, and nothing else that is shipped
// has nodes that offer nothing.
func TestShipped(t *testing.T) {
	meant := 0
	for _, name := range scenarios.Names() {
		text, err := scenarios.Text(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Parse(text)
		if err != nil {
			continue
		}
		here := strings.Contains(scenarios.Flags(name), "stack")
		if s.Nodes.Publishers > 0 && !here {
			t.Errorf("%s is meant for a world that refuses it", name)
		}
		if here {
			meant++
			if err := cannot(s); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if meant < 4 {
		t.Errorf("%d are meant for the stack", meant)
	}
}
