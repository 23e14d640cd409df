// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"croft/ebpf"
)

// lease is a guard with one bucket, by virtual time.
type lease struct {
	t       *testing.T
	meter   ebpf.Meter
	began   time.Time
	charged uint64
	calls   int
	over    bool
}

func newLease(t *testing.T, w ebpf.Way) *lease {
	return &lease{t: t, meter: ebpf.NewMeter(w), began: time.Now()}
}

func (l *lease) Charge(_ context.Context, sliver string, d ebpf.Direction, ch ebpf.Channel, n uint64) error {
	l.calls++
	if sliver != "abcd" || d != ebpf.Egress || ch != ebpf.ChannelLogs {
		l.t.Errorf("charged %s %s %s", sliver, d, ch)
	}
	if l.over {
		return ebpf.ErrNotAttached
	}
	if n*ebpf.ByteUnits > l.meter.Bytes.Full {
		return ebpf.ErrField
	}
	now := uint64(time.Since(l.began))
	if wait := l.meter.ChargeOrWait(now, (n+ebpf.ChargeUnit-1)/ebpf.ChargeUnit, n, false); wait != nil {
		return wait
	}
	l.charged += n
	return nil
}

func (l *lease) meterOf() Meter { return Meter{l, "abcd", ebpf.ChannelLogs} }

var oneMbit = ebpf.Way{Rate: 1e6, Burst: 128 << 10, Packets: 1e6, PacketBurst: 1e6}

// What is written at once arrives by the lease: the burst, but for what is kept
// for sparse flows, and then the rate.
func TestWriterKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, began := newLease(t, oneMbit), time.Now()
		var got bytes.Buffer
		data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
		n, err := l.meterOf().Writer(t.Context(), ebpf.Egress, &got).Write(data)
		if err != nil || n != len(data) || !bytes.Equal(got.Bytes(), data) {
			t.Fatalf("wrote %d of %d, %v", n, len(data), err)
		}
		if l.charged != uint64(len(data)) {
			t.Errorf("charged %d bytes, moved %d", l.charged, len(data))
		}
		took, least := time.Since(began), time.Duration(float64(len(data)-128<<10+ebpf.MinKeep)*8/1e6*1e9)
		if took < least || took > least+time.Second/10 {
			t.Errorf("took %s, want %s", took, least)
		}
		if l.calls > 4*len(data)/Piece {
			t.Errorf("%d charges for %d pieces", l.calls, len(data)/Piece)
		}
	})
}

// Nothing is handed on that was not paid for, by a reader too.
func TestReaderPaysFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease(t, oneMbit)
		r := l.meterOf().Reader(t.Context(), ebpf.Egress, strings.NewReader(strings.Repeat("x", 300_000)))
		var got int
		buf := make([]byte, 64<<10)
		for {
			n, err := r.Read(buf)
			got += n
			if uint64(got) > l.charged {
				t.Fatalf("handed on %d bytes, paid for %d", got, l.charged)
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got != 300_000 {
			t.Errorf("read %d", got)
		}
	})
}

func TestPayEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease(t, oneMbit)
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("the caller is gone")
		time.AfterFunc(3*time.Second, func() { cancel(gone) })
		if err := l.meterOf().Pay(ctx, ebpf.Egress, 10<<20); !errors.Is(err, gone) {
			t.Errorf("%v, want %v", err, gone)
		}

		// A wait that the deadline cuts short is not begun.
		l, began := newLease(t, oneMbit), time.Now()
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		defer stop()
		var wait *ebpf.Wait
		if err := l.meterOf().Pay(ctx, ebpf.Egress, 10<<20); !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &wait) {
			t.Errorf("%v, want the wait and %v", err, context.DeadlineExceeded)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("gave up after %s", took)
		}

		l.over = true
		if err := l.meterOf().Pay(t.Context(), ebpf.Egress, 1); !errors.Is(err, ebpf.ErrNotAttached) {
			t.Errorf("%v, want %v", err, ebpf.ErrNotAttached)
		}
	})
}

// A lease may state a burst below a piece, or none.
func TestSmallBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := oneMbit
		w.Burst = 1000
		l := newLease(t, w)
		if err := l.meterOf().Pay(t.Context(), ebpf.Egress, 50_000); err != nil || l.charged != 50_000 {
			t.Errorf("charged %d, %v", l.charged, err)
		}
		l = newLease(t, ebpf.Way{})
		if err := l.meterOf().Pay(t.Context(), ebpf.Egress, 1); !errors.Is(err, ErrNever) {
			t.Errorf("%v, want %v", err, ErrNever)
		}
	})
}

func TestWriterPassesNothingOn(t *testing.T) {
	l := newLease(t, ebpf.Way{})
	var got bytes.Buffer
	n, err := l.meterOf().Writer(t.Context(), ebpf.Egress, &got).Write([]byte("x"))
	if n != 0 || !errors.Is(err, ErrNever) || got.Len() > 0 {
		t.Errorf("wrote %d, %v", n, err)
	}
	if _, err := l.meterOf().Writer(t.Context(), ebpf.Egress, &got).Write(nil); err != nil || l.calls > 2*15 {
		t.Errorf("an end costs nothing: %v", err)
	}
}
