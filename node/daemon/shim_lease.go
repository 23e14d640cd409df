// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"croft/node/api"
)

// turns tells whoever waits that the books have changed.
type turns struct {
	mu   sync.Mutex
	next chan struct{}
}

// watch returns a channel that is closed at the next change.
func (t *turns) watch() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next == nil {
		t.next = make(chan struct{})
	}
	return t.next
}

func (t *turns) turn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next != nil {
		close(t.next)
		t.next = nil
	}
}

// OwnLeases follows the sliver's lease. It looks no more than once in ownLeasePause,
// whatever else happens to the books. Only the lease's end is an end: that of ctx is told
// as an error, lest a service takes one for the other.
func (s shim) OwnLeases(ctx context.Context) iter.Seq2[api.OwnLease, error] {
	return func(yield func(api.OwnLease, error) bool) {
		if err := s.may(1); err != nil {
			yield(api.OwnLease{}, err)
			return
		}
		var last api.OwnLease
		for {
			changed := s.d.turns.watch()
			now, err := s.ownLease(ctx)
			switch {
			case err != nil && ctx.Err() != nil:
				yield(api.OwnLease{}, api.ErrStopping)
				return
			case errors.Is(err, api.ErrNotRunning) && !last.Lease.IsZero():
				return // it is over
			case err != nil:
				yield(api.OwnLease{}, err)
				return
			case !sameLease(now, last):
				if !yield(now, nil) {
					return
				}
				last = now
			}
			rest := time.NewTimer(ownLeasePause)
			select {
			case <-rest.C:
			case <-ctx.Done():
				rest.Stop()
				continue // which says so
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}

// sameLease: time goes by, and that is no change.
func sameLease(a, b api.OwnLease) bool {
	a.Left, b.Left = 0, 0
	return a == b
}
