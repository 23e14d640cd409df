// SPDX-License-Identifier: Apache-2.0

package burst

import (
	"context"
	"fmt"
	"time"

	"croft/lease"
)

// Mechanism is how the node's units are given.
type Mechanism string

const (
	Shares   Mechanism = "shares"   // of what is idle, in equal parts to whoever is there
	Calendar Mechanism = "calendar" // reserved ahead; who does not come in five minutes has lost it
	Sharp    Mechanism = "sharp"    // tickets sold ahead, at a degree
)

// Config says what is played.
type Config struct {
	Units     int
	Days      int           // until the deadline; another one follows it
	Peak      int           // demand at the deadline, per cent of the units
	Come      float64       // probability that who planned comes
	Ahead     time.Duration // that is planned at most, evenly spread
	Mechanism Mechanism
	Degree    int // of sharp, hundredths
	Seed      uint64
}

// Case names the configuration among those of one demand.
func (c Config) Case() string {
	if c.Mechanism == Sharp {
		return fmt.Sprintf("sharp-%d", c.Degree)
	}
	return string(c.Mechanism)
}

// Slot is what came of a while. What somebody wanted counts in the slot in which it
// was to begin, what was in use in the one in which it was.
type Slot struct {
	Used   float64 // share of the units that was in use
	Wanted float64 // of those who came, as a share of the units
	Came   int
	Served int // of those, who got a lease
}

// Result is what came of all.
type Result struct {
	Config
	Slots   []Slot // one after another, of [Every] each
	Planned int
	Whole   Slot
	Refused map[string]int // of those who would have come, by why
	Most    float64        // units in use at one instant
	Proofs  int
	Facts   uint64
}

// run is a run under way.
type run struct {
	cfg    Config
	node   *node
	agent  *agent // of sharp
	now    time.Duration
	meter  meter
	result Result
}

// Run plays. The error is ErrConfig, ErrLedger, or ctx's.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	if cfg.Units < 1 || cfg.Days < 1 || cfg.Peak < 1 || !(cfg.Come > 0 && cfg.Come <= 1) || cfg.Ahead < 0 || cfg.Ahead > cfg.deadline() ||
		float64(cfg.Units*cfg.Peak)/100*float64(cfg.Days+1)*24/mean.Hours()/cfg.Come > maxWishes {
		return nil, fmt.Errorf("%d units for %d days to %d per cent: %w", cfg.Units, cfg.Days, cfg.Peak, ErrConfig)
	}
	r := &run{cfg: cfg, result: Result{Config: cfg, Refused: map[string]int{}}}
	r.node = newNode(r)
	r.meter = newMeter(cfg.deadline() + After)
	if cfg.Mechanism == Sharp {
		var err error
		if r.agent, err = newAgent(r); err != nil {
			return nil, err
		}
	}
	wishes := cfg.wishes()
	coming := agenda{}
	for len(wishes) > 0 || len(coming) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var err error
		if len(coming) == 0 || len(wishes) > 0 && wishes[0].planned <= coming[0].from {
			w := wishes[0]
			wishes = wishes[1:]
			r.node.until(w.planned)
			r.result.Planned++
			err = r.plan(w)
			coming.put(w)
		} else {
			w := coming.next()
			r.node.until(w.from)
			err = r.come(w)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, at %s: %w", cfg.Case(), r.now, err)
		}
	}
	r.node.until(cfg.deadline() + After)
	r.finish()
	return &r.result, nil
}

// plan is when somebody thinks of it.
func (r *run) plan(w *wish) error {
	switch r.cfg.Mechanism {
	case Calendar:
		return r.node.reserve(w)
	case Sharp:
		return r.agent.sell(w)
	}
	return nil
}

// come is when it is to begin, and somebody is there, or not.
func (r *run) come(w *wish) error {
	if !w.comes {
		return nil
	}
	if w.refused == "" {
		var err error
		switch r.cfg.Mechanism {
		case Shares:
			err = r.node.share(w)
		case Calendar:
			err = r.node.arrive(w)
		case Sharp:
			err = r.agent.redeem(w)
		}
		if err != nil {
			return err
		}
	}
	if w.refused != "" {
		r.result.Refused[w.refused]++
	}
	r.meter.came(w)
	return nil
}

func (r *run) finish() {
	r.result.Slots, r.result.Whole, r.result.Most = r.meter.slots(r.cfg.Units)
	r.result.Proofs = len(r.node.ledger.Proofs())
}

// refuse notes why there is nothing.
func (w *wish) refuse(no *lease.Refusal) { w.refused = no.Code() }
