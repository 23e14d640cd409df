// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"croft/node/api"
	"croft/node/door"
	"croft/node/role"
)

// office owns the succession of one role and does what it decides. Facts are on
// disk before the rest of a step is performed.
type office struct {
	cfg  role.Config
	log  *slog.Logger
	ctx  context.Context // ends when the office closes
	stop context.CancelFunc
	puts sync.WaitGroup

	mu      sync.Mutex
	s       *role.Succession
	book    officeBook
	tenants map[role.Tenant]tenant
	asks    map[uint64]*asking
	last    uint64
	wake    *time.Timer
	shut    bool
}

// inquiry is a request as the role's own code has it.
type inquiry struct {
	call string
	ask  json.RawMessage
	own  bool        // of the node's own people
	not  role.Tenant // who asks, and is not asked itself

	// read is called for each tenant that is asked; of one on trial nothing may reach
	// whoever asks. compare says how far two answers agree, and false if they say nothing
	// that could be compared.
	read    func(t role.Tenant, trial bool) reading
	compare func(given, other any) (float64, bool)
}

// reading takes one tenant's answer and verifies it: what it refuses counts as none.
type reading interface {
	part(json.RawMessage) error
	end(json.RawMessage) (any, error)
}

// asking is an inquiry under way.
type asking struct {
	inquiry
	result chan verdict // capacity of one
	cancel map[role.Tenant]context.CancelFunc
	turn   map[role.Tenant]int // which put to a tenant counts: it may be asked anew
	got    map[role.Tenant]any
}

// verdict is the end of an inquiry.
type verdict struct {
	tenant  role.Tenant
	answer  any
	instead string // who was asked before, and why that was none
	err     error
}

func newOffice(cfg role.Config, builtin tenant, dir string, log *slog.Logger) (*office, error) {
	cfg.Builtin, cfg.Share = builtin != nil, cmp.Or(cfg.Share, role.ShareOwn)
	o := &office{cfg: cfg, log: log, tenants: map[role.Tenant]tenant{}, asks: map[uint64]*asking{}, book: officeBook{dir: dir, log: log, sync: syncDir}}
	if builtin != nil {
		o.tenants[role.Builtin] = builtin
	}
	if err := o.book.open(); err != nil {
		return nil, err
	}
	o.ctx, o.stop = context.WithCancel(context.Background())
	o.s = o.restored()
	o.wake = time.AfterFunc(time.Hour, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.step(role.Tick{})
	})
	o.wake.Stop()
	return o, nil
}

// restored is the succession that the disk knows.
func (o *office) restored() *role.Succession {
	s := role.New(o.cfg)
	for _, f := range o.book.facts {
		s.Restore(f)
	}
	return s
}

// close ends all requests.
func (o *office) close() error {
	o.mu.Lock()
	o.shut = true
	o.wake.Stop()
	o.stop()
	o.mu.Unlock()
	o.puts.Wait()
	return o.book.close()
}

// enter has a tenant be asked until leave is called.
func (o *office) enter(who role.Tenant, t tenant) (leave func(why error), err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tenants[who] != nil {
		return nil, door.ErrServed
	}
	o.tenants[who] = t
	o.step(role.Here{Tenant: who})
	return func(why error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.tenants, who)
		o.step(role.Gone{Tenant: who, Why: failing(why)})
	}, nil
}

// decide has the owner's wish done; what it returns is why it is not.
func (o *office) decide(in role.Input) (why string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.step(in, &why); err != nil {
		return "", err
	}
	return why, nil
}

// begin asks. The verdict comes on the channel of what it returns.
func (o *office) begin(q inquiry) (uint64, *asking) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := &asking{inquiry: q, result: make(chan verdict, 1), cancel: map[role.Tenant]context.CancelFunc{}, turn: map[role.Tenant]int{}, got: map[role.Tenant]any{}}
	o.last++
	if o.shut {
		a.result <- verdict{err: api.ErrStopping}
		return o.last, a
	}
	o.asks[o.last] = a
	o.step(role.Ask{ID: o.last, Call: q.call, Own: q.own, Not: q.not})
	return o.last, a
}

// abandon: nobody waits for the verdict.
func (o *office) abandon(id uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.step(role.Abandon{ID: id})
}

