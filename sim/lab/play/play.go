// SPDX-License-Identifier: Apache-2.0

package play

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"croft/sim/lab"
	"croft/sim/report"
	"croft/sim/scenario"
)

// Options are of a run.
type Options struct {
	// Lab says which binary is played with, and how keys and certificates are made
	// and what is left is destroyed; sites and nodes are the scenario's. Dir may be
	// empty: then it is a temporary one.
	Lab      lab.Config
	Progress func(report.Progress) // is called now and then; may be nil
}

// game is a run.
type game struct {
	scn   *scenario.Scenario
	lab   *lab.Lab
	croft string // the binary
	homes string // directory of the researchers'
	nodes []*player
	began time.Time
	tasks sync.WaitGroup

	mu      sync.Mutex // of all below, and of what players share
	rec     *report.Recorder
	rng     *rand.Rand
	figures figures
	news    map[publication]*news
	slices  []*slice
	cuts    int      // that were made so far
	notes   []string // for the report's foot
	err     error
}

func (g *game) note(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.notes = append(g.notes, fmt.Sprintf(format, args...))
}

// Run plays a scenario to its end, or until ctx is done: then what there is comes
// back, marked as partial. The error is [report.ErrCannot], or of what should not
// be.
func Run(ctx context.Context, s *scenario.Scenario, opt Options) (r *report.Report, err error) {
	if err := cannot(s); err != nil {
		return nil, err
	}
	c, err := layout(s, opt.Lab)
	if err != nil {
		return nil, err
	}
	base, err := os.MkdirTemp("", "croft-lab")
	if err != nil {
		return nil, fmt.Errorf("making a place for the lab: %w", err)
	}
	defer os.RemoveAll(base)
	if c.Dir == "" {
		c.Dir = filepath.Join(base, "lab")
	}
	start := time.Now()
	l, err := lab.Up(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), downLimit)
		defer cancel()
		if down := lab.Down(late, c.Dir, lab.DownOptions{Destroy: c.Destroy}); down != nil {
			err = errors.Join(err, down)
		}
	}()
	g := &game{scn: s, lab: l, croft: c.Croft, homes: base, rec: report.NewRecorder("lab", s),
		rng: rand.New(rand.NewPCG(s.Seed, 0x6c6162)), news: map[publication]*news{}}
	g.figures = newFigures(g.rec)
	if err := g.meet(ctx); err != nil {
		return nil, err
	}
	partial := g.play(ctx, opt.Progress)
	r, err = g.close(ctx, partial)
	if r != nil {
		r.Wall = time.Since(start)
	}
	return r, err
}

// now is the time of the run.
func (g *game) now() time.Duration { return time.Since(g.began) }

// event is something that happens at an instant.
type event struct {
	at time.Duration
	do func(ctx context.Context) error
}

// play lets everything happen at its time.
func (g *game) play(ctx context.Context, progress func(report.Progress)) (partial bool) {
	var events []event
	for _, step := range g.scn.Steps { // before the joins of the same instant
		events = append(events, event{step.At, func(ctx context.Context) error { return g.act(ctx, step) }})
	}
	for i, at := range joins(g.scn) {
		if i > 0 { // the first is there
			events = append(events, event{at, g.nodes[i].start})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })

	work, cancel := context.WithCancel(ctx)
	defer g.tasks.Wait()
	defer cancel()
	g.began = time.Now()
	g.nodes[0].rose(0)
	g.look(work)
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for {
		now := g.now()
		for len(events) > 0 && events[0].at <= now {
			g.task(work, events[0].do)
			events = events[1:]
		}
		if now >= g.scn.End || g.failed() {
			return false
		}
		next := g.scn.End
		if len(events) > 0 {
			next = min(next, events[0].at)
		}
		timer := time.NewTimer(next - now)
		select {
		case <-ctx.Done():
			timer.Stop()
			return true
		case <-timer.C:
		case <-tick.C:
			timer.Stop()
			g.count(work)
			if progress != nil {
				progress(report.Progress{Now: g.now(), End: g.scn.End, Up: g.up()})
			}
		}
	}
}

// task has something happen beside everything else; an error ends the run.
func (g *game) task(ctx context.Context, do func(context.Context) error) {
	g.tasks.Go(func() {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			g.mu.Lock()
			g.err = errors.Join(g.err, err)
			g.mu.Unlock()
		}
	})
}

// after has something happen later, if the run still lasts then.
func (g *game) after(ctx context.Context, d time.Duration, do func(context.Context) error) {
	g.task(ctx, func(ctx context.Context) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			return do(ctx)
		}
	})
}

func (g *game) failed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err != nil
}

// act does one step of the scenario.
func (g *game) act(ctx context.Context, step scenario.Step) error {
	err := g.do(ctx, step)
	if err != nil {
		return fmt.Errorf("line %d: %s: %w", step.Line, step.Name(), err)
	}
	return nil
}

func (g *game) do(ctx context.Context, step scenario.Step) error {
	switch do := step.Do.(type) {
	case *scenario.Slice:
		return g.begin(ctx, do)
	case *scenario.Renew:
		return g.renew(ctx, do)
	case *scenario.Stop:
		return g.stop(ctx, do)
	case *scenario.Find:
		return g.find(ctx, do)
	case *scenario.Publish:
		return g.publish(ctx, do)
	case *scenario.Change:
		return g.each(do.Who, func(p *player) error { return p.change(ctx) })
	case *scenario.Leave:
		return g.each(do.Who, func(p *player) error { return p.leave(ctx) })
	case *scenario.Kill:
		return g.each(do.Who, func(p *player) error {
			if do.For > 0 {
				g.after(ctx, do.For, p.start)
			}
			return p.kill(ctx)
		})
	case *scenario.Restart:
		return g.each(do.Who, func(p *player) error {
			g.after(ctx, do.After, p.start)
			return p.kill(ctx)
		})
	case *scenario.Loss:
		return g.strike(ctx, do.Who, do.For, func(in []*player) string { return lossy(g.nodes, in, do.Rate, do.Everybody()) })
	case *scenario.Partition:
		return g.strike(ctx, do.Who, do.For, func(in []*player) string { return parted(g.nodes, in) })
	case *scenario.BlackHole:
		return g.strike(ctx, do.Who, do.For, func([]*player) string { return hole })
	}
	return report.ErrCannot // told by cannot before it comes to this
}

// each does something to some nodes that are up, all at once.
func (g *game) each(who scenario.Who, do func(*player) error) error {
	var all sync.WaitGroup
	chosen := g.choose(who)
	errs := make([]error, len(chosen))
	for i, p := range chosen {
		all.Go(func() { errs[i] = do(p) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// choose draws among the nodes that are up. The way in of a researcher is drawn last:
// elsewhere he sits at a machine that no fault strikes, and here he has none of his
// own.
func (g *game) choose(who scenario.Who) (chosen []*player) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.nodes {
		if p.isUp && who.May(p.index, p.region) {
			chosen = append(chosen, p)
		}
	}
	want := who.Of(len(chosen))
	g.rng.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	slices.SortStableFunc(chosen, func(a, b *player) int { return cmp.Compare(g.ways(a), g.ways(b)) })
	return chosen[:want]
}
