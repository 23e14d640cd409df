// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	slivernet "croft/ebpf/net"
	"croft/lease"
	"croft/node/api"
)

// exports streams the node's record and its slivers' packets.
type exports struct {
	d        *Daemon
	slots    chan struct{} // of slices' owners who read the record from end to end
	own      chan struct{} // of the node's owner, who does not wait for them
	open     chan struct{} // of slices' owners who began and have not come to the end
	sent     *asked        // bytes for slices that have no sliver here, by network
	captures *captures
}

func newExports(d *Daemon, sent *asked) exports {
	return exports{d, make(chan struct{}, maxExports), make(chan struct{}, maxExports), make(chan struct{}, maxOpenExports), sent, &captures{of: map[sliceKey]int{}}}
}

// Rows yields what the caller's slice sent and received on this node.
func (x exports) Rows(ctx context.Context, by api.Caller, slice string, from, until time.Time) iter.Seq2[api.Flow, error] {
	return func(yield func(api.Flow, error) bool) {
		if err := lease.CheckLabel(slice); err != nil {
			yield(api.Flow{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err))
			return
		}
		owner, err := audits{d: x.d}.owner(ctx, by, slice)
		if err != nil {
			yield(api.Flow{}, err)
			return
		}
		pays, err := x.d.payer(ctx, slice, owner, x.sent)
		if err != nil {
			yield(api.Flow{}, err)
			return
		}
		select {
		case x.open <- struct{}{}:
			defer func() { <-x.open }()
		default:
			yield(api.Flow{}, fmt.Errorf("%w: %d exports are under way on this node", api.ErrBusy, maxOpenExports))
			return
		}
		x.rows(ctx, x.slots, slice+"@"+owner.String(), from, until, paidRows{pay: pays.pay, yield: yield})
	}
}

// AllRows yields what every slice did: to the node's owner, who pays nothing.
func (x exports) AllRows(ctx context.Context, from, until time.Time) iter.Seq2[api.Flow, error] {
	return func(yield func(api.Flow, error) bool) { x.rows(ctx, x.own, "", from, until, paidRows{yield: yield}) }
}

// rows yields a slice's rows, or all; a zero until is the latest. A place is held
// while the record is read, and not while a lease or the caller takes its time.
func (x exports) rows(ctx context.Context, slots chan struct{}, slice string, from, until time.Time, out paidRows) {
	err := func() error {
		if x.d.deps.Hosting == nil {
			return api.ErrVisitor
		}
		ctx, cancel := context.WithTimeout(ctx, exportLimit)
		defer cancel()
		place := audits{d: x.d, slots: slots}
		done, err := place.turn(ctx)
		if err != nil {
			return err
		}
		defer func() { done() }()
		out.aside = func() func() error {
			done()
			done = func() {}
			return func() error {
				again, err := place.turn(ctx)
				if err == nil {
					done = again
				}
				return err
			}
		}
		if err := x.d.drain(ctx); err != nil {
			return fmt.Errorf("emptying the kernel's table: %w", err)
		}
		if until.IsZero() {
			until = x.d.latest()
		}
		for row, err := range x.d.deps.Hosting.Audit.Rows(ctx, audit.Flows{Slice: slice, From: unixNano(from), Until: unixNano(until)}) {
			if errors.Is(err, audit.ErrField) {
				err = fmt.Errorf("%w: %w", api.ErrBadRequest, err)
			}
			if err != nil {
				return err
			}
			if more, err := out.add(ctx, x.d.flow(row)); err != nil || !more {
				return err
			}
		}
		_, err = out.flush(ctx)
		return err
	}()
	if err != nil {
		out.yield(api.Flow{}, err)
	}
}

// unixNano is a time in the range of records: years 1970 to 2262.
func unixNano(t time.Time) int64 {
	const last = 1<<63 - 1
	switch sec := t.Unix(); {
	case sec < 0:
		return 0
	case sec >= last/1_000_000_000:
		return last
	}
	return t.UnixNano()
}

