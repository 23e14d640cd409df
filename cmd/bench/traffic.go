// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// settle is how long a flow runs before it is measured.
const settle = 100 * time.Millisecond

// A flow is what arrived, in packets or bits: per second, and per second of
// processor time of its busier thread. On veths the threads do all the work, in
// system calls, so the second is what the first would be on a machine where
// nothing else runs. (A kernel with IRQ_TIME_ACCOUNTING leaves soft interrupts
// out of a thread's time, and flatters both sides.)
type flow struct{ wall, busy float64 }

// flood sends from one space to another as fast as one thread can for the time.
type flood func(ctx context.Context, from, to space, source, sink netip.Addr, d time.Duration) (flow, error)

// A worker is a thread of its own on one processor, so that sender and receiver
// do not chase each other over the machine. It ends with its function.
type worker struct{ clock int32 }

func work(wg *sync.WaitGroup, cpu int, f func()) worker {
	tid := make(chan int)
	wg.Go(func() {
		runtime.LockOSThread()
		var set unix.CPUSet
		set.Set(cpu % runtime.NumCPU())
		_ = unix.SchedSetaffinity(0, &set) // where it is not allowed, the figures only spread more
		tid <- unix.Gettid()
		f()
	})
	const perThread, scheduled = 4, 2 // of a CPU clock's id; see clock_getcpuclockid(3)
	return worker{int32(^<-tid)<<3 | perThread | scheduled}
}

// used is the thread's processor time so far.
func (w worker) used() (time.Duration, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(w.clock, &ts)
	return time.Duration(ts.Nano()), err
}

// udp sends frames of a size (42 bytes of it are headers, as a frame's checksum is
// not there on a veth) in so many flows by turns, and counts those that reach the
// far device. The socket there has no reader and is soon full: waking one costs more
// than all of the path, and would hide what is compared.
func udp(frame, flows int) flood {
	return func(ctx context.Context, from, to space, source, sink netip.Addr, d time.Duration) (f flow, err error) {
		var fds []int
		defer func() {
			for _, fd := range fds {
				unix.Close(fd)
			}
		}()
		for i := range flows + 1 {
			at, local, peer := from, netip.AddrPortFrom(source, uint16(9000+i)), netip.AddrPortFrom(sink, 9000)
			if i == 0 {
				at, local, peer = to, peer, netip.AddrPort{}
			}
			fd, err := socket(at.NsHandle, local, peer)
			if err != nil {
				return f, err
			}
			fds = append(fds, fd)
		}
		var stop atomic.Bool
		var wg sync.WaitGroup
		defer func() { stop.Store(true); wg.Wait() }()
		sender := work(&wg, 0, func() {
			buf := make([]byte, frame-42)
			for !stop.Load() {
				for _, out := range fds[1:] {
					_, _ = unix.Write(out, buf) // what a full queue refuses does not arrive, which is what is counted
				}
			}
		})
		return rate(ctx, d, func() (uint64, error) { return to.received(ends) }, sender)
	}
}

// socket opens a UDP socket; one that reads gives up after a while.
func socket(ns netns.NsHandle, local, peer netip.AddrPort) (fd int, err error) {
	err = within(ns, func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return 0, err
	}
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}),
		unix.Bind(fd, &unix.SockaddrInet4{Port: int(local.Port()), Addr: local.Addr().As4()}))
	if err == nil && peer.IsValid() {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(peer.Port()), Addr: peer.Addr().As4()})
	}
	if err != nil {
		unix.Close(fd)
	}
	return fd, err
}

// tcp sends over so many connections by turns, and counts the bits that their reader
// gets, who takes them in the same turns.
func tcp(flows int) flood {
	return func(ctx context.Context, from, to space, source, sink netip.Addr, d time.Duration) (f flow, err error) {
		var l net.Listener
		err = within(to.NsHandle, func() (err error) { l, err = net.Listen("tcp4", netip.AddrPortFrom(sink, 0).String()); return err })
		if err != nil {
			return f, err
		}
		defer l.Close()
		var ins, outs []net.Conn
		var wg sync.WaitGroup
		defer func() {
			for _, c := range append(ins, outs...) {
				c.Close()
			}
			wg.Wait()
		}()
		for range flows {
			var out net.Conn
			err := within(from.NsHandle, func() (err error) { out, err = net.DialTimeout("tcp4", l.Addr().String(), 5*time.Second); return err })
			if err != nil {
				return f, fmt.Errorf("connecting %s to %s: %w", source, sink, err)
			}
			outs = append(outs, out)
			in, err := l.Accept()
			if err != nil {
				return f, err
			}
			ins = append(ins, in)
		}
		const piece = 128 << 10
		var got atomic.Uint64
		reader := work(&wg, 1, func() {
			buf := make([]byte, piece)
			for {
				for _, in := range ins {
					for left := piece; left > 0; {
						n, err := in.Read(buf[:left])
						got.Add(uint64(n) * 8)
						if err != nil {
							return // closed above
						}
						left -= n
					}
				}
			}
		})
		writer := work(&wg, 0, func() {
			buf := make([]byte, piece)
			for {
				for _, out := range outs {
					if _, err := out.Write(buf); err != nil {
						return // closed above
					}
				}
			}
		})
		return rate(ctx, d, func() (uint64, error) { return got.Load(), nil }, writer, reader)
	}
}

// rate is how fast a counter grows, by the clock and by the busier worker's.
func rate(ctx context.Context, d time.Duration, count func() (uint64, error), workers ...worker) (f flow, err error) {
	if err := pause(ctx, settle); err != nil {
		return f, err
	}
	used := make([]time.Duration, len(workers))
	for i, w := range workers {
		if used[i], err = w.used(); err != nil {
			return f, err
		}
	}
	before, err1 := count()
	start := time.Now()
	if err := pause(ctx, d); err != nil {
		return f, err
	}
	after, err2 := count()
	took := time.Since(start)
	var busy time.Duration
	for i, w := range workers {
		now, err := w.used()
		if err != nil {
			return f, err
		}
		busy = max(busy, now-used[i])
	}
	if err := errors.Join(err1, err2); err != nil {
		return f, err
	}
	if after == before || busy == 0 {
		return f, errors.New("nothing arrives")
	}
	return flow{float64(after-before) / took.Seconds(), float64(after-before) / busy.Seconds()}, nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
