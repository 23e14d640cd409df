// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"croft/ebpf"
	"croft/ebpf/pace"
	"croft/lease"
	"croft/node/api"
)

// recordPay pays for what a slice's owner is sent of the record: out of what the
// slice's slivers here may send, one after the other, while they have a lease with
// room for it, and else out of the network's allowance.
type recordPay struct {
	d       *Daemon
	slivers []string
	sent    *asked
}

// payer is for the slice of a label and owner.
func (d *Daemon) payer(ctx context.Context, label string, owner lease.Principal, sent *asked) (*recordPay, error) {
	names, err := look(ctx, d, func(l *lease.Ledger) (names []string) {
		for _, e := range l.Owner(owner) {
			if e.Slice == label && e.Sliver != "" && e.State.Live() && !slices.Contains(names, e.Sliver) {
				names = append(names, e.Sliver)
			}
		}
		return names
	})
	return &recordPay{d, names, sent}, err
}

// pay returns when n bytes are paid for.
func (p *recordPay) pay(ctx context.Context, n int) error {
	for len(p.slivers) > 0 {
		err := p.d.meter(p.slivers[0], ebpf.ChannelRecord).Pay(ctx, ebpf.Egress, n)
		if !errors.Is(err, ebpf.ErrNotAttached) && !errors.Is(err, pace.ErrNever) {
			return err
		}
		p.slivers = p.slivers[1:] // it is gone, or may send nothing
	}
	for from := api.Source(ctx); !p.sent.take(p.d.time.now(), from); {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
	p.sent.charge(p.d.time.now(), api.Source(ctx), float64(n)/recordSent-1)
	return nil
}

// paidRows has rows wait until they are paid for: some at a time, as each charge
// counts as a packet at least.
type paidRows struct {
	pay   func(ctx context.Context, n int) error
	yield func(api.Flow, error) bool
	aside func() (back func() error) // gives a place back, and takes one again
	rows  []api.Flow
	size  int
}

func (p *paidRows) add(ctx context.Context, f api.Flow) (more bool, err error) {
	n, err := sizeOf(f)
	if err != nil {
		return false, err
	}
	p.rows, p.size = append(p.rows, f), p.size+n
	if p.size < pace.Piece-maxRowSize {
		return true, nil
	}
	return p.flush(ctx)
}

// flush passes on what waits.
func (p *paidRows) flush(ctx context.Context) (more bool, err error) {
	back := p.aside()
	if p.pay != nil && p.size > 0 {
		if err := p.pay(ctx, p.size); err != nil {
			return false, fmt.Errorf("charging the record to the slice: %w", err)
		}
	}
	rows := p.rows
	p.rows, p.size = p.rows[:0], 0
	for _, f := range rows {
		if !p.yield(f, nil) {
			return false, nil
		}
	}
	if err := back(); err != nil {
		return false, err
	}
	return true, nil
}

// sizeOf is what a row takes as it is sent, with its end of line.
func sizeOf(rows ...api.Flow) (n int, err error) {
	for _, f := range rows {
		b, err := json.Marshal(f)
		if err != nil {
			return 0, err
		}
		n += len(b) + 1
	}
	return n, nil
}
