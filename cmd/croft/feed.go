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
	heard int       // have answered, or not, whether they have it
	begun time.Time // when the first was asked
	sends int       // under way
	last  time.Time // when the last began, or when one was found to have it
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
	return feed{lock: &sync.Mutex{}}
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

// hear notes that a node has answered, and whether it has the program already.
func (f *feed) hear(now time.Time, has bool) {
	f.lock.Lock()
	defer f.lock.Unlock()
	if f.heard++; has {
		f.last = now
	}
}

// mayBegin reports whether a node may be sent the program, and notes that it is: the
// first once it is known that none has it, another when what was sent before had time to
// come to it by others.
func (f *feed) mayBegin(now time.Time) bool {
	f.lock.Lock()
	defer f.lock.Unlock()
	if f.sends >= uplinks || now.Sub(f.last) < feedStall || f.heard < len(f.among) && now.Sub(f.begun) < feedStall {
		return false
	}
	f.sends, f.last = f.sends+1, now
	return true
}

// ended notes that a program was sent, or not.
func (f *feed) ended(err error) {
	f.lock.Lock()
	defer f.lock.Unlock()
	if f.sends--; err != nil {
		f.last = time.Time{} // nobody has more by it
	}
}

// bring has a node get the program, unless it has it.
func (d *driver) bring(ctx context.Context, n *client.Node, progress func(have int64)) error {
	p := d.program
	d.lock.Lock()
	among := slices.Clone(d.among)
	if d.feed.begun.IsZero() {
		d.feed.begun = time.Now()
	}
	d.lock.Unlock()
	if p.private {
		return n.SendPrivate(ctx, p.Blob, p.Size, p.bytes, progress)
	}
	if len(among) < 2 || p.Size*int64(len(among)) <= sendAll {
		return n.Send(ctx, p.Blob, p.Size, p.bytes, progress)
	}
	state, err := n.Fetch(ctx, p.Blob, api.FetchRequest{Size: p.Size, Sums: p.sums, Among: among})
	d.hear(time.Now(), err == nil && state.Done)
	tick := time.NewTicker(max(watchEvery, time.Duration(len(among))*feedLook))
	defer tick.Stop()
	moved, bytes := time.Time{}, int64(0)
	for {
		if err == nil && state.Done {
			return nil
		}
		wants := err != nil || state.Fetch == nil || state.Fetch.Over // it fetches nothing
		if !wants && state.Fetch.Bytes > bytes {
			moved, bytes = time.Now(), state.Fetch.Bytes
			progress(bytes)
		}
		if (wants || time.Since(moved) > feedStall) && d.mayBegin(time.Now()) {
			err := n.Send(ctx, p.Blob, p.Size, p.bytes, progress)
			d.ended(err)
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		state, err = n.Announce(ctx, p.Blob, p.Size)
	}
}
