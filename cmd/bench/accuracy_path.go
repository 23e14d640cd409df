// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A path leads from where bulk data comes to where it goes. Connections are made
// by one of its ends, which need not be the one that sends.
type path struct {
	dialer, listener space
	at               netip.Addr // of the listener
	backwards        bool       // the listener sends
	into             space      // whose device counts what arrives, a packet at a time
	device           string
}

// count is what the device got so far. On a busy machine a reading can take long
// to come back; one that took too long to be of one moment is taken again.
func (p path) count() (c counted, err error) {
	for range 100 {
		start := time.Now()
		l, err := p.into.links.LinkByName(p.device)
		if err != nil {
			return c, err
		}
		took := time.Since(start)
		s := l.Attrs().Statistics
		c = counted{start.Add(took / 2), s.RxBytes, s.RxPackets}
		if took < time.Millisecond {
			break
		}
	}
	return c, nil
}

type counted struct {
	at             time.Time
	bytes, packets uint64
}

// A passage is what passed in a window, in bit/s and packets/s.
type passage struct{ l3, l2, goodput, packets float64 }

// pair opens one connection and returns its sending and its receiving end.
func (p path) pair(ctx context.Context, l net.Listener, control string) (from, to net.Conn, err error) {
	set := func(c syscall.RawConn) (err error) {
		if control == "" {
			return nil
		}
		if e := c.Control(func(fd uintptr) {
			err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, control)
		}); e != nil {
			return e
		}
		return err
	}
	var out net.Conn
	err = within(p.dialer.NsHandle, func() (err error) {
		d := net.Dialer{Timeout: 10 * time.Second, Control: func(_, _ string, c syscall.RawConn) error { return set(c) }}
		out, err = d.DialContext(ctx, "tcp4", l.Addr().String())
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	in, err := l.Accept()
	if err != nil {
		out.Close()
		return nil, nil, err
	}
	raw, err := in.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = set(raw)
	}
	if err != nil {
		in.Close()
		out.Close()
		return nil, nil, fmt.Errorf("choosing %s: %w", control, err)
	}
	if p.backwards {
		return in, out, nil
	}
	return out, in, nil
}

func (p path) listen() (l net.Listener, err error) {
	err = within(p.listener.NsHandle, func() (err error) {
		l, err = net.Listen("tcp4", netip.AddrPortFrom(p.at, 0).String())
		return err
	})
	return l, err
}

// bulk are flows that send as much as they can.
type bulk struct {
	got  atomic.Uint64 // bytes, by the readers
	ends []net.Conn
	wg   sync.WaitGroup
}

func (p path) bulk(ctx context.Context, flows int, control string) (*bulk, error) {
	l, err := p.listen()
	if err != nil {
		return nil, err
	}
	defer l.Close()
	b := &bulk{}
	for range flows {
		from, to, err := p.pair(ctx, l, control)
		if err != nil {
			b.stop()
			return nil, err
		}
		b.ends = append(b.ends, from, to)
	}
	for i := 0; i < len(b.ends); i += 2 {
		from, to := b.ends[i], b.ends[i+1]
		b.wg.Go(func() {
			buf := make([]byte, 64<<10)
			for {
				if _, err := from.Write(buf); err != nil {
					return // closed by stop
				}
			}
		})
		b.wg.Go(func() {
			buf := make([]byte, 256<<10)
			for {
				n, err := to.Read(buf)
				b.got.Add(uint64(n))
				if err != nil {
					return
				}
			}
		})
	}
	return b, nil
}

