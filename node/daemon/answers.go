// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"sync"

	"croft/lease"
)

var (
	errStopping = errors.New("the node is stopping")
	errJournal  = errors.New("nothing was decided; ask again")
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

func (a *answers) forget(ref uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, ref)
}

func (a *answers) give(e lease.Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ch := a.waiting[e.Ref]; ch != nil {
		ch <- outcome{answer: e}
		delete(a.waiting, e.Ref)
	}
}

// failAll tells everybody who waits that there will be no answer.
func (a *answers) failAll(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ref, ch := range a.waiting {
		ch <- outcome{err: err}
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
	select {
	case o := <-ch:
		return o.answer, o.err
	case <-ctx.Done():
		return lease.Answer{}, ctx.Err()
	case <-d.done:
		return lease.Answer{}, errStopping
	}
}
