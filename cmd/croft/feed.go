// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"croft/lease"
	"croft/node/api"
	"croft/node/client"
	"croft/node/slice"
	"croft/sandbox/swarm"
)

// feed shares the uplink among the nodes that are to have a program: one is sent it,
// and the others get it from one another meanwhile. One that gets nothing for a while
// is sent it as well.
type feed struct {
	lock  *sync.Mutex
	among []lease.Principal
	first chan struct{} // capacity of one: to be sent it at once
	slots chan struct{} // to be sent it
}

const (
	// uplinks is to how many nodes a program is sent at once, and sendAll how many
	// bytes for all together are sent to each at once: words take longer than that.
	uplinks = 3
	sendAll = 4 << 20

	// feedStall is how long a node may get nothing from others before it is sent the
	// program: many round trips, and the first wait of a node that had nobody to ask.
	feedStall = 2 * time.Second

	// feedLook is how often some node is looked at: 200 answers a second.
	feedLook = 5 * time.Millisecond
)

func newFeed() feed {
	return feed{lock: &sync.Mutex{}, first: make(chan struct{}, 1), slots: make(chan struct{}, uplinks)}
}

// gather notes who is to have the program, before the first is sent it.
func (f *feed) gather(effects []slice.Effect) {
	f.lock.Lock()
	defer f.lock.Unlock()
	for _, e := range effects {
		if a, ok := e.(slice.ActivateLease); ok && len(f.among) < swarm.MaxNamed && !slices.Contains(f.among, a.Node) {
			f.among = append(f.among, a.Node)
		}
	}
}

// bring has a node get the program, unless it has it.
func (d *driver) bring(ctx context.Context, n *client.Node, progress func(have int64)) error {
	p := d.program
	d.lock.Lock()
	among := slices.Clone(d.among)
	d.lock.Unlock()
	if p.private {
		return n.SendPrivate(ctx, p.Blob, p.Size, p.bytes, progress)
	}
	if len(among) < 2 || p.Size*int64(len(among)) <= sendAll {
		return n.Send(ctx, p.Blob, p.Size, p.bytes, progress)
	}
	state, err := n.Fetch(ctx, p.Blob, api.FetchRequest{Size: p.Size, Sums: p.sums, Among: among})
	select {
	case d.first <- struct{}{}:
		return d.send(ctx, n, progress)
	default:
	}
	tick := time.NewTicker(max(watchEvery, time.Duration(len(among))*feedLook))
	defer tick.Stop()
	moved, bytes := time.Now(), int64(0)
	for {
		if err == nil && state.Done {
			return nil
		}
		wants := err != nil || state.Fetch == nil || state.Fetch.Over // it fetches nothing
		if !wants && state.Fetch.Bytes > bytes {
			moved, bytes = time.Now(), state.Fetch.Bytes
			progress(bytes)
		}
		if wants || time.Since(moved) > feedStall {
			select {
			case d.slots <- struct{}{}:
				defer func() { <-d.slots }()
				return n.Send(ctx, p.Blob, p.Size, p.bytes, progress)
			default: // all are taken: others may have more by then
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		state, err = n.Announce(ctx, p.Blob, p.Size)
	}
}

// send sends the program to the first. If that fails, who comes later is the first.
func (d *driver) send(ctx context.Context, n *client.Node, progress func(have int64)) error {
	p := d.program
	err := n.Send(ctx, p.Blob, p.Size, p.bytes, progress)
	if err != nil {
		<-d.first
	}
	return err
}
