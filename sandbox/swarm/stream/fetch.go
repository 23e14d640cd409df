// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"croft/lease"
	"croft/sandbox"
	"croft/sandbox/image"
	"croft/sandbox/swarm"
)

// Want is a blob that is to be fetched.
type Want struct {
	Digest lease.Digest
	Size   int64
	Sums   swarm.Sums // of who wants the blob; nil: those of a holder
	Named  []lease.Principal

	// More tells of others that may have it, in any number of turns; nil: none. Its
	// context ends with the fetch.
	More func(ctx context.Context, tell func([]lease.Principal))
}

// fetching is one fetch under way.
type fetching struct {
	x      *Exchange
	want   Want
	f      *swarm.Fetch
	inputs chan posted
	sums   swarm.Sums // that pieces are judged by
	wait   sync.WaitGroup
	lines  map[lease.Principal]*line
	fail   error // of this node's own, which ends it
	over   bool
	why    string // of Stuck
}

// line is what is under way with one node; what comes of an earlier one is void.
type line struct {
	ctx  context.Context
	stop context.CancelFunc
}

// posted is an input, with the line that it came on.
type posted struct {
	in   swarm.Input
	node lease.Principal
	line *line
	err  error // of this node's own
}

// Fetch gets a blob, and returns when it is there. It goes on where an earlier one
// stopped. While a blob is fetched, another fetch of it is [swarm.ErrBusy].
func (x *Exchange) Fetch(ctx context.Context, w Want, progress func(have, of, from int)) error {
	x.mu.Lock()
	if x.ctx.Err() != nil || x.fetches[w.Digest] || len(x.fetches) >= MaxFetches {
		x.mu.Unlock()
		return fmt.Errorf("fetching %s: %w", w.Digest, swarm.ErrBusy)
	}
	x.fetches[w.Digest] = true
	x.wait.Add(1)
	x.mu.Unlock()
	defer func() {
		x.mu.Lock()
		delete(x.fetches, w.Digest)
		x.mu.Unlock()
		x.wait.Done()
	}()
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(x.ctx, cancel)
	defer stop()
	f := &fetching{x: x, want: w, inputs: make(chan posted, swarm.MaxPulls), lines: map[lease.Principal]*line{}}
	f.sums = w.Sums
	f.f = swarm.New(swarm.Config{Self: x.cfg.Self, Digest: w.Digest, Size: w.Size, Sums: w.Sums,
		Seed: binary.BigEndian.Uint64(x.cfg.Self[:]) ^ binary.BigEndian.Uint64(w.Digest[:])})
	err := f.run(ctx, progress)
	cancel()
	f.wait.Wait()
	if err != nil {
		return fmt.Errorf("fetching %s: %w", w.Digest, err)
	}
	return nil
}

func (f *fetching) run(ctx context.Context, progress func(have, of, from int)) error {
	if f.want.Sums != nil {
		have, err := f.x.cfg.Store.Adopt(ctx, f.want.Digest, f.want.Size, f.want.Sums)
		if err != nil {
			return err
		}
		f.step(ctx, swarm.Kept{Pieces: have})
	}
	f.step(ctx, swarm.Named{Nodes: f.want.Named})
	if f.want.More != nil {
		f.wait.Go(func() {
			f.want.More(ctx, func(nodes []lease.Principal) { f.post(ctx, posted{in: swarm.Named{Nodes: nodes}}) })
		})
	}
	if f.want.Sums != nil { // else what the store judged by may be another's word already
		f.wait.Go(func() { f.watch(ctx) })
	}
	wake := time.NewTimer(time.Hour)
	defer wake.Stop()
	for !f.over && f.fail == nil {
		progress(f.f.Progress())
		if at, ok := f.f.NextWake(); ok {
			wake.Reset(max(0, time.Until(at)))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-wake.C:
			f.step(ctx, swarm.Tick{})
		case p := <-f.inputs:
			switch {
			case p.err != nil:
				f.fail = p.err
			case p.line == nil || f.lines[p.node] == p.line:
				f.step(ctx, p.in)
			}
		}
	}
	progress(f.f.Progress())
	if f.fail == nil && f.why != "" {
		return fmt.Errorf("%w: %s", swarm.ErrStuck, f.why)
	}
	return f.fail
}

// step applies an input and performs what comes of it.
func (f *fetching) step(ctx context.Context, in swarm.Input) {
	for inputs := []swarm.Input{in}; len(inputs) > 0 && f.fail == nil; inputs = inputs[1:] {
		for _, e := range f.f.Step(time.Now(), inputs[0]) {
			if more := f.perform(ctx, e); more != nil {
				inputs = append(inputs, more)
			}
		}
	}
}

func (f *fetching) perform(ctx context.Context, e swarm.Effect) swarm.Input {
	switch e := e.(type) {
	case swarm.Ask:
		f.ask(ctx, e)
	case swarm.AskForSums:
		f.askForSums(ctx, e)
	case swarm.Pull:
		f.pull(ctx, e)
	case swarm.Leave:
		if l := f.lines[e.Node]; l != nil {
			l.stop()
			delete(f.lines, e.Node)
		}
		if e.Why != "over" {
			f.x.count(func(c *Counts) { c.Failed[e.Why]++ })
			level := slog.LevelDebug
			if slices.Contains(f.f.Liars(), e.Node) {
				level = slog.LevelWarn
			}
			f.x.cfg.Log.Log(ctx, level, "a node is not asked for an image any more", "image", f.want.Digest, "node", e.Node, "why", e.Why)
		}
	case swarm.Adopt:
		have, err := f.x.cfg.Store.Adopt(ctx, f.want.Digest, f.want.Size, e.Sums)
		if f.sums, f.fail = e.Sums, err; err == nil {
			return swarm.Kept{Pieces: have}
		}
	case swarm.Whole:
		err := f.x.cfg.Store.Finish(ctx, f.want.Digest)
		if errors.Is(err, image.ErrDigest) {
			return swarm.Refuted{}
		}
		f.fail, f.over = err, true
	case swarm.Stuck:
		f.over, f.why = true, e.Why
	}
	return nil
}

