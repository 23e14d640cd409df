// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"croft/lease"
	"croft/sandbox/swarm"
)

// serve answers one question.
func (x *Exchange) serve(s network.Stream) {
	x.mu.Lock()
	if x.ctx.Err() != nil {
		x.mu.Unlock()
		_ = s.Reset()
		return
	}
	x.wait.Add(1)
	x.mu.Unlock()
	defer x.wait.Done()
	cut := context.AfterFunc(x.ctx, func() { _ = s.Reset() }) // no stranger keeps a node from stopping
	defer cut()
	node, ok := nodeOf(s.Conn().RemotePeer())
	why := "not a node"
	switch {
	case s.Conn().Stat().Limited: // what a relay gives a node is for being reached
		why = "relayed"
	case ok:
		why = x.answer(s, node)
	}
	if why != "" {
		x.count(func(c *Counts) { c.Refused[why]++ })
		_ = s.Reset() // whoever asked knows by it
		return
	}
	_ = s.Close()
}

// answer returns why there is none, by which that is counted.
func (x *Exchange) answer(s network.Stream, node lease.Principal) (why string) {
	waiting := x.waiting.take(node)
	if waiting == nil {
		return "streams"
	}
	defer func() { waiting() }()
	buf := make([]byte, swarm.QuestionSize)
	_ = s.SetReadDeadline(time.Now().Add(questionWithin))
	if _, err := io.ReadFull(s, buf); err != nil {
		return "no question"
	}
	q, err := swarm.ParseQuestion(buf)
	if err != nil {
		return "not understood"
	}
	switch q.Kind {
	case swarm.AskHolding:
		return x.holding(s, node, q)
	case swarm.AskSums:
		sums, err := x.cfg.Store.SumsOf(q.Digest)
		if err != nil {
			return x.status(s, swarm.Unknown, "unknown")
		}
		ctx, end := x.attended(s, int64(len(sums)))
		defer end()
		return x.send(ctx, s, sums)
	default:
		done := x.serving.take(node)
		if done == nil {
			return x.status(s, swarm.Busy, "pieces")
		}
		defer done()
		left := x.networks.take(networkOf(s.Conn().RemoteMultiaddr()))
		if left == nil {
			return x.status(s, swarm.Busy, "network")
		}
		defer left()
		h, ok := x.cfg.Store.Holding(q.Digest)
		if !ok || int64(q.Arg) >= int64(swarm.Count(h.Size)) {
			return x.status(s, swarm.Unknown, "unknown")
		}
		ctx, end := x.attended(s, swarm.PieceSize(h.Size))
		defer end()
		if ctx.Err() != nil {
			return "left"
		}
		piece, err := x.cfg.Store.Piece(q.Digest, int(q.Arg), make([]byte, swarm.PieceSize(h.Size)))
		switch {
		case errors.Is(err, swarm.ErrUnknown):
			return x.status(s, swarm.Unknown, "unknown")
		case err != nil:
			x.cfg.Log.Warn("a piece of an image cannot be read for another node", "err", err)
			return x.status(s, swarm.Busy, "disk")
		}
		return x.send(ctx, s, piece)
	}
}

// attended ends with the time that an answer of length bytes may take in all, or when
// its asker leaves: neither who reads slowly nor who does not read keeps a slot.
func (x *Exchange) attended(s network.Stream, length int64) (ctx context.Context, end func()) {
	within := swarm.PieceWithin(length)
	ctx, cancel := context.WithTimeout(x.ctx, within)
	over := make(chan struct{})
	_ = s.SetReadDeadline(time.Now().Add(within))
	go func() {
		defer close(over)
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) { // it may close its own end
			cancel()
		}
	}()
	return ctx, func() {
		cancel()
		_ = s.SetReadDeadline(time.Now())
		<-over
	}
}

// holding says what is here, when that is more than the asker knows.
func (x *Exchange) holding(s network.Stream, node lease.Principal, q swarm.Question) string {
	until := time.NewTimer(swarm.WaitWithin)
	defer until.Stop()
	gone := make(chan struct{})
	go func() { // who asks and leaves does not keep a slot
		defer close(gone)
		_ = s.SetReadDeadline(time.Now().Add(swarm.WaitWithin + questionWithin))
		_, _ = s.Read(make([]byte, 1))
	}()
	defer func() {
		_ = s.SetReadDeadline(time.Now())
		<-gone
	}()
	for {
		changed := x.cfg.Store.Changed(q.Digest)
		h, ok := x.cfg.Store.Holding(q.Digest)
		if !ok {
			return x.status(s, swarm.Unknown, "unknown")
		}
		over := false
		if !h.Whole && h.Pieces.Len() <= int(q.Arg) {
			select {
			case <-changed:
				continue
			case <-until.C:
				over = true
			case <-gone:
				return "left"
			case <-x.ctx.Done():
				return "closing"
			}
		}
		if h.Whole || over || h.Pieces.Len() > int(q.Arg) {
			h.Others = x.trace.of(q.Digest, node)
			x.trace.add(q.Digest, node)
			return x.send(x.ctx, s, h.Bytes())
		}
	}
}

// status is an answer that is none, and why says how it is counted.
func (x *Exchange) status(s network.Stream, st swarm.Status, why string) string {
	_ = s.SetWriteDeadline(time.Now().Add(chunkWithin))
	if _, err := s.Write([]byte{byte(st)}); err != nil {
		return why
	}
	_ = s.Close()
	x.count(func(c *Counts) { c.Refused[why]++ })
	return ""
}

// send writes an answer, all of it at the rate of what is served, until ctx ends.
func (x *Exchange) send(ctx context.Context, s network.Stream, body []byte) string {
	deadline, bounded := ctx.Deadline()
	head := binary.BigEndian.AppendUint32([]byte{byte(swarm.OK)}, uint32(len(body)))
	for _, b := range [][]byte{head, body} {
		for len(b) > 0 {
			n := min(len(b), chunk)
			if err := x.rate.WaitN(ctx, n); x.ctx.Err() != nil {
				return "closing"
			} else if err != nil {
				return "left"
			}
			by := time.Now().Add(chunkWithin)
			if bounded && deadline.Before(by) {
				by = deadline
			}
			_ = s.SetWriteDeadline(by)
			if _, err := s.Write(b[:n]); err != nil {
				return "broke off"
			}
			b = b[n:]
			x.count(func(c *Counts) { c.Sent += uint64(n) })
		}
	}
	return ""
}
