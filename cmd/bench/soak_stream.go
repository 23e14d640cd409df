// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"time"
)

// streams has a sliver send and get by TCP as fast as its lease lets it, and open
// short connections beside.
func (t *traffic) streams() error {
	var outer, inner net.Listener
	err := within(t.node.world.NsHandle, func() (err error) {
		outer, err = net.Listen("tcp4", netip.AddrPortFrom(t.node.gateway, sinkPort).String())
		return err
	})
	if err != nil {
		return err
	}
	t.closers = append(t.closers, func() { outer.Close() })
	err = within(t.tcp.space.NsHandle, func() (err error) {
		inner, err = net.Listen("tcp4", netip.AddrPortFrom(t.tcp.source, insideTCP).String())
		return err
	})
	if err != nil {
		return err
	}
	t.closers = append(t.closers, func() { inner.Close() })
	for _, l := range []net.Listener{outer, inner} {
		t.crew.Go(func() { t.swallow(l) })
	}
	for range 4 {
		t.crew.Go(func() { t.pour(t.tcp.space, netip.AddrPortFrom(t.node.gateway, sinkPort)) })
		t.crew.Go(func() { t.pour(t.node.world, netip.AddrPortFrom(t.node.address, publicTCP)) })
	}
	t.crew.Go(func() {
		for pause(t.ctx, 100*time.Millisecond) == nil {
			if c, err := dial(t.tcp.space, netip.AddrPortFrom(t.node.gateway, sinkPort)); err == nil {
				_, _ = c.Write([]byte("short"))
				c.Close()
			}
		}
	})
	return nil
}

func (t *traffic) swallow(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // closed
		}
		t.crew.Go(func() {
			defer c.Close()
			drop := stopAt(t, c)
			defer drop()
			_, _ = io.Copy(io.Discard, c)
		})
	}
}

// pour sends until the traffic stops, over another connection when one breaks.
func (t *traffic) pour(from space, to netip.AddrPort) {
	buf := make([]byte, 64<<10)
	for t.ctx.Err() == nil {
		c, err := dial(from, to)
		for drop := stopAt(t, c); err == nil; {
			if _, err = c.Write(buf); err != nil {
				drop()
				c.Close()
			}
		}
		if pause(t.ctx, time.Second) != nil {
			return
		}
	}
}

// stopAt closes a connection when the traffic stops, unless it is let go before.
func stopAt(t *traffic, c net.Conn) (letGo func()) {
	done := make(chan struct{})
	if c == nil {
		return func() {}
	}
	go func() {
		select {
		case <-t.ctx.Done():
			c.Close()
		case <-done:
		}
	}()
	return func() { close(done) }
}

func dial(from space, to netip.AddrPort) (c net.Conn, err error) {
	err = within(from.NsHandle, func() (err error) {
		c, err = net.DialTimeout("tcp4", to.String(), 5*time.Second)
		return err
	})
	if err == nil && c == nil {
		err = errors.New("no connection")
	}
	return c, err
}
