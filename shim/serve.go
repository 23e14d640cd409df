// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Request is one question of the node.
type Request struct {
	Call string          // of the role, such as "find"
	Ask  json.RawMessage // as the role's page says
	Part func(v any) error

	// Within is when the node may ask somebody else; who is the last in line has longer.
	Within time.Duration
}

// Handler answers a question: it may call Part any number of times, and what it
// returns is the end of the answer; Part returns an error where the answer would have
// more than the node takes. Its context ends when nobody waits any more. An
// error is told to the node, which asks somebody else; a [*Failure] keeps its code.
type Handler func(ctx context.Context, r Request) (done any, err error)

// Failure is why there is no answer, for the node.
type Failure struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

func (f *Failure) Error() string { return f.Code + ": " + f.Text }

// Serve serves a role, such as "discovery/1", until ctx ends; it dials again when the
// node hangs up or is started anew. Whether the node asks is its owner's affair. It
// returns before ctx ends only where the node has no such role: [ErrRefused].
func (n *Node) Serve(ctx context.Context, role string, h Handler) error {
	for pause := minPause; ; {
		began := time.Now()
		err := n.serve(ctx, role, h)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var refused *Failure
		if errors.As(err, &refused) && refused.Code == "role" {
			return fmt.Errorf("%w: %s", ErrRefused, refused.Text)
		}
		if pause = min(2*pause, maxPause); time.Since(began) > calmAfter {
			pause = minPause
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

// question is a line from the node, and reply one to it.
type (
	question struct {
		ID     uint64          `json:"id"`
		Call   string          `json:"call"`
		Within int64           `json:"within_ms"`
		Ask    json.RawMessage `json:"ask"`
		Cancel bool            `json:"cancel"`
	}
	reply struct {
		ID    uint64   `json:"id"`
		Part  any      `json:"part,omitempty"`
		Done  any      `json:"done,omitempty"`
		Error *Failure `json:"error,omitempty"`
	}
)

// session is one connection on which a role is served.
type session struct {
	conn net.Conn
	h    Handler
	open sync.WaitGroup

	mu      sync.Mutex // of writing, and of
	cancels map[uint64]context.CancelFunc
}

func (n *Node) serve(ctx context.Context, role string, h Handler) error {
	conn, err := n.dial(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &session{conn: conn, h: h, cancels: map[uint64]context.CancelFunc{}}
	defer s.open.Wait()
	defer cancel()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, maxLine+1)
	if err := s.say(nil, map[string]string{"serve": role}); err != nil {
		return err
	}
	var greeting struct {
		OK    *json.RawMessage
		Error *Failure
	}
	if !lines.Scan() {
		return errors.Join(errors.New("the node hung up"), lines.Err())
	}
	if err := json.Unmarshal(lines.Bytes(), &greeting); err != nil {
		return err
	}
	if greeting.Error != nil {
		return greeting.Error
	}
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return fmt.Errorf("reading a question: %w", err)
		}
		s.take(ctx, q)
	}
	return errors.Join(errors.New("the node hung up"), lines.Err())
}

// take answers a question beside the others, or ends one. The node has a bounded
// number of them open.
func (s *session) take(ctx context.Context, q question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Cancel {
		if cancel := s.cancels[q.ID]; cancel != nil {
			cancel()
		}
		return
	}
	ctx, cancel := context.WithCancel(ctx) // the node takes back what it waits for no longer
	s.cancels[q.ID] = cancel
	s.open.Go(func() {
		defer func() {
			cancel()
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.cancels, q.ID)
		}()
		a := &answer{}
		done, err := s.h(ctx, Request{Call: q.Call, Ask: q.Ask, Within: time.Duration(q.Within) * time.Millisecond,
			Part: func(v any) error { return s.answer(ctx, a, reply{ID: q.ID, Part: v}) }})
		last := reply{ID: q.ID, Done: done}
		if err != nil {
			last.Done = nil
			if !errors.As(err, &last.Error) {
				last.Error = &Failure{Code: "failed", Text: err.Error()}
			}
		} else if done == nil {
			last.Done = struct{}{}
		}
		code := "failed"
		switch err := s.answer(ctx, a, last); {
		case errors.Is(err, errLong):
			code = "long"
			fallthrough
		case errors.Is(err, errWrite):
			last.Done, last.Error = nil, &Failure{Code: code, Text: err.Error()}
			_ = s.say(a, last) // a node that has gone waits for none
		}
	})
}

// errLong says that an answer wants more parts, or fewer, and errWrite that it is no JSON.
var (
	errLong  = errors.New("a line of an answer is too long")
	errFull  = fmt.Errorf("the answer is too long: %d bytes and %d parts at the most", maxWhole-maxEnd, maxParts)
	errWrite = errors.New("writing an answer")
)

// answer is what was sent of one. Beyond its bounds the node would hang up.
type answer struct{ bytes, parts int }

// answer sends a line of an answer, unless nobody waits for it.
func (s *session) answer(ctx context.Context, a *answer, r reply) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.say(a, r)
}

func (s *session) say(a *answer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	if len(b) > maxLine {
		return fmt.Errorf("%w: %d bytes, limit %d", errLong, len(b), maxLine)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := v.(reply); ok && r.Part != nil {
		if a.bytes+len(b) > maxWhole-maxEnd || a.parts >= maxParts {
			return errFull
		}
		a.bytes, a.parts = a.bytes+len(b), a.parts+1
	}
	_, err = s.conn.Write(append(b, '\n'))
	return err
}
