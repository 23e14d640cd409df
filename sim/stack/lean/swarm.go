// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	realswarm "github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

// handle is a stream handler as the mux has it.
func handle(do network.StreamHandler) protocol.HandlerFunc {
	return func(_ protocol.ID, rwc io.ReadWriteCloser) error {
		do(rwc.(network.Stream))
		return nil
	}
}

// A dial is one under way, however many wait for it.
type dial struct {
	done chan struct{}
	conn *conn
	err  error
}

// rest is the wait after a dial that failed, as a swarm has it.
type rest struct {
	until time.Time
	tries int
}

// swarm is the host's table of connections. It implements [network.Network].
type swarm struct{ h *Host }

// dial returns a connection to a peer, an open one if there is one.
func (s *swarm) dial(ctx context.Context, p peer.ID) (*conn, error) {
	if p == s.h.id {
		return nil, fmt.Errorf("dialling %s: it is this host", p)
	}
	if c := s.best(p); c != nil {
		return c, nil
	}
	h := s.h
	h.mu.Lock()
	if h.gone.Load() {
		h.mu.Unlock()
		return nil, ErrClosed
	}
	if r, ok := h.rests[p]; ok && time.Now().Before(r.until) {
		h.mu.Unlock()
		return nil, fmt.Errorf("dialling %s: %w", p, realswarm.ErrDialBackoff)
	}
	d := h.dials[p]
	if d == nil {
		d = &dial{done: make(chan struct{})}
		h.dials[p] = d
		go s.try(p, d)
	}
	h.mu.Unlock()
	select {
	case <-d.done:
		return d.conn, d.err
	case <-ctx.Done():
		return nil, fmt.Errorf("dialling %s: %w", p, ctx.Err())
	}
}

// try dials all addresses of a peer at once.
func (s *swarm) try(p peer.ID, d *dial) {
	h := s.h
	d.conn, d.err = s.reach(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.dials, p)
	if d.err == nil {
		delete(h.rests, p)
	} else {
		if len(h.rests) >= sweepPeers {
			maps.DeleteFunc(h.rests, func(_ peer.ID, r rest) bool { return !time.Now().Before(r.until) })
		}
		r := h.rests[p]
		r.tries++
		wait := realswarm.BackoffBase + realswarm.BackoffCoef*time.Duration(r.tries*r.tries)
		r.until = time.Now().Add(min(wait, realswarm.BackoffMax))
		h.rests[p] = r
	}
	close(d.done)
}

func (s *swarm) reach(p peer.ID) (*conn, error) {
	h := s.h
	addrs := h.store.Addrs(p)
	if len(addrs) == 0 {
		return nil, fmt.Errorf("dialling %s: %w", p, realswarm.ErrNoAddresses)
	}
	var there *Host
	for _, a := range addrs {
		if o := h.fabric.at(a); o != nil && !h.fabric.dead(h, o) {
			there = o
			break
		}
	}
	wait, ok := DialTimeout, false
	h.spend(connections, overhead)
	h.fabric.traffic.of(connections).streams.Add(1)
	if there != nil {
		if wait, ok = h.fabric.roundTrip(h, there); wait > DialTimeout || !ok {
			wait, ok = DialTimeout, false
		}
	}
	<-time.After(wait)
	switch {
	case h.gone.Load():
		return nil, ErrClosed
	case !ok || h.fabric.dead(h, there):
		return nil, fmt.Errorf("dialling %s: %w", p, ErrNoAnswer)
	case there.id != p:
		return nil, fmt.Errorf("dialling %s: %w: %s", p, ErrIdentity, there.id)
	}
	return h.fabric.connect(h, there), nil
}

// best is the connection for a new stream; nil: there is none.
func (s *swarm) best(p peer.ID) *conn {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if list := s.h.open[p]; len(list) > 0 {
		return list[0]
	}
	return s.h.quiet[p]
}

// add takes a connection in; false: the host is closed.
func (h *Host) add(c *conn) bool {
	p := c.RemotePeer()
	h.mu.Lock()
	if h.gone.Load() {
		h.mu.Unlock()
		return false
	}
	if c.link.quiet {
		h.quiet[p] = c
		h.mu.Unlock()
		return true
	}
	first := len(h.open[p]) == 0
	h.open[p] = append(slices.Clone(h.open[p]), c)
	tell := slices.Clone(h.tell)
	h.mu.Unlock()
	if first {
		h.emit(func() {
			_ = h.connected.Emit(event.EvtPeerConnectednessChanged{Peer: p, Connectedness: network.Connected})
		})
	}
	for _, n := range tell {
		n.Connected(h.swarm, c)
	}
	return true
}

