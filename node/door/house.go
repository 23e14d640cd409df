// SPDX-License-Identifier: Apache-2.0

package door

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"croft/ebpf"
	"croft/ebpf/pace"
	"croft/lease"
	"croft/node/role"
)

// Sliver is who is behind a door.
type Sliver struct {
	Name  string
	Label string // of its slice
	Owner lease.Principal
}

// Tenant is what the sliver's slice is as a tenant.
func (s Sliver) Tenant() role.Tenant { return role.SliceTenant(s.Label, s.Owner) }

// Roles takes in who serves a role.
type Roles interface {
	// Enter: t serves r for who from now on, until leave is called with
	// why it does not any more. The error is
	// [ErrServed] where another connection does so already.
	Enter(r role.Role, who role.Tenant, t *Tenant) (leave func(why error), err error)
}

// House is what the doors of a node have in common.
type House struct {
	Node  lease.Principal
	Guard pace.Charger
	Roles Roles
	HTTP  func(Sliver) *http.Server // made for each door
	Log   *slog.Logger

	mu     sync.Mutex
	counts map[string]uint64
	open   int // connections, of all doors
}

// Counts says how often a connection was refused or closed, by reason.
func (h *House) Counts() map[string]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.counts)
}

func (h *House) count(reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts == nil {
		h.counts = map[string]uint64{}
	}
	h.counts[reason]++
}

// enter takes a connection into account, if there is room for it in the node.
func (h *House) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open >= maxOpen {
		return false
	}
	h.open++
	return true
}

func (h *House) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open--
}

// Serve serves a sliver's door until ctx ends, or somebody else closes the listener,
// which is an error; the listener and all connections are closed then.
func (h *House) Serve(ctx context.Context, l net.Listener, who Sliver) error {
	ctx, cancel := context.WithCancel(ctx)
	var open sync.WaitGroup
	web := newHall(l.Addr())
	defer open.Wait()
	defer cancel()
	open.Go(func() {
		<-ctx.Done()
		l.Close()
		web.Close()
	})
	open.Go(func() {
		s := h.HTTP(who)
		s.BaseContext = func(net.Listener) context.Context { return ctx }
		s.ErrorLog = slog.NewLogLogger(h.Log.Handler(), slog.LevelDebug)
		_ = s.Serve(web) // until the hall closes
		s.Close()
	})
	room := make(chan struct{}, maxConns)
	dials := rate.NewLimiter(dialRate, dialBurst)
	logs := newSparing()
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listening for sliver %s: %w", who.Name, err)
		case errors.Is(err, errStranger):
			h.count("not of the sliver") // and not at its cost: its own dials wait for none
			continue
		default: // of descriptors there may be some again in a moment
			h.count("could not be accepted")
			h.Log.Log(ctx, logs.level("accept", slog.LevelWarn), "a sliver cannot dial this node at the moment", "sliver", who.Name, "err", err)
			if !pause(ctx, acceptPause) {
				return nil
			}
			continue
		}
		if dials.Wait(ctx) != nil { // also who is let in no further pays for each
			c.Close()
			return nil
		}
		select {
		case room <- struct{}{}:
		default:
			h.count("more connections than one sliver may have")
			c.Close()
			continue
		}
		if !h.enter() {
			<-room
			h.count("more connections than the node takes")
			c.Close()
			continue
		}
		open.Go(func() {
			defer func() { h.leave(); <-room }()
			stop := context.AfterFunc(ctx, func() { c.Close() })
			defer stop()
			defer c.Close()
			h.meet(ctx, c, who, web, logs)
		})
	}
}

// pause waits, and reports whether ctx lasts still.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// meet learns what a connection is, and serves it to its end.
func (h *House) meet(ctx context.Context, c net.Conn, who Sliver, web *hall, logs *sparing) {
	_ = c.SetReadDeadline(time.Now().Add(firstByte))
	r := bufio.NewReaderSize(c, role.MaxLine+1)
	first, err := r.Peek(1)
	if err != nil {
		h.count("said nothing")
		return
	}
	during, stop := context.WithCancel(ctx)
	defer stop()
	in := &paid{Conn: c, r: r, ctx: during, stop: stop, meter: pace.Meter{Guard: h.Guard, Sliver: who.Name, Channel: ebpf.ChannelShim}}
	if first[0] != '{' {
		_ = c.SetReadDeadline(time.Time{})
		web.admit(ctx, in)
		return
	}
	in.meter.Channel = ebpf.ChannelRole
	t := newTenant(in)
	err = h.serve(ctx, t, who)
	t.end(err)
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, ErrBroke), errors.Is(err, role.ErrLine):
		h.count("broke the role protocol")
		h.Log.Log(ctx, logs.level("broke", slog.LevelWarn), "a tenant broke the role protocol, and is hung up on", "slice", who.Tenant(), "sliver", who.Name, "why", err)
	case errors.Is(err, errRefused):
		h.count("refused a role")
		h.Log.Log(ctx, logs.level("refused", slog.LevelInfo), "a sliver is refused a role", "slice", who.Tenant(), "sliver", who.Name, "why", err)
	default:
		h.Log.Debug("a tenant has gone", "slice", who.Tenant(), "sliver", who.Name, "why", err)
	}
}

var errRefused = errors.New("refused")

// serve hears what role is served, and has it served.
func (h *House) serve(ctx context.Context, t *Tenant, who Sliver) error {
	line, err := t.line()
	if err != nil {
		return err
	}
	r, err := role.ParseServe(line)
	if err == nil {
		var leave func(error)
		t.write(role.Greeting{OK: &role.Welcome{Role: r.String(), Node: h.Node.String(), Slice: who.Tenant(), InFlight: role.MaxInFlight, Bytes: role.MaxAnswer}})
		if leave, err = h.Roles.Enter(r, who.Tenant(), t); err == nil {
			err = t.run(ctx)
			leave(err)
			return err
		}
		t.unsay()
	}
	code := "line"
	switch {
	case errors.Is(err, ErrServed):
		code = "served"
	case errors.Is(err, role.ErrRole):
		code = "role"
	}
	t.write(role.Greeting{Error: &role.Failure{Code: code, Text: role.Printable(err.Error(), role.MaxText)}})
	return errors.Join(errRefused, err, t.flush())
}
