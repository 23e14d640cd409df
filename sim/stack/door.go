// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"fmt"
	"net"
	"sync"

	nodedoor "croft/node/door"
)

// door is a socket in memory: that of a node's owner, or one of its slivers'.
type door struct {
	once   sync.Once
	done   chan struct{}
	knocks chan net.Conn
}

func newDoor() *door { return &door{done: make(chan struct{}), knocks: make(chan net.Conn)} }

// Accept implements [net.Listener], as do the next two.
func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.knocks:
		return c, nil
	case <-d.done:
		return nil, net.ErrClosed
	}
}

func (d *door) Close() error   { d.once.Do(func() { close(d.done) }); return nil }
func (d *door) Addr() net.Addr { return &net.UnixAddr{Name: "door", Net: "unix"} }

// dial knocks. A nil door is that of a daemon which is not there.
func (d *door) dial(ctx context.Context) (net.Conn, error) {
	if d == nil {
		return nil, fmt.Errorf("dialling a door: %w", net.ErrClosed)
	}
	here, there := net.Pipe()
	select {
	case d.knocks <- there:
		return here, nil
	case <-d.done:
		return nil, fmt.Errorf("dialling a door: %w", net.ErrClosed)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// doors are those of the slivers. It implements [daemon.Doors]; each sliver has the one
// that was made last.
type doors struct{ l *life }

// Open implements [daemon.Doors].
func (x doors) Open(sliver string, _ nodedoor.Users) (net.Listener, string, error) {
	x.l.mu.Lock()
	defer x.l.mu.Unlock()
	if err := x.l.does(); err != nil {
		return nil, "", err
	}
	d := newDoor()
	x.l.doors[sliver] = d
	return d, "/run/doors/" + sliver, nil
}

// Remove implements [daemon.Doors].
func (x doors) Remove(sliver string) error {
	x.l.mu.Lock()
	defer x.l.mu.Unlock()
	if err := x.l.does(); err != nil {
		return err
	}
	delete(x.l.doors, sliver)
	return nil
}

// knock dials the door of a sliver.
func (m *machine) knock(ctx context.Context, sliver string) (net.Conn, error) {
	m.mu.Lock()
	d := m.doors[sliver]
	m.mu.Unlock()
	return d.dial(ctx)
}
