// SPDX-License-Identifier: Apache-2.0

package door

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"croft/node/role"
)

// Tenant is a connection on which a sliver serves a role.
type Tenant struct {
	conn  *paid
	lines *bufio.Reader
	out   chan []byte

	mu    sync.Mutex
	calls map[uint64]*call
	late  []uint64 // ids taken back, oldest first; their calls are in calls still
	last  uint64
	ended error
	over  chan struct{} // closed with ended
}

// call is a question under way.
type call struct {
	most   int
	bytes  int
	parts  int
	queue  [][]byte      // parts that were not taken yet
	more   chan struct{} // has a value when there is something new
	done   []byte        // the end of the answer
	err    error
	closed bool // the answer has ended
	late   bool // nobody waits
}

func newTenant(c *paid) *Tenant {
	return &Tenant{conn: c, lines: bufio.NewReaderSize(c, role.MaxLine+1), out: make(chan []byte, maxWaiting), calls: map[uint64]*call{}, over: make(chan struct{})}
}

// line reads one line.
func (t *Tenant) line() ([]byte, error) {
	b, err := t.lines.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrBroke, role.MaxLine)
	case errors.Is(err, io.EOF) && len(b) > 0:
		return nil, fmt.Errorf("%w: it broke off in a line", ErrGone)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	}
	return b[:len(b)-1], nil
}

// write has a line sent, if there is room for it.
func (t *Tenant) write(v any) bool {
	b, err := json.Marshal(v)
	if err != nil {
		return false // of our own messages none
	}
	select {
	case t.out <- append(b, '\n'):
		return true
	default:
		return false
	}
}

// unsay takes back what waits to be sent.
func (t *Tenant) unsay() {
	for {
		select {
		case <-t.out:
		default:
			return
		}
	}
}

// flush sends what waits to be sent, where run does not.
func (t *Tenant) flush() error {
	for {
		select {
		case b := <-t.out:
			if _, err := t.conn.Write(b); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// run sends questions and takes answers until the connection ends.
func (t *Tenant) run(ctx context.Context) error {
	var writing sync.WaitGroup
	defer writing.Wait()
	defer t.conn.Close()
	writing.Go(func() {
		for {
			select {
			case b := <-t.out:
				if _, err := t.conn.Write(b); err != nil {
					t.end(fmt.Errorf("%w: it does not read: %w", ErrGone, err))
					t.conn.Close()
					return
				}
			case <-t.over:
				return
			case <-ctx.Done():
				return
			}
		}
	})
	if err := t.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	for {
		line, err := t.line()
		if err == nil {
			err = t.take(line)
		}
		if err != nil {
			t.end(err)
			return err
		}
	}
}

// take takes a line of an answer.
func (t *Tenant) take(line []byte) error {
	r, err := role.ParseReply(line)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.calls[r.ID]
	if c == nil || c.closed {
		return fmt.Errorf("%w: it answers %d, which nobody asks, or a second time", ErrBroke, r.ID)
	}
	if c.bytes += len(line); c.bytes > c.most {
		return fmt.Errorf("%w: an answer of more than %d bytes", ErrBroke, c.most)
	}
	switch {
	case r.Part != nil:
		if c.parts++; c.parts > role.MaxParts {
			return fmt.Errorf("%w: an answer of more than %d parts", ErrBroke, role.MaxParts)
		}
		if !c.late {
			c.queue = append(c.queue, append([]byte(nil), r.Part...))
		}
	case r.Done != nil:
		c.done, c.closed = append([]byte{}, r.Done...), true
	default:
		c.err, c.closed = r.Error, true
	}
	if c.late && c.closed {
		t.forget(r.ID)
	}
	c.tell()
	return nil
}

// tell wakes who waits. It is called with mu held.
func (c *call) tell() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// end fails what is under way, and all that comes.
func (t *Tenant) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != nil {
		return
	}
	if t.ended = err; err == nil {
		t.ended = ErrGone
	}
	close(t.over)
	for _, c := range t.calls {
		if !c.closed {
			c.err, c.closed = t.ended, true
			c.tell()
		}
	}
}

// Call asks a question: ask is its JSON, parts are handed over as they come, one at
// a time, and what is returned is the end of the answer. What part returns ends the
// call. When ctx ends the question is taken back. An error that matches
// [role.Failure] is the tenant's own.
func (t *Tenant) Call(ctx context.Context, what role.Call, ask json.RawMessage, part func(json.RawMessage) error) (json.RawMessage, error) {
	id, c, err := t.begin(what, ask)
	if err != nil {
		return nil, err
	}
	defer t.leave(id, c)
	for {
		select {
		case <-c.more:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		t.mu.Lock()
		queue, closed, done, err := c.queue, c.closed, c.done, c.err
		c.queue = nil
		t.mu.Unlock()
		for _, p := range queue {
			if err := part(p); err != nil {
				return nil, err
			}
		}
		if closed {
			return done, err
		}
	}
}

func (t *Tenant) begin(what role.Call, ask json.RawMessage) (uint64, *call, error) {
	// The time of every question, however long this one is waited for: else who is the
	// last in line would know that its answer counts, and a challenger that its does not.
	q := role.Question{Call: what.Name, Within: what.Within.Milliseconds(), Ask: ask}
	if len(ask) > role.MaxLine-512 { // room for what is around it
		return 0, nil, fmt.Errorf("%w: %d bytes", ErrAsk, len(ask))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != nil {
		return 0, nil, t.ended
	}
	if len(t.calls)-len(t.late) >= role.MaxInFlight {
		return 0, nil, ErrBusy
	}
	t.last++
	q.ID = t.last
	if !t.write(q) {
		return 0, nil, ErrBusy
	}
	c := &call{most: what.Bytes, more: make(chan struct{}, 1)}
	t.calls[q.ID] = c
	return q.ID, c, nil
}

// leave forgets a call, or takes it back and bears what may be on its way of the
// answer.
func (t *Tenant) leave(id uint64, c *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.queue = nil
	if c.closed || t.ended != nil {
		delete(t.calls, id)
		return
	}
	c.late = true
	if t.late = append(t.late, id); len(t.late) > maxLate {
		t.forget(t.late[0])
	}
	t.write(role.Question{ID: id, Cancel: true}) // who does not read it will be hung up on
}

// forget is called with mu held, of a call that was taken back.
func (t *Tenant) forget(id uint64) {
	delete(t.calls, id)
	for i, l := range t.late {
		if l == id {
			t.late = append(t.late[:i], t.late[i+1:]...)
			return
		}
	}
}
