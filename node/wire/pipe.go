// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"croft/lease"
)

// PipeProtocol carries bytes from a way in to a target node, nothing else. The
// caller speaks first.
const PipeProtocol protocol.ID = "/croft/pipe/1"

// pipe is a libp2p stream as net.Conn.
type pipe struct {
	network.Stream
	once    sync.Once
	release func() // may be nil
}

func (p *pipe) LocalAddr() net.Addr  { return addr(p.Conn().LocalPeer().String()) }
func (p *pipe) RemoteAddr() net.Addr { return addr(p.Conn().RemotePeer().String()) }

// Close ends both directions; what was written still arrives.
func (p *pipe) Close() error {
	err := p.Stream.Close()
	p.once.Do(func() {
		if p.release != nil {
			p.release()
		}
	})
	return err
}

// Dial opens a pipe to target, whose addresses the host's peerstore or routing
// knows. The error is ErrUnreachable or the context's. A pipe over a connection
// that proves dead fails within pulseTimeout, and may be opened again.
func Dial(ctx context.Context, h host.Host, target lease.Principal) (net.Conn, error) {
	id, err := PeerID(target)
	if err != nil {
		return nil, err
	}
	old := h.Network().ConnsToPeer(id)
	takePulse(old)
	s, err := open(ctx, h, id)
	if err != nil && len(old) > 0 && ctx.Err() == nil {
		s, err = open(ctx, h, id) // over a new connection
	}
	if err != nil {
		return nil, fmt.Errorf("opening pipe to %s: %w: %w", target.Short(), ErrUnreachable, err)
	}
	return &pipe{Stream: s}, nil
}

// open opens the stream of a pipe. Where there is only a relayed connection that
// has just begun, it waits a little for a direct one, which a relay's quotas do
// not concern: both sides try for it as soon as they know of one another.
func open(ctx context.Context, h host.Host, id peer.ID) (network.Stream, error) {
	relayed := network.WithAllowLimitedConn(ctx, "croft pipe")
	if err := h.Connect(relayed, peer.AddrInfo{ID: id}); err != nil {
		return nil, err
	}
	if until, wait := punching(h.Network().ConnsToPeer(id)); wait {
		soon, cancel := context.WithDeadline(ctx, until)
		defer cancel()
		if s, err := h.NewStream(soon, id, PipeProtocol); err == nil {
			return s, nil
		}
	}
	return h.NewStream(relayed, id, PipeProtocol)
}

// punching says until when a direct connection may still come of those that there
// are, all of them relayed.
func punching(conns []network.Conn) (until time.Time, wait bool) {
	for _, c := range conns {
		if !c.Stat().Limited {
			return time.Time{}, false
		}
		if end := c.Stat().Opened.Add(punchWait); end.After(until) {
			until = end
		}
	}
	return until, time.Now().Before(until)
}

// Splice copies both ways between a and b until both directions have ended, one
// fails, ctx ends, or nothing moves for idle (0: IdleTimeout; NoIdle: for ever).
// It closes both.
// The end of one direction is passed on where the connection can (CloseWrite).
func Splice(ctx context.Context, a, b net.Conn, idle time.Duration) error {
	if idle == 0 {
		idle = IdleTimeout
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer a.Close()
	defer b.Close()
	var moved atomic.Uint64 // counts pieces, either way
	stop := context.AfterFunc(ctx, func() {
		for _, c := range []net.Conn{a, b} {
			reset(c)
		}
	})
	defer stop()

	ends := make(chan error, 2)
	go func() { ends <- copyOne(b, a, &moved) }()
	go func() { ends <- copyOne(a, b, &moved) }()

	var quiet <-chan time.Time
	if idle > 0 {
		watch := time.NewTicker(idle)
		defer watch.Stop()
		quiet = watch.C
	}
	var last uint64
	var failed error
	for left := 2; left > 0; {
		select {
		case err := <-ends:
			left--
			if err != nil && failed == nil {
				failed = err
				cancel(err)
			}
		case <-quiet:
			now := moved.Load()
			if now == last && failed == nil {
				failed = ErrIdle
				cancel(ErrIdle)
			}
			last = now
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return failed
}

func copyOne(to, from net.Conn, moved *atomic.Uint64) error {
	b := make([]byte, maxPiece)
	for {
		n, err := from.Read(b)
		if n > 0 {
			moved.Add(1)
			if _, werr := to.Write(b[:n]); werr != nil {
				return werr
			}
		}
		if errors.Is(err, io.EOF) {
			if c, ok := to.(interface{ CloseWrite() error }); ok {
				return c.CloseWrite()
			}
			return to.Close()
		}
		if err != nil {
			return err
		}
	}
}

// reset ends c at once, without waiting for what is written.
func reset(c net.Conn) {
	if p, ok := c.(*pipe); ok {
		p.Reset()
	}
	c.Close()
}
