// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"croft/lease"
	"croft/node"
	"croft/sandbox"
)

const (
	maxQueue = 1024 // inputs that wait for the core
	maxBatch = 64   // inputs whose facts share one fsync

	// maxRebuilds bounds how often in a row the core is built anew before the
	// daemon gives up: the disk is gone.
	maxRebuilds = 5
	rebuildWait = time.Second

	// minSnapshot is the number of records below which a journal is not worth
	// shortening at the start.
	minSnapshot = 1024

	// fullWait is how long nothing is granted after a disk was full.
	fullWait = 10 * time.Second
)

// run is the one goroutine that owns the core: it takes inputs, makes the facts
// of their effects durable, and only then performs the rest.
func (d *Daemon) run(ctx context.Context) error {
	if err := d.step([]node.Input{node.Recover{}}); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(d.untilWake())
		var inputs []node.Input
		select {
		case <-ctx.Done():
			return nil
		case in := <-d.inputs:
			inputs = d.collect(in)
		case <-timer.C:
			inputs = []node.Input{node.Tick{}}
		}
		if err := d.step(append(d.watchClock(), inputs...)); err != nil {
			if err := d.rebuild(ctx, err); err != nil {
				return err
			}
		}
	}
}

// collect takes what else waits, up to one batch.
func (d *Daemon) collect(first node.Input) []node.Input {
	inputs := []node.Input{first}
	for len(inputs) < maxBatch {
		select {
		case in := <-d.inputs:
			inputs = append(inputs, in)
		default:
			return inputs
		}
	}
	return inputs
}

// step applies inputs, and performs their effects once the facts are durable.
func (d *Daemon) step(inputs []node.Input) error {
	var effects []node.Effect
	var queries []query
	var facts, closing [][]byte
	for _, in := range inputs {
		if q, ok := in.(query); ok {
			queries = append(queries, q)
			continue
		}
		d.deps.Log.Debug("input", "in", in)
		for _, e := range d.core.Step(d.time.now(), in) {
			effects = append(effects, e)
			if record, ok := node.Record(e); ok {
				facts = append(facts, record)
				if node.Ends(e) {
					closing = append(closing, record)
				}
			}
		}
	}
	if err := d.append(facts, len(facts) == len(closing)); err != nil {
		return err
	}
	d.perform(effects)
	for _, q := range queries { // who looks sees only what is durable
		q()
	}
	return nil
}

// append makes records durable. Those that only end what was granted may use
// the room that was set aside for it.
func (d *Daemon) append(records [][]byte, closing bool) error {
	switch {
	case len(records) == 0:
		return nil
	case closing:
		return d.journal.AppendClosing(records...)
	default:
		return d.journal.Append(records...)
	}
}

// perform carries effects out in order. None of it waits: what takes time runs
// beside the loop and comes back as an input.
func (d *Daemon) perform(effects []node.Effect) {
	for _, e := range effects {
		d.deps.Log.Debug("effect", "out", e)
		switch e := e.(type) {
		case lease.Answer:
			d.answers.give(e)
		case lease.Changed:
			d.offers.poke()
		case sandbox.Changed:
			d.status.changed(e)
		case sandbox.Launch, sandbox.Adjust, sandbox.Teardown:
			d.slivers.enqueue(e)
		}
	}
}

func (d *Daemon) untilWake() time.Duration {
	wake, ok := d.core.NextWake()
	if !ok {
		return time.Hour
	}
	return max(wake.Sub(d.time.now()), 0)
}

// submit hands an input to the core; it waits while the queue is full.
func (d *Daemon) submit(ctx context.Context, in node.Input) error {
	select {
	case d.inputs <- in:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-d.done:
		return errStopping
	}
}

// rebuild follows a journal that failed: what was decided since the last durable
// record was never told to anybody, so the core is built anew from the disk.
func (d *Daemon) rebuild(ctx context.Context, cause error) error {
	d.deps.Log.Error("journal failed; building the core anew", "err", cause)
	d.answers.failAll(fmt.Errorf("%w: the journal failed: %w", errJournal, cause))
	if err := d.journal.Close(); err != nil {
		d.deps.Log.Warn("closing the failed journal", "err", err)
	}
	for try := 1; ; try++ {
		err := d.load()
		if err == nil {
			break
		}
		if try == maxRebuilds {
			return fmt.Errorf("opening the journal again (%d tries): %w", try, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rebuildWait):
		}
	}
	d.bar = lease.ReasonNone
	if isFull(cause) {
		d.full = d.time.now().Add(fullWait)
	}
	return d.step(append(d.watchClock(), node.Recover{}))
}

// load opens the journal and builds the core from it.
func (d *Daemon) load() error {
	journal, records, err := d.deps.OpenJournal()
	if err != nil {
		return fmt.Errorf("opening the journal: %w", err)
	}
	core := node.NewCore(d.coreConfig())
	for i, r := range records {
		if err := core.Restore(r); err != nil {
			return errors.Join(fmt.Errorf("record %d of %d: %w", i+1, len(records), err), journal.Close())
		}
	}
	d.journal, d.core = journal, core
	if now := core.Records(); len(records) > minSnapshot && len(records) > 2*len(now) {
		if err := journal.Snapshot(now); err != nil {
			return errors.Join(fmt.Errorf("shortening the journal: %w", err), journal.Close())
		}
	}
	return nil
}