func (b *bulk) stop() {
	for _, c := range b.ends {
		// What is still queued is not waited for.
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	b.wg.Wait()
}

// carry runs bulk flows, and measures what arrives in a window after a while.
func (p path) carry(ctx context.Context, flows int, control string, before, window time.Duration) (r passage, err error) {
	b, err := p.bulk(ctx, flows, control)
	if err != nil {
		return r, err
	}
	defer b.stop()
	if err := pause(ctx, before); err != nil {
		return r, err
	}
	got := b.got.Load()
	c0, err := p.count()
	if err != nil {
		return r, err
	}
	if err := pause(ctx, window); err != nil {
		return r, err
	}
	c1, err := p.count()
	if err != nil {
		return r, err
	}
	good := b.got.Load() - got
	t := c1.at.Sub(c0.at).Seconds()
	bytes, packets := float64(c1.bytes-c0.bytes), float64(c1.packets-c0.packets)
	if packets == 0 {
		return r, errors.New("nothing arrives")
	}
	return passage{l3: (bytes - 14*packets) * 8 / t, l2: bytes * 8 / t, goodput: float64(good) * 8 / t, packets: packets / t}, nil
}

// ask sends a small request every so often over one connection, and returns how
// long each answer took, in milliseconds.
func (p path) ask(ctx context.Context, every, during time.Duration) (s sample, err error) {
	l, err := p.listen()
	if err != nil {
		return nil, err
	}
	defer l.Close()
	from, to, err := p.pair(ctx, l, "")
	if err != nil {
		return nil, err
	}
	defer from.Close()
	defer to.Close()
	go func() {
		buf := make([]byte, 64)
		for {
			if _, err := io.ReadFull(to, buf); err != nil {
				return
			}
			if _, err := to.Write(buf); err != nil {
				return
			}
		}
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	buf := make([]byte, 64)
	for end := time.Now().Add(during); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-tick.C:
		}
		from.SetDeadline(time.Now().Add(30 * time.Second))
		start := time.Now()
		if _, err := from.Write(buf); err != nil {
			return s, err
		}
		if _, err := io.ReadFull(from, buf); err != nil {
			return s, err
		}
		s = append(s, float64(time.Since(start))/float64(time.Millisecond))
	}
	if len(s) == 0 {
		return s, errors.New("no answer")
	}
	return s, nil
}

// single has a device send no super-packets, so that who is behind it counts
// packets as they are on a wire. It cuts what leaves its queues, not what enters.
func single(s space, device string) error {
	l, err := s.links.LinkByName(device)
	if err != nil {
		return err
	}
	return s.links.LinkSetGSOMaxSegs(l, 1)
}

// newLink lays a veth between two spaces, both ends up and addressed.
func newLink(a, b space, nameA, nameB string, addrA, addrB netip.Prefix) error {
	err := a.links.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: nameA, TxQLen: 1000}, PeerName: nameB, PeerNamespace: netlink.NsFd(int(b.NsHandle))})
	if err != nil {
		return fmt.Errorf("making a veth: %w", err)
	}
	for _, e := range []struct {
		s    space
		name string
		addr netip.Prefix
	}{{a, nameA, addrA}, {b, nameB, addrB}} {
		l, err := e.s.links.LinkByName(e.name)
		if err != nil {
			return err
		}
		err = errors.Join(e.s.links.LinkSetUp(l),
			e.s.links.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: e.addr.Addr().AsSlice(), Mask: net.CIDRMask(e.addr.Bits(), 32)}}))
		if err != nil {
			return err
		}
	}
	return nil
}

// datagrams floods small ones and returns how many arrive a second, once what a
// bucket held at first is gone.
func (p path) datagrams(ctx context.Context, during time.Duration) (rate float64, err error) {
	var far, near net.PacketConn
	err = within(p.listener.NsHandle, func() (err error) {
		far, err = net.ListenPacket("udp4", netip.AddrPortFrom(p.at, 0).String())
		return err
	})
	if err != nil {
		return 0, err
	}
	defer far.Close()
	err = within(p.dialer.NsHandle, func() (err error) { near, err = net.ListenPacket("udp4", "0.0.0.0:0"); return err })
	if err != nil {
		return 0, err
	}
	defer near.Close()
	// The far end learns the way back.
	if _, err := near.WriteTo([]byte("hello"), far.LocalAddr()); err != nil {
		return 0, err
	}
	far.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, back, err := far.ReadFrom(make([]byte, 64))
	if err != nil {
		return 0, err
	}
	from, to := near, far.LocalAddr()
	if p.backwards {
		from, to = far, back
	}
	var wg sync.WaitGroup
	defer func() { from.Close(); wg.Wait() }()
	wg.Go(func() {
		buf := make([]byte, 22)
		for {
			if _, err := from.WriteTo(buf, to); errors.Is(err, net.ErrClosed) {
				return
			}
		}
	})
	if err := pause(ctx, time.Second); err != nil {
		return 0, err
	}
	c0, err := p.count()
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, during); err != nil {
		return 0, err
	}
	c1, err := p.count()
	return float64(c1.packets-c0.packets) / c1.at.Sub(c0.at).Seconds(), err
}
