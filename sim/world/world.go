// SPDX-License-Identifier: Apache-2.0

package world

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"croft/lease"
	"croft/lease/offer"
	"croft/sim/cost"
	"croft/sim/profile"
	"croft/sim/report"
	"croft/sim/scenario"
)

// Options are of a run and change nothing in its history.
type Options struct {
	Progress func(Progress) // is called now and then; may be nil
	Trace    io.Writer      // gets the history, a line each; may be nil
	Baseline bool           // play servers in the middle beside finds, once the run is over
}

// Progress is how far a run is.
type Progress = report.Progress

// World is one run.
type World struct {
	scn     *scenario.Scenario
	profile *profile.Profile
	rng     *rand.Rand // of everything; one stream, as there is one order
	now     time.Duration
	queue   queue
	order   uint64
	events  uint64
	trace   *trace
	nodes   []*peer
	up      int
	slivers int // that run
	wires   wires
	tables  *tables    // nil: nobody looks anything up
	areas   *areas     // nil: everybody hears everybody
	hostile *hostility // nil: everybody keeps the rules
	refs    uint64     // of inputs to cores

	messages  []*message // that are recognised, oldest first
	aged      []*message // whose offers may still hold
	told      int        // nodes that are up and have told of themselves
	opened    map[*byte]*offer.Opened
	verified  map[*byte]error         // suspicions
	known     map[lease.Principal]int // nodes
	deaths    []*death
	slices    map[string]*run
	inOrder   []*run
	speeches  []*speech // on topics of slices
	forgetful bool      // a broken DHT, to see the checks notice: records of slices are lost
	figures   figures
	use       use
	err       error
}

// Run plays a scenario to its end, or until ctx is done: then what there is comes
// back, marked as partial. The error is ErrCannot, or of what should not be.
func Run(ctx context.Context, s *scenario.Scenario, opt Options) (*report.Report, error) {
	if err := cannot(s); err != nil {
		return nil, err
	}
	w, err := newWorld(s, opt)
	if err != nil {
		return nil, err
	}
	return w.run(ctx, opt)
}

func newWorld(s *scenario.Scenario, opt Options) (*World, error) {
	p, err := profile.New(s.Nodes.Profile, s.Nodes.Count, s.Seed)
	if err != nil {
		return nil, err
	}
	w := &World{scn: s, profile: p, rng: rand.New(rand.NewPCG(s.Seed, 0x776f726c64)), trace: newTrace(opt.Trace),
		opened: map[*byte]*offer.Opened{}, verified: map[*byte]error{}, known: map[lease.Principal]int{}, slices: map[string]*run{}, figures: newFigures(report.NewRecorder("world", s))}
	if playsIndex(s) || speaks(s) {
		w.tables = newTables(s.Seed, s.Nodes.Count)
	}
	if shards(s) {
		w.areas = newAreas(s.Nodes.Count)
	}
	if fights(s) {
		w.hostile = newHostility(s.Seed)
	}
	w.wires.side = make([]uint32, s.Nodes.Count)
	for i := range s.Nodes.Count {
		w.nodes = append(w.nodes, &peer{w: w, index: i})
	}
	for _, step := range s.Steps { // before the joins of the same instant: who begins with a wrong clock
		w.in(step.At, func() { w.act(step) })
	}
	for i, n := range w.nodes {
		w.in(time.Duration(i/s.Join.Wave)*s.Join.Every+time.Duration(w.rng.Int64N(int64(100*time.Millisecond))), n.join)
	}
	return w, nil
}

func (w *World) run(ctx context.Context, opt Options) (*report.Report, error) {
	meter := cost.Begin() // of the report alone
	partial := false
	for len(w.queue) > 0 && w.queue[0].at <= w.scn.End && w.err == nil {
		if w.events%4096 == 0 {
			if ctx.Err() != nil {
				partial = true
				break
			}
			if opt.Progress != nil {
				opt.Progress(Progress{Now: w.now, End: w.scn.End, Events: w.events, Up: w.up})
			}
			if len(w.queue) > maxQueue {
				return nil, fmt.Errorf("at %s: %d events wait: %w", w.now, len(w.queue), ErrCannot)
			}
		}
		e := w.queue.pop()
		w.events++
		w.now = e.at
		if e.do != nil {
			e.do()
		} else {
			w.deliver(e.message, int(e.from), int(e.to))
		}
	}
	if !partial {
		w.now = w.scn.End
	}
	w.sweep()
	if w.err == nil {
		w.err = w.trace.err
	}
	var servers []beside
	spent := meter.Spent()
	if opt.Baseline && !partial && w.err == nil {
		if servers, w.err = w.baseline(ctx); ctx.Err() != nil {
			partial, w.err = true, nil
		}
	}
	w.figures.reportRates(w.figures.Recorder, servers)
	r := w.report(spent, partial)
	if opt.Baseline {
		r.Foot.Notes = append(r.Foot.Notes, cmp.Or(verdict(servers, w.figures.Page.Quantile(.5)/1e9), "it asks the index nothing: there is no server to lay beside it"))
	}
	return r, w.err
}

// open is the memory of offers that were opened: their signatures are checked once
// for all nodes. The bytes of an offer are shared, never copied, so where they are
// says which they are.
func (w *World) open(b []byte) (*offer.Opened, error) {
	if len(b) == 0 {
		return &offer.Opened{}, lease.ErrSyntax
	}
	if o, ok := w.opened[&b[0]]; ok {
		return o, nil
	}
	o, err := offer.Open(b, w.checkSite)
	if err == nil {
		w.opened[&b[0]] = &o
	}
	return &o, err
}

// count notes that a node came up, or went down.
func (w *World) count(by int) {
	w.up += by
	w.figures.up.Set(w.now, float64(w.up))
}

func (w *World) ref() uint64 {
	w.refs++
	return w.refs
}

// wall is the true time.
func (w *World) wall() time.Time { return time.Unix(epoch, 0).Add(w.now).UTC() }
