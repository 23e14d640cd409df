// SPDX-License-Identifier: Apache-2.0

package play

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"time"

	"croft/sim/market/binomial"
	"croft/sim/market/burst"
	"croft/sim/report"
	"croft/sim/scenario"
)

// Options are of a run.
type Options struct {
	Progress func(report.Progress) // is called now and then; may be nil

	trial func(context.Context, binomial.Config) (*binomial.Result, error) // in the place of binomial.Run, to see that it matters
}

// player is a run under way.
type player struct {
	ctx     context.Context
	scn     *scenario.Scenario
	opt     Options
	rec     *report.Recorder
	hash    hash.Hash
	lines   uint64
	whole   time.Duration // of virtual time, and what of it is over
	virtual time.Duration
	facts   uint64 // that ledgers made durable
	proofs  int
	laws    []*binomial.Result
}

// Run plays all trials, or those until ctx is done: then what there is comes back,
// marked as partial. The error is report.ErrCannot, or of what should not be.
func Run(ctx context.Context, s *scenario.Scenario, opt Options) (*report.Report, error) {
	if !s.Market() {
		return nil, fmt.Errorf("a scenario with nodes: %w: want trials", report.ErrCannot)
	}
	if err := cannot(s); err != nil {
		return nil, err
	}
	if opt.trial == nil {
		opt.trial = binomial.Run
	}
	began := time.Now() // of the report alone
	p := &player{ctx: ctx, scn: s, opt: opt, rec: report.NewRecorder("market", s), hash: sha256.New()}
	p.rec.Safety = &report.Safety{Breaches: []report.Breach{}}
	for _, t := range s.Trials {
		p.whole += size(t.Do)
	}
	var err error
	for i, t := range s.Trials {
		switch do := t.Do.(type) {
		case *scenario.Tickets:
			err = p.tickets(do)
		case *scenario.Agents:
			err = p.agents(do)
		case *scenario.Burst:
			err = p.burst(do)
		}
		if err != nil {
			err = fmt.Errorf("trial %d, %s: %w", i+1, t, err)
			break
		}
	}
	partial := ctx.Err() != nil && errors.Is(err, ctx.Err())
	if err != nil && !partial {
		return nil, err
	}
	p.law()
	p.rec.Set("proofs", "", "count", float64(p.proofs))
	r := p.rec.Report(max(p.virtual, time.Second), partial, hex.EncodeToString(p.hash.Sum(nil)))
	r.Wall, r.Events, r.Lines, r.Foot = time.Since(began), p.facts, p.lines, foot(s)
	return r, nil
}

// cannot returns what is expected that trials do not measure, as ErrCannot.
func cannot(s *scenario.Scenario) error {
	for _, e := range s.Expects {
		switch e.Figure {
		case "safety", "law", "utilisation", "served", "refusals", "proofs":
		default:
			return fmt.Errorf("line %d: expect %s: %w: trials have no network", e.Line, e.Figure, report.ErrCannot)
		}
	}
	return nil
}

// note adds a line to the history.
func (p *player) note(format string, args ...any) {
	p.lines++
	fmt.Fprintf(p.hash, format+"\n", args...)
}

// step tells that one more run is done.
func (p *player) step(virtual time.Duration) {
	p.virtual += virtual
	p.rec.Safety.Checks++
	if p.opt.Progress != nil {
		p.opt.Progress(report.Progress{Now: p.virtual, End: p.whole})
	}
}

// size is how much virtual time a trial plays.
func size(d scenario.Deal) time.Duration {
	switch d := d.(type) {
	case *scenario.Tickets:
		return time.Duration(len(d.Degree)) * (&binomial.Result{Config: binomial.Config{Trials: d.Trials}}).Virtual()
	case *scenario.Agents:
		return time.Duration(len(d.Degree)*len(d.Dead)*len(d.Term)*d.Runs) * length
	case *scenario.Burst:
		return time.Duration(2+len(d.Degree)) * (time.Duration(d.Days)*24*time.Hour + burst.After)
	}
	return 0
}

// breach notes what no ledger may do.
func (p *player) breach(format string, args ...any) {
	p.rec.Breach(report.Breach{At: p.virtual, Text: fmt.Sprintf(format, args...)})
}

// cell is a value of a case, as a figure that can be expected and for a table.
func (p *player) cell(figure, name, stat string, v float64) *float64 {
	p.rec.Set(figure, name, stat, v)
	return report.Cell(v)
}

func foot(s *scenario.Scenario) report.Foot {
	f := report.Foot{
		Real:  []string{"lease.Ledger", "purse.Purse", "every statement, signed and verified"},
		Omits: []string{"the network: whatever is sent is there at once", "disks and crashes", "slivers"},
	}
	said := map[string]bool{}
	for _, t := range s.Trials {
		word, _, _ := strings.Cut(t.String(), " ")
		if said[word] {
			continue
		}
		said[word] = true
		switch do := t.Do.(type) {
		case *scenario.Agents:
			f.Real = append(f.Real, "agent.Agent")
			f.Models = append(f.Models, report.Model{What: "users of agents", How: "wishes at random, for 2 to 6 minutes, to the own agent and then to the others; four nodes are tried"})
		case *scenario.Burst:
			f.Models = append(f.Models, report.Model{What: "a deadline", How: fmt.Sprintf("one node; demand doubles every 36 h to %d %% of the units, and is 25 %% before and after; "+
				"who wants something wants it for 1 to 5 h, planned up to %s ahead, and comes with probability %g; nobody asks twice", do.Peak, report.Span(do.Ahead), do.Come)})
		}
	}
	return f
}