// Capture writes the packets of a sliver of the caller's. It ends with the
// caller, with his right to it, and with the sliver.
func (x exports) Capture(ctx context.Context, by api.Caller, sliver string, req api.CaptureRequest, w io.Writer) (api.Captured, error) {
	r, e, err := slivers{x.d}.open(ctx, by, sliver, lease.VerbAudit)
	if err != nil {
		return api.Captured{}, err
	}
	rec, err := recording(x.d.cfg.Name+"/"+sliver, req)
	if err != nil {
		return api.Captured{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	taps := x.d.deps.Hosting.Taps
	if taps == nil {
		return api.Captured{}, fmt.Errorf("%w: packets cannot be captured here", api.ErrVisitor)
	}
	end, err := x.captures.begin(sliceKey{e.Owner, e.Slice})
	if err != nil {
		return api.Captured{}, err
	}
	defer end()
	ctx, cancel := x.d.session(ctx, r, e, lease.VerbAudit)
	defer cancel()
	ctx, late := context.WithTimeout(ctx, rec.For+captureGrace) // for one who is held up in writing
	defer late()
	before, err := x.d.deps.Hosting.Guard.Counters(ctx, sliver)
	if err != nil {
		return api.Captured{}, sliverError(err)
	}
	tap, err := taps.Tap(ctx, sliver, rec.Snap, rec.Filter)
	if errors.Is(err, slivernet.ErrNoSliver) {
		err = fmt.Errorf("%w: %w", api.ErrNotRunning, err)
	}
	if err != nil {
		return api.Captured{}, err
	}
	defer tap.Close()
	done, err := slivernet.Record(ctx, tap, x.d.meter(sliver, ebpf.ChannelCapture).Writer(ctx, ebpf.Egress, w), rec)
	if err != nil {
		return api.Captured{}, broken(ctx, err)
	}
	out := api.Captured{Ended: done.Ended, Packets: done.Packets, Bytes: done.Bytes, Received: done.Received, Lost: done.Lost,
		Began: done.Began.UTC(), Over: done.Over.UTC()}
	if after, err := x.d.deps.Hosting.Guard.Counters(ctx, sliver); err == nil { // a sliver that is gone has none
		out.GuardOut, out.GuardIn = dropped(before.Egress, after.Egress), dropped(before.Ingress, after.Ingress)
	}
	return out, nil
}

// recording fills in defaults and refuses what is out of bounds.
func recording(name string, req api.CaptureRequest) (r slivernet.Recording, err error) {
	for _, b := range []struct {
		name      string
		value     *uint64
		def, most uint64
	}{{"packets", &req.Packets, capturePackets, maxCapturePackets}, {"bytes", &req.Bytes, captureBytes, maxCaptureBytes}} {
		if *b.value == 0 {
			*b.value = b.def
		}
		if *b.value > b.most {
			return r, fmt.Errorf("%s: at most %d", b.name, b.most)
		}
	}
	if req.For == 0 {
		req.For = captureFor
	}
	if req.For < 0 || req.For > maxCaptureFor {
		return r, fmt.Errorf("for: at most %s", maxCaptureFor)
	}
	if req.Snap == 0 {
		req.Snap = captureSnap
	}
	if req.Snap < slivernet.MinSnap || req.Snap > slivernet.MaxSnap {
		return r, fmt.Errorf("snap: %d to %d bytes", slivernet.MinSnap, slivernet.MaxSnap)
	}
	f, err := slivernet.ParseFilter(req.Filter)
	return slivernet.Recording{Name: name, Filter: f, Snap: req.Snap, For: req.For, Packets: req.Packets, Bytes: req.Bytes}, err
}

// dropped is what a guard dropped between two counts, by reason.
func dropped(before, after ebpf.Count) map[string]uint64 {
	var out map[string]uint64
	for reason, n := range after.Dropped {
		if was := before.Dropped[reason]; n > was {
			if out == nil {
				out = map[string]uint64{}
			}
			out[ebpf.Reason(reason).String()] = n - was
		}
	}
	return out
}
