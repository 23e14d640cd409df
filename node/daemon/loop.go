// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/node"
	"croft/node/journal"
	"croft/sandbox"
)

// run is the one goroutine that owns the core: it takes inputs, makes the facts
// of their effects durable, and only then performs the rest.
func (d *Daemon) run(ctx context.Context) error {
	if err := d.step([]node.Input{node.Recover{}}); err != nil {
		if err := d.rebuild(ctx, err); err != nil {
			return err
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(d.untilWake())
		var inputs []node.Input
		var queries []query
		select {
		case <-ctx.Done():
			return nil
		case in := <-d.inputs:
			inputs, queries = d.collect(in)
		case <-timer.C:
			inputs = []node.Input{node.Tick{}}
		}
		err := d.step(append(d.watch(), inputs...))
		if err == nil {
			err = d.shorten()
		}
		if err != nil {
			if err := d.rebuild(ctx, err); err != nil {
				return err
			}
		}
		for _, q := range queries { // who looks sees only what is durable
			q()
		}
	}
}

// collect takes what else waits, up to one batch.
func (d *Daemon) collect(next node.Input) (inputs []node.Input, queries []query) {
	for range maxBatch {
		if q, ok := next.(query); ok {
			queries = append(queries, q)
		} else {
			inputs = append(inputs, next)
		}
		select {
		case next = <-d.inputs:
		default:
			return inputs, queries
		}
	}
	if q, ok := next.(query); ok {
		return inputs, append(queries, q)
	}
	return append(inputs, next), queries
}

// step applies inputs, and performs their effects once the facts are durable.
// After an error nothing was performed, and the core knows what the disk may
// not: it is of no more use.
func (d *Daemon) step(inputs []node.Input) error {
	var batch []node.Effect
	var facts [][]byte
	closing := true
	for _, in := range inputs {
		d.deps.Log.Debug("input", "in", in)
		for _, e := range d.core.Step(d.time.now(), in) {
			batch = append(batch, e)
			if record, ok := node.Record(e); ok {
				facts = append(facts, record)
				closing = closing && node.Ends(e)
			}
		}
	}
	if err := d.append(facts, closing); err != nil {
		d.answers.drop(batch, err)
		return err
	}
	d.perform(batch)
	return nil
}

// append makes records durable, in frames of a size that the journal takes:
// when many leases end at one instant, one batch is many frames, and the facts
// of any of its beginnings are a history too. Those that grant nothing may use
// the room that was set aside for it.
func (d *Daemon) append(records [][]byte, closing bool) error {
	put := d.journal.Append
	if closing {
		put = d.journal.AppendClosing
	}
	d.records += len(records)
	for len(records) > 0 {
		n, size := 0, 0
		for n < len(records) && (n == 0 || size+len(records[n]) <= maxAppend) {
			size += len(records[n])
			n++
		}
		if err := put(records[:n]...); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

// perform carries effects out in order. None of it waits: what takes time runs
// beside the loop and comes back as an input.
func (d *Daemon) perform(batch []node.Effect) {
	for _, e := range batch {
		d.deps.Log.Debug("effect", "out", e)
		switch e := e.(type) {
		case lease.Fact:
			d.notices.of(e)
			d.turns.turn()
			if e.K == lease.FactGone {
				d.forget(e.Claim)
			}
		case lease.Answer:
			d.answers.give(e.Ref, outcome{answer: e})
		case lease.Proved:
			d.proofs.poke()
		case lease.Changed:
			d.offers.poke()
		case sandbox.Changed:
			d.status.changed(e)
		case sandbox.Launch:
			d.slivers.enqueue(e.Sliver, e)
		case sandbox.Adjust:
			d.slivers.enqueue(e.Sliver, e)
		case sandbox.Teardown:
			d.slivers.enqueue(e.Sliver, e)
		}
	}
}

// forget drops the status of the sliver whose last lease is over: of one that
// failed the reason was kept until now, for whoever asks.
func (d *Daemon) forget(last lease.ID) {
	if e, ok := d.core.Ledger().Lease(last); ok && e.Sliver != "" {
		d.status.forget(e.Sliver)
	}
}

func (d *Daemon) untilWake() time.Duration {
	wake, ok := d.core.NextWake()
	if !ok {
		return time.Hour
	}
	return d.time.until(wake)
}

// watch says whether new leases can be given now: not while the wall clock and
// the ledger's time are too far apart, and not for a while after a disk was full.
func (d *Daemon) watch() []node.Input {
	want := lease.ReasonNone
	step, far := d.time.step()
	switch {
	case d.time.running().Before(d.full):
		want = lease.ReasonSpace
	case far:
		want = lease.ReasonClock
	}
	if want == d.bar {
		return nil
	}
	d.bar = want
	switch want {
	case lease.ReasonClock:
		d.deps.Log.Error("the wall clock stepped; nothing new is granted until it is back or `croft clock accept` says that it is right",
			"step", step.Round(time.Millisecond))
	case lease.ReasonSpace:
		d.deps.Log.Error("the disk is full; nothing new is granted for a while", "until", d.full)
	default:
		d.deps.Log.Info("new leases are given again")
	}
	return []node.Input{lease.Bar{Reason: want}}
}

// rebuild follows a journal that failed: what was decided since the last durable
// record was never told to anybody, so the core is built anew from the disk.
func (d *Daemon) rebuild(ctx context.Context, cause error) error {
	for try := 1; ; try++ {
		d.deps.Log.Error("journal failed; building the core anew", "err", cause)
		if isFull(cause) {
			d.full = d.time.running().Add(fullWait)
		}
		if err := d.journal.Close(); err != nil {
			d.deps.Log.Warn("closing the failed journal", "err", err)
		}
		err := d.load()
		if err == nil {
			d.bar = lease.ReasonNone
			err = d.step([]node.Input{node.Recover{}}) // a core's first input; the bar comes with the next
		}
		if err == nil {
			return nil
		}
		if try == maxRebuilds {
			return fmt.Errorf("building the core anew (%d tries): %w", try, err)
		}
		cause = err
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rebuildWait):
		}
	}
}

// isFull reports that a disk had no room.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, journal.ErrFull)
}

// load opens the journal and builds the core from it.
func (d *Daemon) load() error {
	opened, records, err := d.deps.OpenJournal()
	if err != nil {
		return fmt.Errorf("opening the journal: %w", err)
	}
	core := node.NewCore(d.coreConfig())
	for i, r := range records {
		if err := core.Restore(r); err != nil {
			return errors.Join(fmt.Errorf("record %d of %d: %w", i+1, len(records), err), opened.Close())
		}
	}
	d.journal, d.core, d.records, d.shortAt = opened, core, len(records), minSnapshot
	if err := d.shorten(); err != nil {
		return errors.Join(err, opened.Close())
	}
	return nil
}

// shorten replaces a journal that is long for what it says. On a disk without
// room for that the journal stays as it is.
func (d *Daemon) shorten() error {
	if d.records < d.shortAt {
		return nil
	}
	now := d.core.Records()
	if d.records >= 2*len(now) {
		err := d.journal.Snapshot(now)
		switch {
		case err == nil:
			d.records = len(now)
		case !isFull(err):
			return fmt.Errorf("shortening the journal: %w", err)
		}
	}
	d.shortAt = max(minSnapshot, 2*d.records, 2*len(now))
	return nil
}
