// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/lease"
)

// listenAddrs are the multiaddrs of an IPv4 address and port on both transports.
func listenAddrs(ip string, port uint16) []string {
	return []string{fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", ip, port), fmt.Sprintf("/ip4/%s/tcp/%d", ip, port)}
}

// newHost makes a real host on loopback.
func newHost(t *testing.T, seed byte, listen ...string) host.Host {
	t.Helper()
	k, _ := key(seed)
	if listen == nil {
		listen = listenAddrs("127.0.0.1", 0)
	}
	h, err := NewHost(Config{Key: k, Listen: listen})
	must(t, err)
	t.Cleanup(func() { h.Close() })
	return h
}

func connect(t *testing.T, from, to host.Host) {
	t.Helper()
	must(t, from.Connect(t.Context(), peer.AddrInfo{ID: to.ID(), Addrs: to.Addrs()}))
}

// whoami serves the caller's principal, and what it was sent.
func whoami(t *testing.T, l *Listener) {
	t.Helper()
	s := &http.Server{
		ConnContext: ConnContext,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, ok := Caller(r.Context())
			body, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %v %d %v", p, ok, len(body), err)
		}),
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
}

// client speaks HTTP to target inside a secured channel over what dial gives.
func client(seed byte, target lease.Principal, dial func(context.Context) (net.Conn, error)) *http.Client {
	k, _ := key(seed)
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := dial(ctx)
			if err != nil {
				return nil, err
			}
			return Secure(ctx, c, k, target)
		},
	}}
}

func ask(t *testing.T, c *http.Client, body string) string {
	t.Helper()
	r, err := c.Post("http://node/", "text/plain", strings.NewReader(body))
	must(t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	must(t, err)
	return string(b)
}

// researcher ── TCP ── way in ── libp2p ── target: HTTP end to end.
func TestThroughAWayIn(t *testing.T) {
	for _, transport := range []string{"quic", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			addrs := listenAddrs("127.0.0.1", 0)
			if transport == "quic" {
				addrs = addrs[:1]
			} else {
				addrs = addrs[1:]
			}
			target, way := newHost(t, 2, addrs...), newHost(t, 3, addrs...)
			connect(t, way, target)
			k2, p2 := key(2)
			whoami(t, Listen(target, k2, Options{}))

			door, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			defer door.Close()
			go func() {
				for {
					c, err := door.Accept()
					if err != nil {
						return
					}
					pipe, err := Dial(context.Background(), way, p2)
					if err != nil {
						t.Error(err)
						return
					}
					go Splice(context.Background(), c, pipe, 0)
				}
			}()
			_, p1 := key(1)
			c := client(1, p2, func(context.Context) (net.Conn, error) { return net.Dial("tcp", door.Addr().String()) })
			for _, n := range []int{0, 1, 3 << 20} {
				if got, want := ask(t, c, strings.Repeat("x", n)), fmt.Sprintf("%s true %d <nil>", p1, n); got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
		})
	}
}