// step applies an input and performs what comes of it. Why the owner's wish was
// refused goes where done says. It is called with mu held.
func (o *office) step(in role.Input, done ...*string) error {
	for inputs := []role.Input{in}; len(inputs) > 0; inputs = inputs[1:] {
		batch := o.s.Step(time.Now(), inputs[0])
		if err := o.book.keep(batch); err != nil {
			o.rebuild(err)
			return err
		}
		for _, e := range batch {
			if more := o.perform(e, done); more != nil {
				inputs = append(inputs, more)
			}
		}
	}
	maps.DeleteFunc(o.asks, func(id uint64, _ *asking) bool { return !o.s.Open(id) })
	if wake, ok := o.s.NextWake(); ok && !o.shut {
		o.wake.Reset(time.Until(wake))
	}
	return nil
}

// perform does one thing, and returns what is to be told of it.
func (o *office) perform(e role.Effect, done []*string) role.Input {
	switch e := e.(type) {
	case role.Done:
		for _, why := range done {
			*why = e.Why
		}
	case role.Put:
		o.put(e)
	case role.Cancel:
		if a := o.asks[e.ID]; a != nil && a.cancel[e.Tenant] != nil {
			a.cancel[e.Tenant]()
		}
	case role.Give:
		if a := o.asks[e.ID]; a != nil {
			a.result <- verdict{tenant: e.Tenant, answer: a.got[e.Tenant], instead: e.Why}
		}
	case role.Fail:
		if a := o.asks[e.ID]; a != nil {
			a.result <- verdict{err: &nobody{o.cfg.Role.Name, e.Why}}
		}
	case role.Compare:
		if a := o.asks[e.ID]; a != nil {
			agreement, told := a.compare(a.got[e.With], a.got[e.Tenant])
			return role.Compared{ID: e.ID, Tenant: e.Tenant, Agreement: agreement, Idle: !told}
		}
	case role.Say:
		o.log.Warn(e.Text)
	}
	return nil
}

// put asks a tenant beside the office; what comes of it is an input.
func (o *office) put(e role.Put) {
	a, t := o.asks[e.ID], o.tenants[e.Tenant]
	ctx, cancel := context.WithDeadline(o.ctx, e.By)
	a.cancel[e.Tenant] = cancel
	a.turn[e.Tenant]++
	turn := a.turn[e.Tenant]
	o.puts.Go(func() {
		defer cancel()
		began := time.Now()
		var got any
		err := error(door.ErrGone)
		if t != nil {
			reading := a.read(e.Tenant, e.Trial)
			var end json.RawMessage
			if end, err = t.Call(ctx, e.Call, a.ask, reading.part); err == nil {
				got, err = reading.end(end)
			}
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if a.turn[e.Tenant] != turn {
			return // it was asked anew meanwhile
		}
		a.got[e.Tenant] = got
		o.step(role.Answered{ID: e.ID, Tenant: e.Tenant, Why: failing(err), Took: time.Since(began)})
	})
}

// failing says of an error what a tenant did, as its succession tells it.
func failing(err error) string {
	var own *role.Failure
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return "was silent"
	case errors.As(err, &own):
		return "answered " + role.Printable(own.Error(), role.MaxText)
	}
	return role.Printable(err.Error(), role.MaxText)
}

// rebuild follows a disk that took no fact: what was decided since was told to
// nobody, and whoever waits asks again.
func (o *office) rebuild(cause error) {
	o.log.Error("who fills a role could not be written down; it is as it was", "role", o.cfg.Role.Name, "err", cause)
	for _, a := range o.asks {
		for _, cancel := range a.cancel {
			cancel()
		}
		select {
		case a.result <- verdict{err: api.ErrAgain}:
		default: // it has its verdict
		}
	}
	clear(o.asks)
	o.s = o.restored()
	for who := range o.tenants {
		o.s.Step(time.Now(), role.Here{Tenant: who})
	}
}

// nobody is the error of a request that no tenant answered.
type nobody struct{ role, why string }

func (n *nobody) Error() string { return "the role " + n.role + ": " + n.why }
func (n *nobody) Unwrap() error { return api.ErrNobody }