// remove lets a connection go that has died, if it was there.
func (h *Host) remove(c *conn) {
	p := c.RemotePeer()
	h.mu.Lock()
	if c.link.quiet {
		was := h.quiet[p] == c
		if was {
			delete(h.quiet, p)
		}
		last := was && len(h.open[p]) == 0
		h.mu.Unlock()
		if last { // whoever keeps streams to it lets go of them
			h.emit(func() {
				_ = h.connected.Emit(event.EvtPeerConnectednessChanged{Peer: p, Connectedness: network.NotConnected})
			})
		}
		return
	}
	list := slices.DeleteFunc(slices.Clone(h.open[p]), func(o *conn) bool { return o == c })
	was := len(list) < len(h.open[p])
	if h.open[p] = list; len(list) == 0 {
		delete(h.open, p)
	}
	tell := slices.Clone(h.tell)
	h.mu.Unlock()
	if !was {
		return
	}
	if len(list) == 0 {
		h.store.UpdateAddrs(p, peerstore.ConnectedAddrTTL, peerstore.RecentlyConnectedAddrTTL)
		h.emit(func() {
			_ = h.connected.Emit(event.EvtPeerConnectednessChanged{Peer: p, Connectedness: network.NotConnected})
		})
	}
	for _, n := range tell {
		n.Disconnected(h.swarm, c)
	}
}

// all are the open connections.
func (h *Host) all() (list []*conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, cs := range h.open {
		list = append(list, cs...)
	}
	return list
}

// every is also those that are quiet.
func (h *Host) every() []*conn {
	list := h.all()
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.AppendSeq(list, maps.Values(h.quiet))
}

// Peerstore implements [network.Dialer].
func (s *swarm) Peerstore() peerstore.Peerstore { return s.h.store }

// LocalPeer implements [network.Dialer].
func (s *swarm) LocalPeer() peer.ID { return s.h.id }

// DialPeer implements [network.Dialer].
func (s *swarm) DialPeer(ctx context.Context, p peer.ID) (network.Conn, error) {
	c, err := s.dial(ctx, p)
	if err != nil {
		return nil, err // not c: a nil *conn in an interface is not nil
	}
	return c, nil
}

// ClosePeer implements [network.Dialer].
func (s *swarm) ClosePeer(p peer.ID) error {
	for _, c := range s.ConnsToPeer(p) {
		c.Close()
	}
	return nil
}

// Connectedness implements [network.Dialer].
func (s *swarm) Connectedness(p peer.ID) network.Connectedness {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if len(s.h.open[p]) > 0 {
		return network.Connected
	}
	return network.NotConnected
}

// Peers implements [network.Dialer].
func (s *swarm) Peers() []peer.ID {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	return slices.Collect(maps.Keys(s.h.open))
}

// Conns implements [network.Dialer].
func (s *swarm) Conns() []network.Conn { return asConns(s.h.all()) }

// ConnsToPeer implements [network.Dialer].
func (s *swarm) ConnsToPeer(p peer.ID) []network.Conn {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	return asConns(s.h.open[p])
}

func asConns(list []*conn) []network.Conn {
	all := make([]network.Conn, len(list))
	for i, c := range list {
		all[i] = c
	}
	return all
}

// Notify implements [network.Dialer].
func (s *swarm) Notify(n network.Notifiee) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.tell = append(slices.Clone(s.h.tell), n)
}

// StopNotify implements [network.Dialer].
func (s *swarm) StopNotify(n network.Notifiee) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.tell = slices.DeleteFunc(slices.Clone(s.h.tell), func(o network.Notifiee) bool { return o == n })
}

// CanDial implements [network.Dialer].
func (s *swarm) CanDial(peer.ID, ma.Multiaddr) bool { return true }

// Close implements [network.Network].
func (s *swarm) Close() error { return s.h.Close() }

// SetStreamHandler implements [network.Network]: streams are the host's.
func (s *swarm) SetStreamHandler(network.StreamHandler) {}

// NewStream implements [network.Network].
func (s *swarm) NewStream(ctx context.Context, p peer.ID) (network.Stream, error) {
	c := s.best(p)
	if nodial, _ := network.GetNoDial(ctx); c == nil && nodial {
		return nil, network.ErrNoConn
	}
	if c == nil {
		var err error
		if c, err = s.dial(ctx, p); err != nil {
			return nil, err
		}
	}
	return c.NewStream(ctx)
}

// Listen implements [network.Network]: a host listens at its address from the start.
func (s *swarm) Listen(...ma.Multiaddr) error { return nil }

// ListenAddresses implements [network.Network].
func (s *swarm) ListenAddresses() []ma.Multiaddr { return s.h.Addrs() }

// InterfaceListenAddresses implements [network.Network].
func (s *swarm) InterfaceListenAddresses() ([]ma.Multiaddr, error) { return s.h.Addrs(), nil }

// ResourceManager implements [network.Network].
func (s *swarm) ResourceManager() network.ResourceManager { return &network.NullResourceManager{} }
