// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// wants reports whether the caller asks for the protocol, and tells it if not.
func wants(w http.ResponseWriter, r *http.Request, protocol string) bool {
	if r.Header.Get("Upgrade") == protocol {
		return true
	}
	w.Header().Set("Upgrade", protocol)
	Fail(w, fmt.Errorf("%w: send Upgrade: %s", ErrUpgrade, protocol))
	return false
}

// takeOver answers 101 and returns the connection with what the server had read
// ahead of it. The request's context goes on until the handler returns.
func takeOver(w http.ResponseWriter, protocol string) (net.Conn, error) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		Fail(w, fmt.Errorf("taking the connection over: %w", err))
		return nil, err
	}
	_, err = fmt.Fprintf(buf, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
	if err == nil {
		err = buf.Flush()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &readAhead{Conn: conn, r: buf.Reader}, nil
}

// readAhead is a connection whose first bytes were read by the HTTP server.
type readAhead struct {
	net.Conn
	r *bufio.Reader
}

func (c *readAhead) Read(p []byte) (int, error) { return c.r.Read(p) }

// CloseWrite ends this side only, where the connection can.
func (c *readAhead) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return http.ErrNotSupported
}

// frameWriter writes whole frames from several streams to one connection.
type frameWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (f *frameWriter) write(kind FrameKind, payload []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return WriteFrame(f.w, kind, payload)
}

func (f *frameWriter) stream(kind FrameKind) io.Writer { return &frameStream{f, kind} }

type frameStream struct {
	f    *frameWriter
	kind FrameKind
}

func (s *frameStream) Write(p []byte) (n int, err error) {
	for n < len(p) {
		part := p[n:min(n+MaxFrame, len(p))]
		if err := s.f.write(s.kind, part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// flushWriter sends every write at once: whoever follows a log waits for lines.
// It waits for one who reads them, not for one who does not.
type flushWriter struct {
	w       http.ResponseWriter
	started func()
	wrote   bool
}

func (f *flushWriter) Write(p []byte) (int, error) {
	if !f.wrote {
		f.started()
		f.wrote = true
	}
	if err := wait(f.w, time.Time{}, time.Now().Add(patience)); err != nil {
		return 0, err
	}
	n, err := f.w.Write(p)
	if err == nil {
		err = http.NewResponseController(f.w).Flush()
	}
	return n, err
}

// begin tells the caller that there will be an answer, before there is any of it.
func (f *flushWriter) begin() {
	if !f.wrote {
		f.started()
		f.wrote = true
		f.w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(f.w).Flush() // who is gone is found to be at the first line
	}
}

// Fail writes a problem document.
func Fail(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(statusOf(err))
	_, _ = w.Write(problemDocument(err)) // the caller is gone if this fails
}

// problemDocument is an error as a problem document. A frame has room for it: no
// sentence of ours is longer than maxDetail.
func problemDocument(err error) []byte {
	b, encodeErr := json.Marshal(problem(err))
	if encodeErr != nil {
		return []byte(`{"status":500}`)
	}
	return b
}

// answer writes a value, or the problem that there is none.
func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		Fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the caller is gone if this fails
}
