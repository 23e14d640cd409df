// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"croft/sandbox"
)

// watcher is one caller of Watch: the newest status of each sliver that it has
// not read yet.
type watcher struct {
	mu      sync.Mutex
	pending map[string]sandbox.Status
	order   []string
	wake    chan struct{}
}

// Watch implements [sandbox.Runtime].
func (r *Runtime) Watch(ctx context.Context) <-chan sandbox.Status {
	w := &watcher{pending: map[string]sandbox.Status{}, wake: make(chan struct{}, 1)}
	r.mu.Lock()
	r.watches[w] = struct{}{}
	r.mu.Unlock()
	out := make(chan sandbox.Status)
	r.work.Go(func() {
		defer close(out)
		defer func() {
			r.mu.Lock()
			delete(r.watches, w)
			r.mu.Unlock()
		}()
		for {
			s, ok := w.next()
			if !ok {
				select {
				case <-w.wake:
					continue
				case <-ctx.Done():
				case <-r.ctx.Done():
				}
				return
			}
			select {
			case out <- s:
			case <-ctx.Done():
				return
			case <-r.ctx.Done():
				return
			}
		}
	})
	return out
}

func (w *watcher) put(s sandbox.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, waits := w.pending[s.Sliver]; !waits {
		w.order = append(w.order, s.Sliver)
	}
	w.pending[s.Sliver] = s
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watcher) next() (sandbox.Status, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.order) == 0 {
		return sandbox.Status{}, false
	}
	s := w.pending[w.order[0]]
	delete(w.pending, w.order[0])
	w.order = w.order[1:]
	return s, true
}

func (r *Runtime) publish(s sandbox.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.watches { // each gets it; in which order does not matter
		w.put(s)
	}
}

// watch follows a warden until its sliver is over, in the background; the
// caller holds the sliver.
func (r *Runtime) watch(sliver string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.slivers[sliver]
	if m.watching || r.ctx.Err() != nil {
		return
	}
	m.watching = true
	m.users++
	r.work.Go(func() {
		defer func() {
			r.mu.Lock()
			m.watching = false
			r.leave(sliver, m)
			r.mu.Unlock()
		}()
		for r.ctx.Err() == nil {
			if r.follow(sliver) {
				return
			}
		}
	})
}

// follow publishes what a warden tells, and settles what is left when it stops
// telling. It reports whether the sliver is over.
func (r *Runtime) follow(sliver string) bool {
	if c, release, err := r.call(r.ctx, sliver, request{Op: opWatch}); err == nil {
		for {
			p, err := receive(r.ctx, c)
			if err != nil || p.Status == nil {
				break
			}
			r.publish(*p.Status)
			if p.Status.State.Over() {
				release()
				return true
			}
		}
		release()
	}
	// It died, or it is about to: a living one is asked again.
	pause := time.NewTimer(20 * time.Millisecond)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-r.ctx.Done():
		return true
	}
	return r.settle(sliver)
}

func (r *Runtime) settle(sliver string) bool {
	defer r.hold(sliver)()
	d := r.dir(sliver)
	if _, err := os.Stat(string(d)); err != nil {
		return true // removed, and told
	}
	lock, err := d.lock()
	if errors.Is(err, errAlive) {
		return false
	}
	if err != nil {
		r.log.Error("looking at sliver", "sliver", sliver, "error", err)
		return true
	}
	defer lock.Close()
	s, err := r.repair(r.ctx, d)
	if err != nil {
		if r.ctx.Err() == nil {
			r.log.Error("clearing sliver", "sliver", sliver, "error", err)
		}
		return true
	}
	r.publish(s)
	return true
}