// line is the one to a node, made if there is none.
func (f *fetching) line(ctx context.Context, node lease.Principal) *line {
	l := f.lines[node]
	if l == nil {
		l = new(line)
		l.ctx, l.stop = context.WithCancel(ctx)
		f.lines[node] = l
	}
	return l
}

// post brings an input to the loop, or gives up with ctx.
func (f *fetching) post(ctx context.Context, p posted) {
	select {
	case f.inputs <- p:
	case <-ctx.Done():
	}
}

// put asks a node something beside the loop.
func (f *fetching) put(ctx context.Context, node lease.Principal, q swarm.Question, limit int, within time.Duration, then func([]byte) (swarm.Input, error)) {
	l := f.line(ctx, node)
	f.wait.Go(func() {
		limited, cancel := context.WithTimeout(l.ctx, within)
		defer cancel()
		p := posted{node: node, line: l}
		body, err := f.x.ask(limited, node, q, limit, func() {
			if q.Kind == swarm.AskPiece {
				f.post(limited, posted{in: swarm.Moved{Node: node, Piece: int(q.Arg)}, node: node, line: l})
			}
		})
		if err == nil {
			p.in, err = then(body)
		}
		var own *ownFault
		switch {
		case errors.As(err, &own):
			p.err = own.error
		case q.Kind == swarm.AskPiece && (errors.Is(err, swarm.ErrBusy) || errors.Is(err, swarm.ErrUnknown)):
			p.in = swarm.Denied{Node: node, Piece: int(q.Arg), Why: reason(err)}
			f.x.count(func(c *Counts) { c.Denied++ })
		case err != nil:
			p.in = swarm.Failed{Node: node, Why: reason(errors.Join(err, limited.Err()))}
		}
		f.post(ctx, p)
	})
}

// ownFault is an error of this node, which asking others does not mend.
type ownFault struct{ error }

func (f *fetching) ask(ctx context.Context, e swarm.Ask) {
	q := swarm.Question{Kind: swarm.AskHolding, Digest: f.want.Digest, Arg: uint32(e.Known)}
	f.put(ctx, e.Node, q, swarm.MaxHolding, swarm.AnswerWithin+swarm.WaitWithin, func(b []byte) (swarm.Input, error) {
		h, err := swarm.ParseHolding(b, f.want.Size)
		return swarm.Told{Node: e.Node, Holding: h}, err
	})
}

func (f *fetching) askForSums(ctx context.Context, e swarm.AskForSums) {
	q := swarm.Question{Kind: swarm.AskSums, Digest: f.want.Digest}
	f.put(ctx, e.Node, q, swarm.MaxPieces*32, swarm.PullWithin, func(b []byte) (swarm.Input, error) {
		if err := swarm.Sums(b).Check(f.want.Size); err != nil {
			return nil, fmt.Errorf("%w: %w", swarm.ErrMessage, err)
		}
		return swarm.Summed{Node: e.Node, Sums: b}, nil
	})
}

func (f *fetching) pull(ctx context.Context, e swarm.Pull) {
	q := swarm.Question{Kind: swarm.AskPiece, Digest: f.want.Digest, Arg: uint32(e.Piece)}
	_, length := swarm.Span(f.want.Size, e.Piece)
	sums := f.sums
	f.put(ctx, e.Node, q, int(length), swarm.PieceWithin(length), func(b []byte) (swarm.Input, error) {
		f.x.count(func(c *Counts) { c.Received += uint64(len(b)) })
		err := f.x.cfg.Store.Put(f.want.Digest, e.Piece, b)
		if errors.Is(err, swarm.ErrSums) { // bytes that anybody sent had them dropped
			if _, err = f.x.cfg.Store.Adopt(ctx, f.want.Digest, f.want.Size, sums); err == nil {
				err = f.x.cfg.Store.Put(f.want.Digest, e.Piece, b)
			}
		}
		switch {
		case errors.Is(err, swarm.ErrPiece):
			return swarm.Lied(e), nil
		case errors.Is(err, sandbox.ErrBusy): // what is there is being read: it comes again
			return swarm.Denied{Node: e.Node, Piece: e.Piece, Why: "not taken"}, nil
		case err != nil:
			return nil, &ownFault{err}
		}
		return swarm.Got(e), nil
	})
}

// watch tells of pieces that came another way.
func (f *fetching) watch(ctx context.Context) {
	for {
		changed := f.x.cfg.Store.Changed(f.want.Digest)
		if h, ok := f.x.cfg.Store.Holding(f.want.Digest); ok {
			if h.Whole {
				h.Pieces = swarm.All(f.want.Size)
			}
			f.post(ctx, posted{in: swarm.Kept{Pieces: h.Pieces}})
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(settle):
		}
	}
}
