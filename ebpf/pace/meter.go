// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"croft/ebpf"
)

// ErrNever is returned for bytes that a lease never lets pass: it has no rate in
// that direction, or no packets.
var ErrNever = errors.New("the lease has no room for what the node would move")

const (
	// Piece is how many bytes are paid for and moved at once: well below
	// [ebpf.MinBurst], so that a bucket need not be nearly full, and large enough
	// that paying costs little beside moving.
	Piece = 16 << 10

	// shortest is the least wait. A bucket of a slow lease that others draw on as
	// well could else be asked in a tight loop.
	shortest = time.Millisecond

	// longest is how long one wait is at the most: the lease may have been
	// raised meanwhile, or a day have begun.
	longest = time.Second
)

// Charger is the part of [ebpf.Guard] that a Meter needs.
type Charger interface {
	Charge(ctx context.Context, sliver string, d ebpf.Direction, ch ebpf.Channel, bytes uint64) error
}

// Meter charges one channel of one sliver.
type Meter struct {
	Guard   Charger
	Sliver  string
	Channel ebpf.Channel
}

// Pay charges n bytes and returns when all of them are paid for. It waits as
// long as ctx lets it. [ErrNever] when the lease has no room at all in that
// direction, [ebpf.ErrNotAttached] when the sliver has no guard or its lease is
// over.
func (m Meter) Pay(ctx context.Context, d ebpf.Direction, n int) error {
	for piece := min(n, Piece); n > 0; {
		piece = min(piece, n)
		err := m.Guard.Charge(ctx, m.Sliver, d, m.Channel, uint64(piece))
		var wait *ebpf.Wait
		switch {
		case err == nil:
			n -= piece
		case errors.As(err, &wait):
			if err := sleep(ctx, wait.For); err != nil {
				return fmt.Errorf("%w: %w", wait, err)
			}
		case errors.Is(err, ebpf.ErrField) && piece > 1:
			piece /= 2 // the burst is smaller
		case errors.Is(err, ebpf.ErrField):
			return fmt.Errorf("%s of %s, %s: %w", m.Channel, m.Sliver, d, ErrNever)
		default:
			return err
		}
	}
	return nil
}

// sleep waits, and says at once if ctx will not let it.
func sleep(ctx context.Context, d time.Duration) error {
	d = min(max(d, shortest), longest)
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return context.DeadlineExceeded
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// Writer returns a writer that pays for what it passes on to w.
func (m Meter) Writer(ctx context.Context, d ebpf.Direction, w io.Writer) io.Writer {
	return writer{m, ctx, d, w}
}

type writer struct {
	Meter
	ctx context.Context
	way ebpf.Direction
	to  io.Writer
}

func (w writer) Write(p []byte) (written int, err error) {
	if len(p) == 0 {
		return w.to.Write(p) // an end, or a sign of life
	}
	for len(p) > 0 {
		piece := p[:min(len(p), Piece)]
		if err := w.Pay(w.ctx, w.way, len(piece)); err != nil {
			return written, err
		}
		n, err := w.to.Write(piece)
		written += n
		if err != nil {
			return written, err
		}
		p = p[len(piece):]
	}
	return written, nil
}

// Reader returns a reader that pays for what it has read from r before it hands
// it on.
func (m Meter) Reader(ctx context.Context, d ebpf.Direction, r io.Reader) io.Reader {
	return reader{m, ctx, d, r}
}

type reader struct {
	Meter
	ctx  context.Context
	way  ebpf.Direction
	from io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p[:min(len(p), Piece)])
	if n > 0 {
		if unpaid := r.Pay(r.ctx, r.way, n); unpaid != nil {
			return 0, unpaid
		}
	}
	return n, err
}