func TestPipeToOneself(t *testing.T) {
	h := newHost(t, 2)
	k2, p2 := key(2)
	l := Listen(h, k2, Options{})
	whoami(t, l)
	_, p1 := key(1)
	c := client(1, p2, func(ctx context.Context) (net.Conn, error) { return l.Dial(ctx, p2) })
	if got, want := ask(t, c, "abc"), fmt.Sprintf("%s true 3 <nil>", p1); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestUnreachable(t *testing.T) {
	h := newHost(t, 3)
	_, nobody := key(9)
	_, err := Dial(t.Context(), h, nobody)
	wantErr(t, err, ErrUnreachable)
}

// failures collects what a Listener reports, to wait on.
func failures(opt *Options) <-chan error {
	ch := make(chan error, 1000)
	opt.Failed = func(_ peer.ID, err error) { ch <- err }
	return ch
}

func next(t *testing.T, ch <-chan error) error {
	t.Helper()
	select {
	case err := <-ch:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was reported")
		return nil
	}
}

func (l *Listener) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

func TestGarbageOnThePipe(t *testing.T) {
	target, way := newHost(t, 2), newHost(t, 3)
	connect(t, way, target)
	k2, p2 := key(2)
	var opt Options
	failed := failures(&opt)
	l := Listen(target, k2, opt)
	whoami(t, l)
	for _, garbage := range []string{"", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("\xff", 70_000), "\x00\x00"} {
		c, err := Dial(t.Context(), way, p2)
		must(t, err)
		io.WriteString(c, garbage) // the far end may be gone already
		c.Close()
		wantErr(t, next(t, failed), ErrHandshake)
	}
	if n := l.open(); n != 0 {
		t.Fatalf("%d pipes are still counted", n)
	}
	c := client(1, p2, func(ctx context.Context) (net.Conn, error) { return Dial(ctx, way, p2) })
	ask(t, c, "still there")
}

// A way in that opens pipes and says nothing holds no more than its share, and
// that only until the handshake's time is over.
func TestSlowPipesAreBounded(t *testing.T) {
	target, slow, other := newHost(t, 2), newHost(t, 3), newHost(t, 4)
	connect(t, slow, target)
	connect(t, other, target)
	k2, p2 := key(2)
	opt := Options{PerPeer: 3, Total: 5, Handshake: 2 * time.Second}
	failed := failures(&opt)
	l := Listen(target, k2, opt)
	whoami(t, l)
	for i := range 4 {
		c, err := Dial(t.Context(), slow, p2)
		must(t, err)
		c.Write([]byte{0}) // half a length
		defer c.Close()
		if i == 3 {
			wantErr(t, next(t, failed), ErrBusy)
		}
	}
	c := client(1, p2, func(ctx context.Context) (net.Conn, error) { return Dial(ctx, other, p2) })
	ask(t, c, "another way in is served")
	for range 3 {
		wantErr(t, next(t, failed), ErrHandshake)
	}
	c = client(1, p2, func(ctx context.Context) (net.Conn, error) { return Dial(ctx, slow, p2) })
	ask(t, c, "and this one again")
}

func TestCloseWithPipesOpen(t *testing.T) {
	target, way := newHost(t, 2), newHost(t, 3)
	connect(t, way, target)
	k2, p2 := key(2)
	l := Listen(target, k2, Options{})
	c, err := Dial(t.Context(), way, p2)
	must(t, err)
	defer c.Close()
	c.Write([]byte{0})
	k1, _ := key(1)
	for range 3 { // proved, but nobody accepts
		p, err := Dial(t.Context(), way, p2)
		must(t, err)
		s, err := Secure(t.Context(), p, k1, p2)
		must(t, err)
		defer s.Close()
	}
	must(t, l.Close())
	must(t, l.Close())
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("accepting on a closed listener: %v", err)
	}
	if n := l.open(); n != 0 {
		t.Fatalf("%d pipes are still counted", n)
	}
}

func TestSpliceIdle(t *testing.T) {
	a, near := net.Pipe()
	b, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	wantErr(t, Splice(t.Context(), a, b, time.Millisecond), ErrIdle)
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Fatal("still open")
	}
}

// A quiet stream is not cut: a day goes by before the next byte.
func TestSpliceQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, near := net.Pipe()
		b, far := net.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- Splice(t.Context(), a, b, NoIdle) }()
		time.Sleep(24 * time.Hour)
		go near.Write([]byte("x"))
		got := make([]byte, 1)
		if _, err := far.Read(got); err != nil || got[0] != 'x' {
			t.Errorf("got %q, %v", got, err)
		}
		near.Close()
		far.Close()
		<-ended
	})
}

func TestSpliceCancelled(t *testing.T) {
	a, near := net.Pipe()
	b, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	wantErr(t, Splice(ctx, a, b, 0), context.Canceled)
}
