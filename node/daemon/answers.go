// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"sync"

	"croft/lease"
	"croft/node"
	"croft/node/api"
)

// answers joins a caller who waits to the ledger's Answer with the same Ref.
type answers struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan outcome
}

type outcome struct {
	answer lease.Answer
	err    error
}

func newAnswers() *answers { return &answers{waiting: map[uint64]chan outcome{}} }

// expect returns a fresh Ref and what will be told for it.
func (a *answers) expect() (uint64, chan outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	ch := make(chan outcome, 1)
	a.waiting[a.last] = ch
	return a.last, ch
}

// forget is for a caller who waits no longer.
func (a *answers) forget(ref uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, ref)
}

// give tells whoever waits for ref, if anybody still does.
func (a *answers) give(ref uint64, o outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ch := a.waiting[ref]; ch != nil {
		ch <- o
		delete(a.waiting, ref)
	}
}

// ask submits the input made with a fresh Ref and waits for its answer.
func (d *Daemon) ask(ctx context.Context, in func(ref uint64) lease.Input) (lease.Answer, error) {
	ref, ch := d.answers.expect()
	defer d.answers.forget(ref)
	if err := d.submit(ctx, in(ref)); err != nil {
		return lease.Answer{}, err
	}
	o, err := await(ctx, d, ch)
	if err != nil {
		return lease.Answer{}, err
	}
	return o.answer, o.err
}

// submit hands an input to the core; it waits while the queue is full.
func (d *Daemon) submit(ctx context.Context, in node.Input) error {
	select {
	case d.inputs <- in:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-d.done:
		return api.ErrStopping
	}
}

// await waits for what the loop was asked to send.
func await[T any](ctx context.Context, d *Daemon, ch <-chan T) (v T, err error) {
	select {
	case v = <-ch:
		return v, nil
	case <-ctx.Done():
		return v, ctx.Err()
	case <-d.done:
	}
	select {
	case v = <-ch: // sent just before the loop ended
		return v, nil
	default:
		return v, api.ErrStopping
	}
}

// query is an input that only looks: the loop runs it between two steps, when
// all that it sees is durable, and the core never meets it.
type query func()

func (query) String() string { return "query" }

// look returns what f reads in the books.
func look[T any](ctx context.Context, d *Daemon, f func(*lease.Ledger) T) (T, error) {
	ch := make(chan T, 1) // so that the loop never waits for a caller who has left
	if err := d.submit(ctx, query(func() { ch <- f(d.core.Ledger()) })); err != nil {
		var none T
		return none, err
	}
	return await(ctx, d, ch)
}

// drop tells the callers of a batch that was not written down. Whether the disk
// has it is not known; the same request again gets the stored answer if it has.
func (a *answers) drop(batch []node.Effect, cause error) {
	for _, e := range batch {
		if e, ok := e.(lease.Answer); ok {
			a.give(e.Ref, outcome{err: fmt.Errorf("%w: %w", api.ErrAgain, cause)})
		}
	}
}
