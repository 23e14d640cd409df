// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// conn is one end of a connection. It implements [network.Conn].
type conn struct {
	link   *link
	end    int
	host   *Host
	opened time.Time

	known  chan struct{} // closed when identify has told, or failed
	enter  sync.Once
	leave  sync.Once
	closed atomic.Bool
	why    atomic.Pointer[network.ConnError]

	streams uint64 // so far; guarded by the link, as is
	count   int    // open
}

// connect makes a connection that the host has dialled: the dialler has it at once,
// the other end when the dialler's last word has got there.
func (f *Fabric) connect(from, to *Host) *conn {
	l := &link{fabric: f, streams: map[*pair]struct{}{}, quiet: !f.reserve(from, to)}
	at := time.Now()
	for i, h := range []*Host{from, to} {
		l.ends[i] = &conn{link: l, end: i, host: h, opened: at, known: make(chan struct{})}
	}
	way, _ := f.way(from, to, overhead)
	l.accept = now() + int64(way)
	f.mu.Lock()
	f.links[l] = struct{}{}
	f.mu.Unlock()
	l.ends[0].accepted()
	time.AfterFunc(way, l.ends[1].accepted)
	if l.used.Store(now()); l.quiet {
		time.AfterFunc(QuietFor, l.rest)
	}
	l.recut() // it may have been cut since the dial
	return l.ends[0]
}

// accepted takes the connection into the host's table and has it identified.
func (c *conn) accepted() {
	c.enter.Do(func() {
		if c.closed.Load() || !c.host.add(c) {
			c.die(&network.ConnError{ErrorCode: network.ConnShutdown})
			c.farewell(network.ConnShutdown)
			return
		}
		wait, ok := c.link.fabric.roundTrip(c.host, c.other().host)
		if !ok {
			wait = IdleTimeout
		}
		time.AfterFunc(wait, c.identify)
	})
}

func (c *conn) other() *conn { return c.link.ends[1-c.end] }

// Close implements [network.Conn].
func (c *conn) Close() error { return c.CloseWithError(network.ConnNoError) }

// CloseWithError implements [network.Conn]: the other end is told.
func (c *conn) CloseWithError(code network.ConnErrorCode) error {
	if c.closed.Load() {
		return nil
	}
	c.farewell(code)
	c.die(&network.ConnError{ErrorCode: code})
	return nil
}

// farewell tells the other end, which finds out by itself if that does not get there.
func (c *conn) farewell(code network.ConnErrorCode) {
	o := c.other()
	told := c.link.tell(c.end, func() {
		o.accepted()
		o.die(&network.ConnError{ErrorCode: code, Remote: true})
	})
	if !told {
		time.AfterFunc(idle(), func() { o.die(&network.ConnError{TransportError: ErrNoAnswer}) })
	}
}

// die ends the connection at this end alone.
func (c *conn) die(why *network.ConnError) {
	c.leave.Do(func() {
		c.why.Store(why)
		c.closed.Store(true)
		l := c.link
		l.mu.Lock()
		for p := range l.streams {
			p.fail(c.end, why)
		}
		l.mu.Unlock()
		c.host.remove(c)
		if !l.quiet {
			l.fabric.mu.Lock()
			c.host.loud--
			l.fabric.mu.Unlock()
		}
		l.forget()
	})
}

func (c *conn) reason() error {
	if why := c.why.Load(); why != nil {
		return why
	}
	return network.ErrReset
}

// NewStream implements [network.Conn]: a stream without a protocol, of which the other
// end hears with the first bytes.
func (c *conn) NewStream(ctx context.Context) (network.Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	s, err := c.link.open(c.end)
	if err != nil {
		return nil, fmt.Errorf("opening stream: %w", err)
	}
	return s, nil
}

// GetStreams implements [network.Conn].
func (c *conn) GetStreams() (all []network.Stream) {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	for p := range c.link.streams {
		if s := p.ends[c.end]; !s.dropped && (p.opener == c.end || p.open) {
			all = append(all, s)
		}
	}
	return all
}

// IsClosed implements [network.Conn].
func (c *conn) IsClosed() bool { return c.closed.Load() }

// As implements [network.Conn].
func (c *conn) As(any) bool { return false }

// ID implements [network.Conn].
func (c *conn) ID() string { return fmt.Sprintf("%s-%p", c.host.id.ShortString(), c) }

// LocalPeer implements [network.ConnSecurity].
func (c *conn) LocalPeer() peer.ID { return c.host.id }

// RemotePeer implements [network.ConnSecurity].
func (c *conn) RemotePeer() peer.ID { return c.other().host.id }

// RemotePublicKey implements [network.ConnSecurity].
func (c *conn) RemotePublicKey() crypto.PubKey { return c.other().host.key.GetPublic() }

// ConnState implements [network.ConnSecurity].
func (c *conn) ConnState() network.ConnectionState {
	return network.ConnectionState{Transport: "lean"}
}

// LocalMultiaddr implements [network.ConnMultiaddrs].
func (c *conn) LocalMultiaddr() ma.Multiaddr { return c.host.addr }

// RemoteMultiaddr implements [network.ConnMultiaddrs].
func (c *conn) RemoteMultiaddr() ma.Multiaddr { return c.other().host.addr }

// Stat implements [network.ConnStat].
func (c *conn) Stat() network.ConnStats {
	dir := network.DirOutbound
	if c.end == 1 {
		dir = network.DirInbound
	}
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	return network.ConnStats{Stats: network.Stats{Direction: dir, Opened: c.opened}, NumStreams: c.count}
}

// Scope implements [network.ConnScoper].
func (c *conn) Scope() network.ConnScope { return &network.NullScope{} }
