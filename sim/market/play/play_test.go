// SPDX-License-Identifier: Apache-2.0

package play

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/sim/market/binomial"
	"croft/sim/report"
	"croft/sim/scenario"
	"croft/sim/scenarios"
)

func played(t *testing.T, text string, opt Options) *report.Report {
	t.Helper()
	s, err := scenario.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), s, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const sold = "tickets units=10 redeem=0.7 degree=110,150 trials=120\nexpect law sigma <= 3\nexpect utilisation units10-redeem70-degree150 share >= 90%\nexpect safety"

func TestTickets(t *testing.T) {
	var last report.Progress
	r := played(t, sold, Options{Progress: func(p report.Progress) { last = p }})
	if !r.OK() || len(r.Expects) != 3 || r.World != "market" || len(r.Tables) != 1 || len(r.Tables[0].Rows) != 2 || len(r.Curves) != 2 {
		t.Errorf("%+v", r)
	}
	if last.Now != last.End || last.End != r.Virtual {
		t.Errorf("it ends at %+v of %s", last, r.Virtual)
	}
	for _, c := range r.Curves {
		law, dots := c.Lines[0], c.Lines[1]
		if !law.Law || !dots.Dots || len(dots.Points) != 2 || len(dots.Spread) != 2 || len(law.Points) < 5 || law.Points[len(law.Points)-1].X != 1.5 {
			t.Errorf("%s: %+v", c.Title, c.Lines)
		}
	}
	if again := played(t, sold, Options{}); again.History != r.History {
		t.Error("the same scenario has another history")
	}
	if other := played(t, "seed 2\n"+sold, Options{}); other.History == r.History {
		t.Error("another seed has the same history")
	}
}

// generous is a ledger that gives away a unit more than it is told.
type generous struct{ *lease.Ledger }

func (g generous) Step(now time.Time, in lease.Input) []lease.Effect {
	if issue, ok := in.(lease.Issue); ok {
		issue.RSet[lease.CPU]++
		in = issue
	}
	return g.Ledger.Step(now, in)
}

// What is expected fails with a ledger that is wrong.
func TestAMutantLedgerFails(t *testing.T) {
	r := played(t, sold, Options{trial: func(ctx context.Context, cfg binomial.Config) (*binomial.Result, error) {
		cfg.Ledger = func(lc lease.LedgerConfig) binomial.Ledger {
			lc.Pools[0].Capacity[lease.CPU]++
			return generous{lease.NewLedger(lc)}
		}
		return binomial.Run(ctx, cfg)
	}})
	if r.OK() || r.Expects[0].OK || len(r.Safety.Breaches) == 0 {
		t.Errorf("%+v, %+v", r.Expects, r.Safety)
	}
}

func TestAgentsAndBurst(t *testing.T) {
	r := played(t, "agents sites=3 dead=0,1 degree=100,200 runs=1 term=1h\nburst units=6 days=2 degree=100,200\n"+
		"expect utilisation dead1-degree200 share >= 70%\nexpect utilisation dead1-degree100 share <= 70%\nexpect refusals shares count = 0\nexpect served sharp-200 share >= 20%\nexpect safety", Options{})
	if !r.OK() || len(r.Tables) != 2 || len(r.Tables[0].Rows) != 4 || len(r.Tables[1].Rows) != 4 || len(r.Curves) != 4 {
		t.Errorf("%+v\n%+v", r.Expects, r.Tables)
	}
	for _, c := range r.Curves[1:] {
		for _, l := range c.Lines {
			if len(l.Points) < 8 {
				t.Errorf("%s, %s: %d points", c.Title, l.Name, len(l.Points))
			}
		}
	}
	terms := played(t, "agents dead=1 degree=100 runs=2 term=10m,40m", Options{})
	if len(terms.Curves) != 1 || !strings.Contains(terms.Curves[0].Title, "term") || terms.Tables[0].Rows[0].Values[2] != nil || terms.Tables[0].Rows[1].Values[2] == nil {
		t.Errorf("%+v\n%+v", terms.Curves, terms.Tables)
	}
}

// An interruption leaves what there was until then.
func TestInterrupted(t *testing.T) {
	s, err := scenario.Parse(sold + "\nburst units=100 days=30")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Run(ctx, s, Options{Progress: func(report.Progress) { cancel() }})
	if err != nil || !r.Partial || len(r.Expects) > 0 || len(r.Tables) != 1 {
		t.Errorf("%v: %+v", err, r)
	}
}

func TestCannot(t *testing.T) {
	for _, text := range []string{"nodes 3", sold + "\nexpect delivery p99 <= 2s"} {
		s, err := scenario.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Run(t.Context(), s, Options{}); !errors.Is(err, report.ErrCannot) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The shipped scenarios of trials can be played, and say what they are about.
func TestShipped(t *testing.T) {
	played := 0
	for _, name := range scenarios.Names() {
		text, err := scenarios.Text(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Parse(text)
		if err != nil || !s.Market() {
			continue // of those with nodes the world sees to it
		}
		played++
		if err := cannot(s); err != nil || scenarios.About(text) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if played < 3 {
		t.Errorf("%d are shipped", played)
	}
}
