// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/lease"
	"croft/node/api"
)

// drains lets one at a time empty the guard's tables. Who waited while another
// one began finds it done: so callers cannot have it done more often than it
// takes.
type drains struct {
	turn  sync.Mutex
	mu    sync.Mutex
	begun uint64
	done  uint64 // the last that began and succeeded
}

// drainLoop empties the guard's tables: kept durably first, cleared after.
func (d *Daemon) drainLoop(ctx context.Context) {
	tick := time.NewTicker(drainEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := d.drain(ctx); err != nil && ctx.Err() == nil {
				d.deps.Log.Error("flows are kept in the kernel until they can be written", "err", err)
			}
		}
	}
}

// logLoop turns the audit log beside the draining: a large segment takes a second
// to close, and the kernel's table does not wait.
func (d *Daemon) logLoop(ctx context.Context) {
	if d.deps.Hosting.Log == nil {
		return
	}
	tick := time.NewTicker(drainEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.turnLog(ctx)
		}
	}
}

// turnLog closes segments of the record, signs its head and drops what is too old.
func (d *Daemon) turnLog(ctx context.Context) {
	head, err := d.deps.Hosting.Log.Turn(ctx, d.deps.Clock.Wall(), d.deps.Key)
	if err != nil && ctx.Err() == nil {
		d.deps.Log.Error("the audit log waits", "err", err)
	}
	if head != nil {
		d.deps.Log.Debug("audit head signed", "segments", head.Size, "root", head.Root)
	}
}

func (d *Daemon) drain(ctx context.Context) error {
	s := &d.drains
	s.mu.Lock()
	asked := s.begun
	s.mu.Unlock()
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.done > asked {
		return nil
	}
	s.mu.Lock()
	s.begun++
	this := s.begun
	s.mu.Unlock()
	if err := d.tenures.follow(); err != nil { // rows are worth keeping all the same
		d.deps.Log.Error("whose packets are recorded", "err", err)
	}
	began := d.deps.Clock.Boot()
	if err := d.deps.Hosting.Guard.Drain(ctx, d.deps.Hosting.Audit.Append); err != nil {
		return err
	}
	d.tenures.drained(began)
	s.done = this
	return nil
}

// audits answers from the node's own record. Anybody may ask, and an answer
// reads much of a disk: so few at a time are worked on, and the rest wait as
// long as a call may take.
type audits struct {
	d     *Daemon
	slots chan struct{}
	asked *asked
	shown *asked // how often a network brought what does not show an address
	sent  *asked // as in exports
}

func newAudits(d *Daemon) audits {
	return audits{d, make(chan struct{}, maxQuestions), newAsked(), newAsked(), newAsked()}
}

// turn waits for a place; who has it calls done.
func (a audits) turn(ctx context.Context) (done func(), err error) {
	select {
	case a.slots <- struct{}{}:
		return func() { <-a.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Flows returns what the caller's slice sent and received on this node.
func (a audits) Flows(ctx context.Context, by api.Caller, slice string) ([]api.Flow, error) {
	if a.d.deps.Hosting == nil {
		return nil, api.ErrVisitor
	}
	if err := lease.CheckLabel(slice); err != nil {
		return nil, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	owner, err := a.owner(ctx, by, slice)
	if err != nil {
		return nil, err
	}
	k := asker{network: api.Source(ctx)}
	if err := a.allowed(k); err != nil {
		return nil, err
	}
	page, err := a.page(ctx, audit.Flows{Slice: slice + "@" + owner.String(), From: 1, Until: a.d.latest().UnixNano()})
	if err != nil {
		return nil, err
	}
	a.charge(k, float64(page.Read)/askRead)
	flows := a.d.flows(page.Rows)
	pays, err := a.d.payer(ctx, slice, owner, a.sent)
	if err != nil {
		return nil, err
	}
	size, err := sizeOf(flows...)
	if err == nil && size > 0 {
		err = pays.pay(ctx, size)
	}
	return flows, err
}

// page reads one; nobody waits for a lease with a place in hand.
func (a audits) page(ctx context.Context, q audit.Flows) (p audit.Page, err error) {
	done, err := a.turn(ctx)
	if err != nil {
		return p, err
	}
	defer done()
	if err := a.d.drain(ctx); err != nil {
		return p, fmt.Errorf("emptying the kernel's table: %w", err)
	}
	return a.d.deps.Hosting.Audit.Flows(ctx, q)
}

// owner returns whose slice of that label is meant: the caller's, or that of the
// owner who lets him read its record.
func (a audits) owner(ctx context.Context, by api.Caller, slice string) (lease.Principal, error) {
	r, err := a.d.rights(ctx, by)
	if err != nil || r.shown == nil {
		return by.Principal, err
	}
	err = r.shown.Allows(lease.Deed{By: r.who, Owner: r.shown.Issuer, Slice: slice, Any: lease.VerbAudit, At: a.d.time.now().Unix()})
	if err != nil {
		return by.Principal, fmt.Errorf("%w: %w", api.ErrNotGranted, err)
	}
	return r.shown.Issuer, nil
}

// Alarms is what is wrong with the record.
func (a audits) Alarms(context.Context) ([]api.Alarm, error) {
	out := []api.Alarm{}
	if a.d.deps.Hosting == nil || a.d.deps.Hosting.Log == nil {
		return out, nil
	}
	alarms, err := a.d.deps.Hosting.Log.Alarms()
	for _, x := range alarms {
		out = append(out, api.Alarm{Kind: x.Kind.String(), At: time.Unix(0, x.At).UTC(), Text: x.Text})
	}
	return out, err
}

func (d *Daemon) flows(rows []audit.Row) []api.Flow {
	out := make([]api.Flow, 0, len(rows))
	for _, r := range rows {
		out = append(out, d.flow(r))
	}
	return out
}

func (d *Daemon) flow(r audit.Row) api.Flow {
	f := api.Flow{Node: d.deps.Key.Principal(), Slice: r.Slice, Sliver: r.Sliver, Direction: "out", Proto: rowName(r.Flow),
		Protocol: r.Proto, Src: r.Src, Dst: r.Dst, Packets: r.Packets, Bytes: r.Bytes, TCPFlags: r.TCPFlags,
		First: time.Unix(0, r.First).UTC(), Last: time.Unix(0, r.Last).UTC()}
	if r.Direction == ebpf.Ingress {
		f.Direction = "in"
	}
	if !r.Src.Addr().IsValid() { // its port is none, and is not written without an address
		f.Detail = r.Src.Port()
	}
	return f
}

var protoNames = map[uint8]string{1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}

func protoName(p uint8) string {
	if name, ok := protoNames[p]; ok {
		return name
	}
	return fmt.Sprint(p)
}

func protoOf(name string) uint8 {
	for p, n := range protoNames {
		if n == strings.ToLower(name) {
			return p
		}
	}
	return 0
}
