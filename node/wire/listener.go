// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sys/unix"

	"croft/lease"
)

// Options of a Listener; each zero is the constant of limits.go.
type Options struct {
	PerPeer   int
	Total     int
	Handshake time.Duration
	// Failed, if set, is told of each pipe that came to nothing: for a log.
	Failed func(from peer.ID, err error)
}

// Listener accepts pipes, has their callers prove themselves, and yields the
// channels. It is a net.Listener for an http.Server.
type Listener struct {
	host host.Host
	key  ed25519.PrivateKey
	self lease.Principal
	opt  Options

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	ready  chan net.Conn

	mu    sync.Mutex // guards
	total int
	peers map[peer.ID]int
	tasks sync.WaitGroup
	done  bool
}

// Listen takes the host's pipes until Close.
func Listen(h host.Host, key ed25519.PrivateKey, opt Options) *Listener {
	if opt.PerPeer == 0 {
		opt.PerPeer = PipesPerPeer
	}
	if opt.Total == 0 {
		opt.Total = PipesTotal
	}
	if opt.Handshake == 0 {
		opt.Handshake = HandshakeTimeout
	}
	if opt.Failed == nil {
		opt.Failed = func(peer.ID, error) {}
	}
	l := &Listener{
		host: h, key: key, opt: opt,
		self:  lease.Principal(key.Public().(ed25519.PublicKey)),
		ready: make(chan net.Conn, backlog),
		peers: map[peer.ID]int{},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	h.SetStreamHandler(PipeProtocol, l.stream)
	return l
}

func (l *Listener) stream(s network.Stream) {
	from := s.Conn().RemotePeer()
	release, err := l.admit(from)
	if err != nil {
		s.Reset()
		l.opt.Failed(from, err)
		return
	}
	l.prove(from, &pipe{Stream: s, release: release})
}

// admit counts a pipe in, within the bounds. The release must be called once,
// when the pipe is closed.
func (l *Listener) admit(from peer.ID) (release func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.done:
		return nil, net.ErrClosed
	case l.total >= l.opt.Total:
		return nil, fmt.Errorf("%d in all: %w", l.total, ErrBusy)
	case l.peers[from] >= l.opt.PerPeer:
		return nil, fmt.Errorf("%d of %s: %w", l.peers[from], from, ErrBusy)
	}
	l.total++
	l.peers[from]++
	l.tasks.Add(1)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.total--
		if l.peers[from]--; l.peers[from] == 0 {
			delete(l.peers, from)
		}
	}, nil
}

// prove runs the handshake and hands the channel to Accept. It ends the task
// that admit began.
func (l *Listener) prove(from peer.ID, conn net.Conn) {
	defer l.tasks.Done()
	ctx, cancel := context.WithTimeout(l.ctx, l.opt.Handshake)
	defer cancel()
	c, _, err := Accept(ctx, conn, l.key)
	if err != nil {
		reset(conn)
		l.opt.Failed(from, err)
		return
	}
	if p, ok := conn.(*pipe); ok {
		c.(*channel).source = sourceOf(p.Conn().RemoteMultiaddr())
	}
	select {
	case l.ready <- c:
	case <-ctx.Done(): // nobody accepts
		reset(conn)
		c.Close()
		l.opt.Failed(from, fmt.Errorf("waiting to be accepted: %w", ctx.Err()))
	}
}

// Dial opens a pipe to target for a caller that is here: through the host, or,
// if target is this node itself, through a pair of sockets.
func (l *Listener) Dial(ctx context.Context, target lease.Principal) (net.Conn, error) {
	if target != l.self {
		return Dial(ctx, l.host, target)
	}
	near, far, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("opening pipe to this node: %w", err)
	}
	release, err := l.admit(l.host.ID())
	if err != nil {
		near.Close()
		far.Close()
		return nil, fmt.Errorf("opening pipe to this node: %w", err)
	}
	go l.prove(l.host.ID(), &local{Conn: far, release: sync.OnceFunc(release)})
	return near, nil
}

// socketPair returns two connected sockets: unlike net.Pipe, each direction can
// be ended by itself.
func socketPair() (a, b net.Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	var conns [2]net.Conn
	var errs [2]error
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pipe")
		conns[i], errs[i] = net.FileConn(f) // has a descriptor of its own
		f.Close()
	}
	if err := errors.Join(errs[:]...); err != nil {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
		return nil, nil, err
	}
	return conns[0], conns[1], nil
}

// local is the far end of a pipe to oneself.
type local struct {
	net.Conn
	release func()
}

func (c *local) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// Accept returns the next channel whose caller is proved.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close takes no more pipes and ends those that are not accepted yet. Channels
// that Accept has returned live on. Close is idempotent.
func (l *Listener) Close() error {
	l.mu.Lock()
	first := !l.done
	l.done = true
	l.mu.Unlock()
	if !first {
		return nil
	}
	l.host.RemoveStreamHandler(PipeProtocol)
	l.cancel()
	l.tasks.Wait()
	for {
		select {
		case c := <-l.ready:
			c.Close()
		default:
			return nil
		}
	}
}

// Addr returns the node's principal as an address.
func (l *Listener) Addr() net.Addr { return addr(l.self.String()) }

type callerKey struct{}

// ConnContext is for http.Server: it puts the caller into the request's context.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if ch, ok := c.(*channel); ok {
		return context.WithValue(ctx, callerKey{}, ch.caller)
	}
	return ctx
}

// Caller returns the principal that the request's sender has proved, and false
// for a request that came another way.
func Caller(ctx context.Context) (lease.Principal, bool) {
	p, ok := ctx.Value(callerKey{}).(lease.Principal)
	return p, ok
}
