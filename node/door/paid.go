// SPDX-License-Identifier: Apache-2.0

package door

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"croft/ebpf"
	"croft/ebpf/pace"
)

// paid is a sliver's connection, whose bytes wait for its lease. Who does not read
// what is sent within patience is hung up on.
type paid struct {
	net.Conn
	r     *bufio.Reader // what was read ahead
	ctx   context.Context
	stop  context.CancelFunc // of ctx: what waits to be paid for waits no longer than the connection
	meter pace.Meter
	once  sync.Once
	over  chan struct{} // closed when the connection is; nil: nobody waits
}

func (p *paid) Read(b []byte) (int, error) {
	return p.meter.Reader(p.ctx, ebpf.Egress, p.r).Read(b)
}

func (p *paid) Write(b []byte) (int, error) {
	return p.meter.Writer(p.ctx, ebpf.Ingress, timely{p.Conn}).Write(b)
}

func (p *paid) Close() error {
	err := p.Conn.Close()
	p.stop()
	if p.over != nil {
		p.once.Do(func() { close(p.over) })
	}
	return err
}

// timely gives each write its time.
type timely struct{ net.Conn }

func (t timely) Write(b []byte) (int, error) {
	if err := t.Conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return t.Conn.Write(b)
}

// hall is a listener of connections that came in by the door.
type hall struct {
	conns chan net.Conn
	over  chan struct{}
	once  sync.Once
	addr  net.Addr
}

func newHall(addr net.Addr) *hall {
	return &hall{conns: make(chan net.Conn), over: make(chan struct{}), addr: addr}
}

// admit hands a connection on and returns when it is closed.
func (h *hall) admit(ctx context.Context, p *paid) {
	p.over = make(chan struct{})
	select {
	case h.conns <- p:
	case <-h.over:
		return
	}
	select {
	case <-p.over:
	case <-ctx.Done():
	}
}

func (h *hall) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.over:
		return nil, net.ErrClosed
	}
}

func (h *hall) Close() error   { h.once.Do(func() { close(h.over) }); return nil }
func (h *hall) Addr() net.Addr { return h.addr }
