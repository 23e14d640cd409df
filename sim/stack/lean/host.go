// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	corehost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"
)

// Config is fixed for the life of a Host.
type Config struct {
	Index int // its number at the wires
	Key   crypto.PrivKey
	Addr  ma.Multiaddr // where it listens
	Agent string       // what identify tells of its program
	// Loud bounds, to twice as many where newcomers ask, the connections of which Peers, Conns and Connectedness tell; 0: all
	// do. Others are identified and there for streams, and end when nothing goes over
	// them for a while: so a node's look-ups do not make half of the network its
	// neighbours in gossip.
	Loud int
}

// Host implements host.Host.
type Host struct {
	fabric *Fabric
	index  int
	id     peer.ID
	key    crypto.PrivKey
	addr   ma.Multiaddr
	agent  string
	store  *peers
	bus    event.Bus
	mux    *mux
	swarm  *swarm
	most   int // connections that are loud

	identified, updated, connected event.Emitter

	sent atomic.Uint64
	gone atomic.Bool // killed or closed

	mu     sync.Mutex          // guards what follows
	open   map[peer.ID][]*conn // loud
	quiet  map[peer.ID]*conn
	loud   int // guarded by the fabric
	tell   []network.Notifiee
	dials  map[peer.ID]*dial
	rests  map[peer.ID]rest
	events []func() // at most a few for each connection that came or went
	more   sync.Cond
	ended  chan struct{} // closed when no more events come
}

var _ corehost.Host = (*Host)(nil)

