// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"croft/lease"
	"croft/node/api"
	"croft/sandbox"
	"croft/sandbox/image"
	"croft/sandbox/swarm"
	"croft/sandbox/swarm/stream"
)

// fetches are the blobs that this node gets from others, and how the last ones ended.
type fetches struct {
	d    *Daemon
	ctx  context.Context // of the daemon's run; nil before
	wait sync.WaitGroup

	mu    sync.Mutex
	shut  bool
	by    map[lease.Digest]*api.Fetch
	order []lease.Digest // the latest last
}

func newFetches(d *Daemon) *fetches { return &fetches{d: d, by: map[lease.Digest]*api.Fetch{}} }

// end waits for those under way, whose context has ended.
func (f *fetches) end() {
	f.mu.Lock()
	f.shut = true
	f.mu.Unlock()
	f.wait.Wait()
}

// state is how the last fetch of a blob goes or went; nil: there was none.
func (f *fetches) state(d lease.Digest) *api.Fetch {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.by[d]; s != nil {
		c := *s
		return &c
	}
	return nil
}

// Fetch begins to get a blob from other nodes, unless that is under way.
func (b blobs) Fetch(ctx context.Context, by api.Caller, digest lease.Digest, req api.FetchRequest) (api.Blob, error) {
	if err := b.leased(ctx, by); err != nil {
		return api.Blob{}, err
	}
	host := b.d.deps.Hosting
	if host.Swarm == nil {
		return api.Blob{}, api.ErrNoFetch
	}
	if len(req.Sums) == 0 {
		req.Sums = nil
	}
	if req.Size <= 0 || req.Size > image.MaxBlob || len(req.Among) > swarm.MaxNamed || req.Sums != nil && swarm.Sums(req.Sums).Check(req.Size) != nil {
		return api.Blob{}, fmt.Errorf("%w: want a size of at most 8 GiB, at most %d nodes, and the sums of all pieces or none", api.ErrBadRequest, swarm.MaxNamed)
	}
	state, err := b.Blob(ctx, by, digest, req.Size, false)
	if err != nil || state.Done {
		return state, err
	}
	if state.Private { // nobody is told of it, not even by a question
		return state, fmt.Errorf("%w: it is private", api.ErrNoFetch)
	}
	state.Fetch, err = b.fetches.begin(digest, req)
	return state, err
}

func (f *fetches) begin(digest lease.Digest, req api.FetchRequest) (*api.Fetch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	open := 0
	for _, s := range f.by {
		if !s.Over {
			open++
		}
	}
	s, known := f.by[digest]
	switch {
	case f.shut || f.ctx == nil || f.ctx.Err() != nil:
		return nil, api.ErrStopping
	case known && !s.Over:
		c := *s
		return &c, nil
	case open >= stream.MaxFetches:
		return nil, fmt.Errorf("%w: this node fetches %d images already", api.ErrBusy, open)
	}
	f.forget(digest)
	s = &api.Fetch{}
	f.by[digest], f.order = s, append(f.order, digest)
	f.wait.Go(func() { f.run(digest, req, s) })
	return &api.Fetch{}, nil
}

// forget makes room for one more: of those that are over, the oldest go.
func (f *fetches) forget(digest lease.Digest) {
	kept := f.order[:0]
	for i, d := range f.order {
		if d == digest || len(f.order)-i >= maxFetched && f.by[d].Over {
			delete(f.by, d)
			continue
		}
		kept = append(kept, d)
	}
	f.order = kept
}

func (f *fetches) run(digest lease.Digest, req api.FetchRequest, s *api.Fetch) {
	i := images{d: f.d, digest: digest, size: req.Size, among: req.Among}
	w := stream.Want{Digest: digest, Size: req.Size, Sums: req.Sums, More: i.holders}
	err := f.d.deps.Hosting.Swarm.Fetch(f.ctx, w, func(have, of, from int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		s.Bytes, s.From = min(int64(have)*swarm.PieceSize(req.Size), req.Size), from
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Over = true
	switch {
	case err == nil:
		s.Bytes = req.Size
	case errors.Is(err, sandbox.ErrNoSpace):
		s.Error = "no room on the node: " + err.Error()
	default:
		s.Error = err.Error()
	}
	if err != nil && f.ctx.Err() == nil {
		f.d.deps.Log.Warn("an image did not come from other nodes", "image", digest, "err", err)
	}
}
