// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"croft/lease"
	"croft/node/api"
	"croft/node/door"
	"croft/sandbox"
)

// doors are the sockets of this node's slivers. One is made, or made anew, with each
// launch, and so also when a daemon takes up what runs.
type doors struct {
	d     *Daemon
	in    Doors
	house *door.House

	mu   sync.Mutex
	ctx  context.Context // of the daemon's run; nil before
	open map[string]openDoor
	wait sync.WaitGroup
}

type openDoor struct {
	dir    string
	cancel context.CancelFunc
	over   chan struct{}
}

func newDoors(d *Daemon) *doors {
	x := &doors{d: d, in: d.deps.Hosting.Doors, open: map[string]openDoor{}}
	x.house = &door.House{Node: d.deps.Key.Principal(), Guard: d.deps.Hosting.Guard, Roles: d.roles, Log: d.deps.Log,
		HTTP: func(who door.Sliver) *http.Server {
			return api.Server(d.sessions.around(late(func() http.Handler { return api.Door(newShim(d, who), Version) })))
		}}
	return x
}

// begin serves a sliver's door and returns the directory in which it is; nothing
// where this node has none.
func (x *doors) begin(sliver string, place int, l *lease.Lease) (dir string, err error) {
	if x == nil {
		return "", nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if o, ok := x.open[sliver]; ok {
		return o.dir, nil
	}
	listener, dir, err := x.in.Open(sliver, door.Users{First: sandbox.UIDBase(place), Count: sandbox.UIDs})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(x.ctx)
	o := openDoor{dir, cancel, make(chan struct{})}
	x.open[sliver] = o
	x.wait.Go(func() {
		defer close(o.over)
		if err := x.house.Serve(ctx, listener, door.Sliver{Name: sliver, Label: l.Slice, Owner: l.SliceOwner()}); err != nil {
			x.d.deps.Log.Warn("a sliver cannot ask this node any more", "sliver", sliver, "err", err)
		}
	})
	return dir, nil
}

// end closes a sliver's door and takes its directory away.
func (x *doors) end(sliver string) error {
	if x == nil {
		return nil
	}
	x.mu.Lock()
	o, ok := x.open[sliver]
	delete(x.open, sliver)
	x.mu.Unlock()
	if ok {
		o.cancel()
		<-o.over
	}
	if err := x.in.Remove(sliver); err != nil {
		return fmt.Errorf("closing the door: %w", err)
	}
	return nil
}
