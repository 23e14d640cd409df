// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/sandbox"
)

// slow is a node whose answers take their time.
type slow struct {
	*fake
	takes time.Duration
}

func (s slow) Find(ctx context.Context, _ offer.FindRequest) (offer.Result, error) {
	select {
	case <-time.After(s.takes):
		return offer.Result{}, nil
	case <-ctx.Done():
		return offer.Result{}, ctx.Err()
	}
}

// Logs writes until the caller is gone.
func (s slow) Logs(ctx context.Context, _ Caller, _ string, _ sandbox.LogOptions, w io.Writer) error {
	for ctx.Err() == nil {
		if _, err := w.Write(make([]byte, 4096)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Append takes its time to check what has come.
func (s slow) Append(ctx context.Context, by Caller, d lease.Digest, offset, size int64, r io.Reader) (Blob, error) {
	state, err := s.fake.Append(ctx, by, d, offset, size, r)
	select {
	case <-time.After(s.takes):
		return state, err
	case <-ctx.Done():
		return state, ctx.Err()
	}
}

// once is a listener with one connection.
type once struct {
	conn chan net.Conn
	done chan struct{}
}

func (o once) Accept() (net.Conn, error) {
	select {
	case c := <-o.conn:
		return c, nil
	case <-o.done:
		return nil, net.ErrClosed
	}
}
func (o once) Close() error   { close(o.done); return nil }
func (o once) Addr() net.Addr { return &net.UnixAddr{} }

// dial serves h on a connection in memory, in a bubble's time, and tells when
// the server has let go of it.
func dial(t *testing.T, h http.Handler) (near net.Conn, left chan struct{}) {
	near, far := net.Pipe()
	l := once{make(chan net.Conn, 1), make(chan struct{})}
	l.conn <- far
	left = make(chan struct{})
	s := Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(WithCaller(r.Context(), leasetest.Who("alice"))))
	}))
	s.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateClosed {
			close(left)
		}
	}
	go func() { _ = s.Serve(l) }() // ends with Close
	t.Cleanup(func() { near.Close(); s.Close() })
	return near, left
}

// An answer may take longer than the body took to come.
func TestASlowAnswerArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := dial(t, Local(slow{new(fake), 20 * time.Second}.node(), "1"))
		const ask = `{"query":"","view":true}`
		fmt.Fprintf(conn, "POST /v1/find HTTP/1.1\r\nHost: n\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(ask), ask)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%+v, %v", resp, err)
		}
	})
}

// So does one to the last part of a blob, which may take long to check.
func TestALargeBlobIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := dial(t, Remote(slow{new(fake), 5 * time.Minute}.node(), "1"))
		fmt.Fprintf(conn, "PATCH /v1/blobs/%s HTTP/1.1\r\nHost: n\r\nContent-Length: 4\r\n%s: 0\r\n%s: 10\r\n\r\npart", lease.Digest{1}, HeaderOffset, HeaderSize)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%+v, %v", resp, err)
		}
	})
}

func (s slow) node() Node {
	n := s.fake.node()
	n.Discovery, n.Slivers, n.Blobs = s, s, s
	return n
}

const head = "Host: n\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"

// Whoever sends a head and no body, or half of it, is not waited for.
func TestABodyThatDoesNotComeIsNotAwaited(t *testing.T) {
	blob := "PATCH /v1/blobs/" + lease.Digest{1}.String() + " HTTP/1.1\r\nCroft-Offset: 0\r\nCroft-Size: 1000\r\n"
	for _, part := range []string{"", "POST", "POST /v1/holds HTTP/1.1\r\n", "POST /v1/holds HTTP/1.1\r\n" + head + "\r\n",
		"POST /v1/holds HTTP/1.1\r\n" + head + "\r\n{\"chain\":", "GET /v1/slivers HTTP/1.1\r\n" + head + "\r\n", blob + head + "\r\n",
		blob + head + "\r\nsome"} {
		synctest.Test(t, func(t *testing.T) {
			conn, left := dial(t, Remote(new(fake).node(), "1"))
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			fmt.Fprint(conn, part)
			begun := time.Now()
			<-left // in a bubble, to wait for ever is a deadlock, and fails
			if took := time.Since(begun); took > answerLimit+idleLimit {
				t.Errorf("%q: waited %s", part, took)
			}
		})
	}
}

