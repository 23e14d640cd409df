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
const settle = 200 * time.Millisecond

// flood sends from one space to another as fast as one thread can for the
// time, and returns packets or bits per second that arrived.
type flood func(ctx context.Context, from, to space, source, sink netip.Addr, d time.Duration) (float64, error)

// pinned runs f on one processor, so that sender and receiver do not chase each
// other over the machine. Its thread ends with it.
func pinned(wg *sync.WaitGroup, cpu int, f func()) {
	wg.Go(func() {
		runtime.LockOSThread()
		var set unix.CPUSet
		set.Set(cpu % runtime.NumCPU())
		_ = unix.SchedSetaffinity(0, &set) // where it is not allowed, the figures only spread more
		f()
	})
}

// udp sends frames of 64 bytes (22 of payload, as a frame's checksum is not
// there on a veth) and counts those that reach the far device: what a socket
// then drops for want of a reader is not the link's doing.
func udp(ctx context.Context, from, to space, source, sink netip.Addr, d time.Duration) (float64, error) {
	in, err := socket(to.NsHandle, netip.AddrPortFrom(sink, 9000), netip.AddrPort{})
	if err != nil {
		return 0, err
	}
	out, err := socket(from.NsHandle, netip.AddrPortFrom(source, 9001), netip.AddrPortFrom(sink, 9000))
	if err != nil {
		unix.Close(in)
		return 0, err
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	defer func() { stop.Store(true); wg.Wait(); unix.Close(in); unix.Close(out) }()
	pinned(&wg, 1, func() {
		buf := make([]byte, 64)
		for !stop.Load() {
			_, _ = unix.Read(in, buf) // times out, so that it sees the end
		}
	})
	pinned(&wg, 0, func() {
		buf := make([]byte, 22)
		for !stop.Load() {
			_, _ = unix.Write(out, buf) // what a full queue refuses does not arrive, which is what is counted
		}
	})
	return rate(ctx, d, func() (uint64, error) { return to.received(ends) })
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

// tcp sends one flow and counts the bits that its reader gets.
func tcp(ctx context.Context, from, to space, source, sink netip.Addr, d time.Duration) (float64, error) {
	var l net.Listener
	err := within(to.NsHandle, func() (err error) { l, err = net.Listen("tcp4", netip.AddrPortFrom(sink, 0).String()); return err })
	if err != nil {
		return 0, err
	}
	defer l.Close()
	var out net.Conn
	err = within(from.NsHandle, func() (err error) { out, err = net.DialTimeout("tcp4", l.Addr().String(), 5*time.Second); return err })
	if err != nil {
		return 0, fmt.Errorf("connecting %s to %s: %w", source, sink, err)
	}
	in, err := l.Accept()
	if err != nil {
		out.Close()
		return 0, err
	}
	var got atomic.Uint64
	var wg sync.WaitGroup
	defer func() { out.Close(); in.Close(); wg.Wait() }()
	pinned(&wg, 1, func() {
		buf := make([]byte, 1<<20)
		for {
			n, err := in.Read(buf)
			got.Add(uint64(n) * 8)
			if err != nil {
				return // closed above
			}
		}
	})
	pinned(&wg, 0, func() {
		buf := make([]byte, 128<<10)
		for {
			if _, err := out.Write(buf); err != nil {
				return // closed above
			}
		}
	})
	return rate(ctx, d, func() (uint64, error) { return got.Load(), nil })
}

// rate is how fast a counter grows.
func rate(ctx context.Context, d time.Duration, count func() (uint64, error)) (float64, error) {
	if err := pause(ctx, settle); err != nil {
		return 0, err
	}
	before, err1 := count()
	start := time.Now()
	if err := pause(ctx, d); err != nil {
		return 0, err
	}
	after, err2 := count()
	took := time.Since(start)
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	if after == before {
		return 0, errors.New("nothing arrives")
	}
	return float64(after-before) / took.Seconds(), nil
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
