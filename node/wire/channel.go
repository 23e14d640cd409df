// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/security/noise"

	"croft/lease"
)

// prologue binds a handshake to this use of the keys: a middleman that passes
// it on to a libp2p host, which has none, gets nowhere.
const prologue = "croft/pipe/1\n"

// Secure proves key's principal to target over conn, has target proved in
// return, and gives the channel between the two. The error is ErrWrongNode,
// ErrHandshake or the context's; conn is closed then. Without a deadline in ctx
// the handshake has HandshakeTimeout.
func Secure(ctx context.Context, conn net.Conn, key ed25519.PrivateKey, target lease.Principal) (net.Conn, error) {
	id, err := PeerID(target)
	if err != nil {
		conn.Close()
		return nil, err
	}
	c, err := handshake(ctx, conn, key, func(ctx context.Context, t sec.SecureTransport) (sec.SecureConn, error) {
		return t.SecureOutbound(ctx, conn, id)
	})
	if err != nil {
		return nil, fmt.Errorf("securing channel to %s: %w", target.Short(), err)
	}
	return c, nil
}

// Accept is the other side of Secure: it returns the channel and the principal
// that its caller has proved.
func Accept(ctx context.Context, conn net.Conn, key ed25519.PrivateKey) (net.Conn, lease.Principal, error) {
	c, err := handshake(ctx, conn, key, func(ctx context.Context, t sec.SecureTransport) (sec.SecureConn, error) {
		return t.SecureInbound(ctx, conn, "")
	})
	if err != nil {
		return nil, lease.Principal{}, fmt.Errorf("accepting channel: %w", err)
	}
	return c, c.caller, nil
}

func handshake(ctx context.Context, conn net.Conn, key ed25519.PrivateKey,
	run func(context.Context, sec.SecureTransport) (sec.SecureConn, error)) (*channel, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, HandshakeTimeout)
		defer cancel()
	}
	k, err := libp2pKey(key)
	if err != nil {
		conn.Close()
		return nil, err
	}
	t, err := noise.New(noise.ID, k, nil)
	if err != nil {
		conn.Close()
		return nil, err
	}
	st, err := t.WithSessionOptions(noise.Prologue([]byte(prologue)))
	if err != nil {
		conn.Close()
		return nil, err
	}
	s, err := run(ctx, st)
	if err != nil {
		conn.Close()
		var mismatch sec.ErrPeerIDMismatch
		if errors.As(err, &mismatch) {
			return nil, fmt.Errorf("%w: %w", ErrWrongNode, err)
		}
		return nil, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	other, err := Principal(s.RemotePeer())
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	return newChannel(s, other), nil
}

// channel frames a Noise session into pieces, a two-byte length and the bytes;
// length 0 is the end of a direction.
//
// Reading goes through a pump and a pipe in memory. A deadline that falls in
// the middle of a Noise message would lose the bytes that were read of it, and
// net/http interrupts reads at will: so deadlines act on the pipe, and the
// session is read without any.
type channel struct {
	session sec.SecureConn
	caller  lease.Principal
	source  netip.Addr // of the host that opened the pipe, if it was seen directly

	plain  net.Conn // the reader's end
	pumped error    // why the pump ended; set before the other end is closed
	ended  chan struct{}

	write  sync.Mutex
	broken error // a failed write leaves half a message: nothing can follow
}

func newChannel(s sec.SecureConn, other lease.Principal) *channel {
	reader, pump := net.Pipe()
	c := &channel{session: s, caller: other, plain: reader, ended: make(chan struct{})}
	go c.pump(pump)
	return c
}

func (c *channel) pump(into net.Conn) {
	defer into.Close()
	defer close(c.ended)
	r := bufio.NewReaderSize(c.session, maxPiece+2)
	piece := make([]byte, maxPiece)
	for {
		var head [2]byte
		_, err := io.ReadFull(r, head[:])
		n := int(binary.BigEndian.Uint16(head[:]))
		switch {
		case err == nil && n == 0:
			c.pumped = io.EOF
			return
		case err == nil && n > maxPiece:
			err = fmt.Errorf("piece of %d bytes, limit %d: %w", n, maxPiece, ErrHandshake)
		case err == nil:
			_, err = io.ReadFull(r, piece[:n])
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // no end was marked: somebody cut it off
		}
		if err == nil {
			_, err = into.Write(piece[:n])
		}
		if err != nil {
			c.pumped = err
			return
		}
	}
}

func (c *channel) Read(b []byte) (int, error) {
	n, err := c.plain.Read(b)
	if err == io.EOF {
		<-c.ended
		err = c.pumped
	}
	return n, err
}

func (c *channel) Write(b []byte) (n int, err error) {
	c.write.Lock()
	defer c.write.Unlock()
	for len(b) > 0 && err == nil {
		piece := b[:min(len(b), maxPiece)]
		if err = c.put(piece); err == nil {
			n += len(piece)
			b = b[len(piece):]
		}
	}
	return n, err
}

// put writes one piece. It is called with write held.
func (c *channel) put(piece []byte) error {
	if c.broken != nil {
		return c.broken
	}
	b := make([]byte, 2, 2+len(piece))
	binary.BigEndian.PutUint16(b, uint16(len(piece)))
	if _, err := c.session.Write(append(b, piece...)); err != nil {
		c.broken = err
		return err
	}
	if len(piece) == 0 {
		c.broken = net.ErrClosed
	}
	return nil
}

// CloseWrite marks the end of this direction; the other goes on.
func (c *channel) CloseWrite() error {
	c.write.Lock()
	defer c.write.Unlock()
	if c.broken == net.ErrClosed {
		return nil
	}
	return c.put(nil)
}

// Close marks the end, unless a write is stuck: then the other side is told the
// truth, that the stream was cut.
func (c *channel) Close() error {
	if c.write.TryLock() {
		if c.broken == nil {
			c.session.SetWriteDeadline(time.Now().Add(closeTimeout))
			c.put(nil)
		}
		c.write.Unlock()
	}
	err := c.session.Close()
	c.plain.Close()
	return err
}

// Source returns the address of the host from which the channel was opened, or
// none where the connection came through a relay or from this machine. The
// caller sits at that host or behind it.
func (c *channel) Source() netip.Addr { return c.source }

func (c *channel) LocalAddr() net.Addr                { return c.session.LocalAddr() }
func (c *channel) RemoteAddr() net.Addr               { return addr(c.caller.String()) }
func (c *channel) SetReadDeadline(t time.Time) error  { return c.plain.SetReadDeadline(t) }
func (c *channel) SetWriteDeadline(t time.Time) error { return c.session.SetWriteDeadline(t) }
func (c *channel) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// addr is a principal or peer id as net.Addr, which logs and net/http print.
type addr string

func (a addr) Network() string { return "croft" }
func (a addr) String() string  { return string(a) }