// Who follows a log and reads no more is let go.
func TestAFollowerWhoReadsNoMoreIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, left := dial(t, Remote(slow{fake: new(fake)}.node(), "1"))
		fmt.Fprint(conn, "GET /v1/slivers/mine/logs?follow=1 HTTP/1.1\r\nHost: n\r\n\r\n")
		line, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 200") {
			t.Fatalf("%q, %v", line, err)
		}
		<-left
	})
}

// Garbage on a door is answered as HTTP answers it, or not at all; and the door
// stays open for the next.
func TestGarbageAtTheDoor(t *testing.T) {
	for _, door := range []http.Handler{Local(new(fake).node(), "1"), Remote(new(fake).node(), "1")} {
		for _, c := range []struct {
			name, sent string
			status     int // 0: let go without a word
		}{
			{"no HTTP", "\x00\xff\x13/croft/pipe/1\n\r\n\r\n", http.StatusBadRequest},
			{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", http.StatusBadRequest},
			{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", http.StatusBadRequest},
			{"a head without end", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 2*maxHeader), http.StatusRequestHeaderFieldsTooLarge},
			{"many heads", "GET / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", maxHeader/4), http.StatusRequestHeaderFieldsTooLarge},
			{"two lengths", "POST /v1/holds HTTP/1.1\r\nHost: n\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", http.StatusBadRequest},
			{"a negative length", "POST /v1/holds HTTP/1.1\r\nHost: n\r\nContent-Length: -1\r\n\r\n", http.StatusBadRequest},
			{"a path upwards", "GET /v1/slivers/../../etc/passwd HTTP/1.1\r\nHost: n\r\n\r\n", http.StatusTemporaryRedirect},
			{"an unknown route", "GET /v2/everything HTTP/1.1\r\nHost: n\r\n\r\n", http.StatusNotFound},
			{"an unknown method", "BREW /v1/openapi.json HTTP/1.1\r\nHost: n\r\n\r\n", http.StatusMethodNotAllowed},
			{"nothing", "", 0},
		} {
			synctest.Test(t, func(t *testing.T) {
				conn, left := dial(t, door)
				go func() {
					fmt.Fprint(conn, c.sent)
					if c.status == 0 {
						conn.Close()
					}
				}()
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				switch {
				case c.status == 0:
					if err == nil {
						t.Errorf("%s: %s", c.name, resp.Status)
					}
				case err != nil || resp.StatusCode != c.status:
					t.Errorf("%s: %+v, %v; want %d", c.name, resp, err, c.status)
				}
				conn.Close()
				<-left
			})
		}
	}
}

// A caller who leaves while his command takes no input is missed, and the
// command ends with him.
func TestAnExecSessionEndsWithItsCallerWhateverItReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{wait: make(chan struct{})} // reads nothing until then
		ended := make(chan struct{})
		conn, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			Remote(f.node(), "1").ServeHTTP(w, r)
		}))
		fmt.Fprintf(conn, "GET /v1/slivers/mine/exec HTTP/1.1\r\nHost: n\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s: {\"args\":[\"sleep\"]}\r\n\r\n",
			upgradeExec, HeaderExec)
		r := bufio.NewReader(conn)
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%+v, %v", resp, err)
		}
		if err := WriteFrame(conn, FrameStdin, []byte("unread")); err != nil {
			t.Fatal(err)
		}
		if kind, payload, err := ReadFrame(r); err != nil || kind != FrameStdout || len(payload) != 0 {
			t.Fatalf("no pulse: %d %q, %v", kind, payload, err)
		}
		conn.Close()
		<-ended
	})
}
