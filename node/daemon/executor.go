// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	slivernet "croft/ebpf/net"
	"croft/node"
	"croft/sandbox"
)

// executor carries out what the lifecycle decides: for each sliver one thing
// after the other, different slivers at the same time. What it does is
// idempotent, because after a crash it is told again.
type executor struct {
	host    *Hosting
	time    *ledgerTime
	tenures *tenures
	bounds  Bounds
	warn    func(msg string, args ...any)
	submit  func(context.Context, node.Input) error
	bind    func(sliver string, att slivernet.Attachment)
	doors   *doors
	packets *packets
	ctx     context.Context

	mu    sync.Mutex
	works map[string]*work
	over  map[string]sandbox.Status // slivers that are not running any more, until their teardown
	wg    sync.WaitGroup
}

// work is what one sliver has under way and waiting.
type work struct {
	waiting []node.Effect
	cancel  context.CancelFunc // of a launch or adjustment under way
}

// add puts e behind what it does not make pointless, so that at most a teardown,
// a launch and an adjustment wait.
func (w *work) add(e node.Effect) {
	keep := func(node.Effect) bool { return true }
	switch e.(type) {
	case sandbox.Teardown:
		keep = func(node.Effect) bool { return false }
		if w.cancel != nil {
			w.cancel() // what is being made is not wanted any more
		}
	case sandbox.Launch: // it has the newest lease's limits
		keep = func(e node.Effect) bool { _, teardown := e.(sandbox.Teardown); return teardown }
	case sandbox.Adjust:
		keep = func(e node.Effect) bool { _, adjust := e.(sandbox.Adjust); return !adjust }
	}
	kept := w.waiting[:0]
	for _, old := range w.waiting {
		if keep(old) {
			kept = append(kept, old)
		}
	}
	w.waiting = append(kept, e)
}

// enqueue is called by the loop alone, and never waits.
func (x *executor) enqueue(sliver string, e node.Effect) {
	x.mu.Lock()
	defer x.mu.Unlock()
	w := x.works[sliver]
	if w == nil {
		w = &work{}
		x.works[sliver] = w
		x.wg.Go(func() { x.run(sliver, w) })
	}
	w.add(e)
}

// run carries out what waits for one sliver, until nothing does or the daemon
// goes: then the next one is told again.
func (x *executor) run(sliver string, w *work) {
	for {
		e, ctx, done := x.next(sliver, w)
		if e == nil {
			return
		}
		inputs := x.do(ctx, e)
		done()
		for _, in := range inputs {
			if x.submit(x.ctx, in) != nil {
				return
			}
		}
		if _, ok := e.(sandbox.Launch); ok {
			if in := x.ended(sliver); in != nil && x.submit(x.ctx, in) != nil {
				return
			}
		}
	}
}

// next takes the first thing that waits. The worker ends under the same lock
// under which work is given to it, so that none is left behind.
func (x *executor) next(sliver string, w *work) (e node.Effect, ctx context.Context, done func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(w.waiting) == 0 || x.ctx.Err() != nil {
		delete(x.works, sliver)
		return nil, nil, nil
	}
	e, w.waiting = w.waiting[0], w.waiting[1:]
	ctx, cancel := context.WithCancel(x.ctx)
	if _, teardown := e.(sandbox.Teardown); !teardown {
		w.cancel = cancel
	}
	return e, ctx, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		w.cancel = nil
		cancel()
	}
}

// do carries one effect out and returns what the lifecycle is to be told.
func (x *executor) do(ctx context.Context, e node.Effect) []node.Input {
	switch e := e.(type) {
	case sandbox.Launch:
		ctx, cancel := context.WithTimeout(ctx, launchLimit)
		defer cancel()
		err := x.launch(ctx, e)
		if x.ctx.Err() != nil {
			return nil // the daemon goes: no failure of the sliver's
		}
		if err != nil {
			return []node.Input{sandbox.LaunchFailed{Sliver: e.Sliver, Reason: err.Error()}}
		}
		return []node.Input{sandbox.Launched{Sliver: e.Sliver}}
	case sandbox.Adjust:
		x.persist(ctx, e.Sliver, "a sliver's new limits are not all in force yet", func() error { return x.adjust(ctx, e) })
	case sandbox.Teardown:
		if x.persist(ctx, e.Sliver, "a sliver is not gone yet", func() error { return x.remove(ctx, e.Sliver) }) {
			return []node.Input{sandbox.Removed{Sliver: e.Sliver}}
		}
	}
	return nil
}

// persist tries until it works, or until it is not wanted any more. It reports
// whether it worked.
func (x *executor) persist(ctx context.Context, sliver, complaint string, try func() error) bool {
	for {
		err := try()
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		x.warn(complaint, "sliver", sliver, "err", err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(againWait):
		}
	}
}

// seen takes a runtime's word on a sliver.
func (x *executor) seen(st sandbox.Status) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if st.State == sandbox.Stopped || st.State == sandbox.Failed {
		x.over[st.Sliver] = st
	} else {
		delete(x.over, st.Sliver)
	}
}

// finished reports that a sliver's program has run to its end by itself. Then it
// is not started a second time because the daemon was; what was lost in any
// other way is.
func (x *executor) finished(sliver string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over[sliver].Reason == sandbox.ReasonExited {
		return true
	}
	delete(x.over, sliver)
	return false
}

// ended is the report of a program that ended before its launch was told of.
func (x *executor) ended(sliver string) node.Input {
	x.mu.Lock()
	defer x.mu.Unlock()
	if st, ok := x.over[sliver]; ok {
		return exited(st)
	}
	return nil
}

// exited is the input that a runtime's report is, if the sliver runs no more.
func exited(st sandbox.Status) node.Input {
	if st.State != sandbox.Stopped && st.State != sandbox.Failed {
		return nil
	}
	in := sandbox.Exited{Sliver: st.Sliver, Reason: st.Reason}
	if st.Exit != nil {
		in.Code = *st.Exit
	}
	return in
}

// gone reports that there is nothing to adjust or stop.
func gone(err error) bool {
	return errors.Is(err, sandbox.ErrUnknown) || errors.Is(err, sandbox.ErrNotRunning)
}
