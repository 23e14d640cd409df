// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"croft/lease"
	"croft/node/api"
)

// entrance is one listener and what is served there.
type entrance struct {
	listener net.Listener
	server   *http.Server
}

// listen opens all doors: the unix socket, the channels from other nodes, and the
// courtesy page where there is one.
func (d *Daemon) listen() ([]entrance, error) {
	local, err := d.deps.Socket()
	if err != nil {
		return nil, err
	}
	doors := []entrance{}
	if d.deps.Courtesy != nil {
		l, err := d.deps.Courtesy()
		if err != nil {
			return nil, errors.Join(err, local.Close())
		}
		doors = append(doors, entrance{newCrowded(l), d.newCourtesy()})
	}
	n := d.Node()
	far := d.newHTTP(late(func() http.Handler { return api.Remote(n, Version) }))
	far.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		p, err := lease.ParsePrincipal(c.RemoteAddr().String())
		if err != nil {
			return ctx // no caller: every route that needs one finds nothing of his
		}
		if seen, ok := c.(interface{ Source() netip.Addr }); ok && seen.Source().IsValid() {
			ctx = api.WithSource(ctx, lease.Network(seen.Source()))
		}
		return api.WithCaller(ctx, p)
	}
	return append(doors, entrance{local, d.newHTTP(late(func() http.Handler { return api.Local(n, Version) }))}, entrance{d.deps.Wire.Channels(), far}), nil
}

func (d *Daemon) newHTTP(h http.Handler) *http.Server { return api.Server(d.sessions.around(h)) }

// late makes a handler when it is first asked: the description of a door's routes is
// half a megabyte, and at many doors nobody ever knocks.
func late(make func() http.Handler) http.Handler {
	h := sync.OnceValue(make)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h().ServeHTTP(w, r) })
}

// sessions counts the requests under way, also those that took their connection
// over, of which an http.Server knows nothing any more.
type sessions struct {
	mu      sync.Mutex
	closing bool
	open    sync.WaitGroup
}

func (s *sessions) around(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.enter() {
			api.Fail(w, api.ErrStopping)
			return
		}
		defer s.open.Done()
		h.ServeHTTP(w, r)
	})
}

func (s *sessions) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.open.Add(1)
	return true
}

// wait lets nobody in any more and returns when everybody is out. The contexts
// of all requests have ended by then.
func (s *sessions) wait() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.open.Wait()
}

// serve serves at a door until ctx ends, with which every request's own ends.
// What does not answer then is cut off.
func (s *sessions) serve(ctx context.Context, d entrance) error {
	d.server.BaseContext = func(net.Listener) context.Context { return ctx }
	served := make(chan error, 1)
	go func() { served <- d.server.Serve(d.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving at %s: %w", d.listener.Addr(), err)
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	err := d.server.Shutdown(late)
	if errors.Is(err, context.DeadlineExceeded) {
		err = d.server.Close()
	}
	<-served
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}
