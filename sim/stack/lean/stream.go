// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// stream is one end of a stream. It implements [network.Stream].
type stream struct {
	p      *pair
	conn   *conn
	end    int
	number uint64
	opened time.Time
	proto  atomic.Pointer[protocol.ID]

	// Guarded by the link:
	failed   error // of this end's writes
	shutRead bool
	shut     bool // for writing
	dropped  bool
	read     deadline
	write    deadline
}

// deadline is when a direction gives up, and what wakes it then. The clock is set only
// when something waits: most are set anew before every message, and nothing ever does.
type deadline struct {
	at    int64 // 0: never
	timer *time.Timer
}

func (d *deadline) over() bool { return d.at != 0 && now() >= d.at }

// wait waits until something moves in a direction, or it is to give up. It is called
// with the link held.
func (d *deadline) wait(l *link, h *half) {
	if d.at != 0 && d.timer == nil {
		d.timer = time.AfterFunc(time.Duration(d.at-now()), func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			h.moved.Broadcast()
		})
	}
	h.moved.Wait()
}

// open makes a stream; it is called with the link held.
func (l *link) open(from int) (*stream, error) {
	c := l.ends[from]
	if c.closed.Load() {
		return nil, c.reason()
	}
	if c.count >= maxStreams {
		return nil, errManyStreams
	}
	p := &pair{link: l, opener: from}
	at := time.Now()
	for i := range p.ends {
		c := l.ends[i]
		c.streams++
		c.count++
		p.ends[i] = &stream{p: p, conn: c, end: i, number: c.streams, opened: at}
		p.halfs[i].from = i
		p.halfs[i].moved.L = &l.mu
	}
	l.streams[p] = struct{}{}
	return p.ends[from], nil
}

func (s *stream) in() *half  { return &s.p.halfs[1-s.end] }
func (s *stream) out() *half { return &s.p.halfs[s.end] }

// Read implements [network.MuxedStream].
func (s *stream) Read(b []byte) (int, error) {
	l, h := s.p.link, s.in()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case h.failed != nil:
			return 0, h.failed
		case s.shutRead:
			return 0, errClosedRead
		case len(h.ready) > 0:
			n := copy(b, h.ready[0])
			if h.ready[0] = h.ready[0][n:]; len(h.ready[0]) == 0 {
				h.ready[0] = nil
				if h.ready = h.ready[1:]; len(h.ready) == 0 {
					h.ready = nil
				}
			}
			if h.waiting >= window {
				h.moved.Broadcast()
			}
			h.waiting -= n
			return n, nil
		case h.ended:
			return 0, io.EOF
		case s.read.over():
			return 0, os.ErrDeadlineExceeded
		}
		if len(b) == 0 {
			return 0, nil
		}
		s.read.wait(l, h)
	}
}

// Write implements [network.MuxedStream].
func (s *stream) Write(b []byte) (n int, err error) {
	l, h := s.p.link, s.out()
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(b) > 0 {
		switch {
		case s.failed != nil:
			return n, s.failed
		case s.shut:
			return n, errClosedWrite
		case s.write.over():
			return n, os.ErrDeadlineExceeded
		case h.waiting >= window:
			s.write.wait(l, h)
			continue
		}
		part := b[:min(len(b), piece)]
		b = b[len(part):]
		h.send(s.p, parcel{bytes: append([]byte(nil), part...)})
		n += len(part)
	}
	return n, nil
}

// Close implements [network.MuxedStream].
func (s *stream) Close() error {
	s.CloseRead()
	return s.CloseWrite()
}

// CloseWrite implements [network.MuxedStream].
func (s *stream) CloseWrite() error {
	l := s.p.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.failed != nil || s.shut {
		return nil
	}
	s.shut = true
	s.out().send(s.p, parcel{end: true})
	s.done()
	return nil
}

// CloseRead implements [network.MuxedStream].
func (s *stream) CloseRead() error {
	l, h := s.p.link, s.in()
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.shutRead {
		return nil
	}
	s.shutRead, h.deaf = true, true
	for _, b := range h.ready {
		h.waiting -= len(b)
	}
	h.ready = nil
	h.moved.Broadcast()
	s.done()
	return nil
}

// done forgets the stream once it is closed both ways.
func (s *stream) done() {
	if s.shut && s.shutRead {
		s.read.stop()
		s.write.stop()
		s.p.drop(s.end)
	}
}

// Reset implements [network.MuxedStream].
func (s *stream) Reset() error { return s.ResetWithError(network.StreamNoError) }

// ResetWithError implements [network.Stream].
func (s *stream) ResetWithError(code network.StreamErrorCode) error {
	l := s.p.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.failed != nil || s.shut && s.shutRead && s.in().ended {
		return nil
	}
	s.read.stop()
	s.write.stop()
	s.p.fail(s.end, &network.StreamError{ErrorCode: code})
	s.out().send(s.p, parcel{reset: &network.StreamError{ErrorCode: code, Remote: true}})
	return nil
}

// SetDeadline implements [network.MuxedStream].
func (s *stream) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

// SetReadDeadline implements [network.MuxedStream].
func (s *stream) SetReadDeadline(t time.Time) error { return s.set(&s.read, s.in(), t) }

// SetWriteDeadline implements [network.MuxedStream].
func (s *stream) SetWriteDeadline(t time.Time) error { return s.set(&s.write, s.out(), t) }

func (s *stream) set(d *deadline, h *half, t time.Time) error {
	l := s.p.link
	l.mu.Lock()
	defer l.mu.Unlock()
	d.stop()
	if t.IsZero() || s.dropped {
		return nil
	}
	d.at = t.UnixNano()
	h.moved.Broadcast() // who waits does so until then
	return nil
}

func (d *deadline) stop() {
	if d.at = 0; d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// ID implements [network.Stream].
func (s *stream) ID() string { return fmt.Sprintf("%s-%d", s.conn.ID(), s.number) }

// Protocol implements [network.Stream].
func (s *stream) Protocol() protocol.ID {
	if id := s.proto.Load(); id != nil {
		return *id
	}
	return ""
}

// SetProtocol implements [network.Stream].
func (s *stream) SetProtocol(id protocol.ID) error {
	s.proto.Store(&id)
	return nil
}

// Stat implements [network.Stream].
func (s *stream) Stat() network.Stats {
	dir := network.DirInbound
	if s.p.opener == s.end {
		dir = network.DirOutbound
	}
	return network.Stats{Direction: dir, Opened: s.opened}
}

// Conn implements [network.Stream].
func (s *stream) Conn() network.Conn { return s.conn }

// Scope implements [network.Stream].
func (s *stream) Scope() network.StreamScope { return &network.NullScope{} }
