// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

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
	by    map[lease.Digest]*fetch
	order []lease.Digest // the latest last
}

// fetch is one of them. It is under way for those who asked for it, as long as one of
// them leases here.
type fetch struct {
	api.Fetch
	begun   lease.Principal
	callers map[lease.Principal]bool
	size    int64
	sums    []byte
}

func newFetches(d *Daemon) *fetches { return &fetches{d: d, by: map[lease.Digest]*fetch{}} }

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
		c := s.Fetch
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
	state.Fetch, err = b.fetches.begin(by.Principal, digest, req)
	return state, err
}

func (f *fetches) begin(by lease.Principal, digest lease.Digest, req api.FetchRequest) (*api.Fetch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	open, own := 0, 0
	for _, s := range f.by {
		if !s.Over {
			open++
			if s.begun == by {
				own++
			}
		}
	}
	s, known := f.by[digest]
	switch {
	case f.shut || f.ctx == nil || f.ctx.Err() != nil:
		return nil, api.ErrStopping
	case known && !s.Over && (s.size != req.Size || req.Sums != nil && !bytes.Equal(s.sums, req.Sums)):
		return nil, fmt.Errorf("%w: this image is fetched by another size or other sums", api.ErrBusy)
	case known && !s.Over:
		s.callers[by] = true
		c := s.Fetch
		return &c, nil
	case own >= maxFetchesEach:
		return nil, fmt.Errorf("%w: this node fetches %d images for you already", api.ErrBusy, own)
	case open >= stream.MaxFetches:
		return nil, fmt.Errorf("%w: this node fetches %d images already", api.ErrBusy, open)
	}
	f.forget(digest)
	s = &fetch{begun: by, callers: map[lease.Principal]bool{by: true}, size: req.Size, sums: req.Sums}
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

// attend ends a fetch for which nobody leases here any more.
func (f *fetches) attend(ctx context.Context, s *fetch, end context.CancelCauseFunc) {
	tick := time.NewTicker(attendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.mu.Lock()
		list := slices.Collect(maps.Keys(s.callers))
		f.mu.Unlock()
		wanted, err := look(ctx, f.d, func(l *lease.Ledger) bool {
			return slices.ContainsFunc(list, func(p lease.Principal) bool {
				return slices.ContainsFunc(l.Holder(p), func(e lease.Entry) bool { return e.State.Live() })
			})
		})
		if err == nil && !wanted {
			end(errUnwanted)
			return
		}
	}
}

// errUnwanted: nobody who asked for an image leases here any more.
var errUnwanted = errors.New("nobody who asked for it leases here any more")

func (f *fetches) run(digest lease.Digest, req api.FetchRequest, s *fetch) {
	ctx, end := context.WithCancelCause(f.ctx)
	defer end(nil)
	ctx, cancel := context.WithTimeout(ctx, fetchWithin(req.Size))
	defer cancel()
	f.wait.Go(func() { f.attend(ctx, s, end) })
	i := images{d: f.d, digest: digest, size: req.Size, among: req.Among}
	w := stream.Want{Digest: digest, Size: req.Size, Sums: req.Sums, More: i.holders}
	err := f.d.deps.Hosting.Swarm.Fetch(ctx, w, func(have, of, from int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		s.Bytes, s.From = min(int64(have)*swarm.PieceSize(req.Size), req.Size), from
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Over = true
	if err != nil && errors.Is(context.Cause(ctx), errUnwanted) {
		err = errUnwanted
	}
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