// Host makes a host and puts it at its address.
func (f *Fabric) Host(cfg Config) (*Host, error) {
	id, err := peer.IDFromPrivateKey(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("making host: %w", err)
	}
	h := &Host{fabric: f, index: cfg.Index, id: id, key: cfg.Key, addr: cfg.Addr, agent: cfg.Agent, bus: eventbus.NewBus(), mux: newMux(),
		most: cfg.Loud, open: map[peer.ID][]*conn{}, quiet: map[peer.ID]*conn{}, dials: map[peer.ID]*dial{}, rests: map[peer.ID]rest{}, ended: make(chan struct{})}
	h.more.L = &h.mu
	h.swarm = &swarm{h}
	h.store = newPeers(h)
	for e, of := range map[*event.Emitter]any{&h.identified: new(event.EvtPeerIdentificationCompleted),
		&h.updated: new(event.EvtPeerProtocolsUpdated), &h.connected: new(event.EvtPeerConnectednessChanged)} {
		if *e, err = h.bus.Emitter(of); err != nil {
			return nil, fmt.Errorf("making host: %w", err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hosts[string(cfg.Addr.Bytes())] != nil {
		return nil, fmt.Errorf("making host at %s: %w", cfg.Addr, ErrAddress)
	}
	f.hosts[string(cfg.Addr.Bytes())] = h
	f.reborn(h)
	go h.emitting()
	ping.NewPingService(h)
	return h, nil
}

// emitting tells of events in their order, to however slow listeners.
func (h *Host) emitting() {
	defer close(h.ended)
	for {
		h.mu.Lock()
		for len(h.events) == 0 && !h.gone.Load() {
			h.more.Wait()
		}
		if h.gone.Load() {
			h.events = nil
			h.mu.Unlock()
			return
		}
		do := h.events[0]
		h.events = h.events[1:]
		h.mu.Unlock()
		do()
	}
}

func (h *Host) emit(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, do)
	h.more.Signal()
}

// Sent returns how many bytes the host has sent, with what the network adds.
func (h *Host) Sent() uint64 { return h.sent.Load() }

// Kill takes the host off the network as the end of its process does: it says
// nothing to anybody any more, and hears nothing.
func (h *Host) Kill() { h.stop(false) }

// Close implements host.Host: everybody connected is told.
func (h *Host) Close() error {
	h.stop(true)
	<-h.ended
	return h.store.Close()
}

func (h *Host) stop(told bool) {
	all := h.every()
	for _, c := range all {
		if told {
			c.CloseWithError(network.ConnShutdown)
		}
	}
	h.fabric.mu.Lock()
	if h.fabric.hosts[string(h.addr.Bytes())] == h {
		delete(h.fabric.hosts, string(h.addr.Bytes()))
		h.fabric.killed[h.id] = !told
	}
	h.fabric.mu.Unlock()
	h.mu.Lock()
	h.gone.Store(true)
	h.more.Signal()
	h.mu.Unlock()
	for _, c := range all {
		c.die(&network.ConnError{ErrorCode: network.ConnShutdown})
		if !told {
			c.link.recut()
		}
	}
}

// ID implements host.Host, as do the following.
func (h *Host) ID() peer.ID                      { return h.id }
func (h *Host) Peerstore() peerstore.Peerstore   { return h.store }
func (h *Host) Addrs() []ma.Multiaddr            { return []ma.Multiaddr{h.addr} }
func (h *Host) Network() network.Network         { return h.swarm }
func (h *Host) Mux() protocol.Switch             { return h.mux }
func (h *Host) ConnManager() connmgr.ConnManager { return connmgr.NullConnMgr{} }
func (h *Host) EventBus() event.Bus              { return h.bus }

// Connect implements host.Host.
func (h *Host) Connect(ctx context.Context, ai peer.AddrInfo) error {
	h.store.AddAddrs(ai.ID, ai.Addrs, peerstore.TempAddrTTL)
	c, err := h.swarm.dial(ctx, ai.ID)
	if err != nil {
		return err
	}
	select {
	case <-c.known:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for identify: %w", ctx.Err())
	}
}

// SetStreamHandler implements host.Host.
func (h *Host) SetStreamHandler(id protocol.ID, do network.StreamHandler) {
	h.mux.AddHandler(id, handle(do))
	h.push([]protocol.ID{id}, nil)
}

// SetStreamHandlerMatch implements host.Host.
func (h *Host) SetStreamHandlerMatch(id protocol.ID, match func(protocol.ID) bool, do network.StreamHandler) {
	h.mux.AddHandlerWithFunc(id, match, handle(do))
	h.push([]protocol.ID{id}, nil)
}

// RemoveStreamHandler implements host.Host.
func (h *Host) RemoveStreamHandler(id protocol.ID) {
	h.mux.RemoveHandler(id)
	h.push(nil, []protocol.ID{id})
}

// NewStream implements host.Host. With a protocol that the peer is known to speak it
// waits for nothing; else for the choice.
func (h *Host) NewStream(ctx context.Context, p peer.ID, ids ...protocol.ID) (network.Stream, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, negotiateTimeout)
		defer cancel()
	}
	if nodial, _ := network.GetNoDial(ctx); !nodial {
		if err := h.Connect(ctx, peer.AddrInfo{ID: p}); err != nil {
			return nil, err
		}
	}
	c := h.swarm.best(p)
	if c == nil {
		return nil, network.ErrNoConn
	}
	select {
	case <-c.known:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for identify: %w", ctx.Err())
	}
	if id, err := h.store.FirstSupportedProtocol(p, ids...); err == nil && id != "" {
		c.link.mu.Lock()
		defer c.link.mu.Unlock()
		s, err := c.link.open(c.end)
		if err != nil {
			return nil, fmt.Errorf("opening stream: %w", err)
		}
		s.p.agreed = id
		s.proto.Store(&id)
		h.fabric.traffic.of(id).streams.Add(1)
		s.out().send(s.p, parcel{}) // the other end hears of it at once
		return s, nil
	}
	s, err := c.NewStream(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	id, err := multistream.SelectOneOf(ids, s)
	if stop(); err != nil {
		s.Reset()
		return nil, fmt.Errorf("choosing a protocol: %w", errors.Join(err, ctx.Err()))
	}
	_ = h.store.AddProtocols(p, id)
	h.fabric.traffic.of(id).streams.Add(1)
	return s, s.SetProtocol(id)
}

// serve has an inbound stream handled.
func (h *Host) serve(s *stream) {
	if id := s.p.agreed; id != "" {
		do := h.mux.find(id)
		if do == nil {
			s.ResetWithError(network.StreamProtocolNegotiationFailed)
			return
		}
		s.proto.Store(&id)
		_ = do(id, s) // a stream handler returns nothing
		return
	}
	s.SetDeadline(time.Now().Add(negotiateTimeout))
	id, do, err := h.mux.Negotiate(s)
	if err != nil {
		s.ResetWithError(network.StreamProtocolNegotiationFailed)
		return
	}
	s.SetDeadline(time.Time{})
	s.proto.Store(&id)
	_ = do(id, s)
}
