// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// State is whether others can begin a connection to this host.
type State string

const (
	StateUnknown State = "unknown" // nobody has tried yet
	StatePublic  State = "public"  // another has
	StatePrivate State = "private" // behind NAT or a firewall: only by relays, or holes
)

// Reach is how others reach a host.
type Reach struct {
	State      State
	Mapping    Mapping
	Relays     []string // multiaddrs with /p2p-circuit by which it is reached, sorted
	DialedBack uint64   // whoever came through a relay and could be dialled himself
	Punched    uint64   // holes that led to a direct connection in place of a relayed one
	Missed     uint64   // and that did not
	Carried    Carried  // for others
}

// reach gathers what is told of a host on its event bus.
type reach struct {
	changed chan struct{} // capacity of one
	done    sync.WaitGroup

	mu        sync.Mutex // of all below
	verdict   network.Reachability
	reachable int // addresses that others have dialled
	relays    []string
	seen      sightings
	back      uint64
	punched   uint64
	missed    uint64
}

func newReach() *reach { return &reach{changed: make(chan struct{}, 1)} }

// watch begins to listen. A host none of whose addresses the internet routes is
// told at once that it is behind NAT, which AutoNAT would find out in half a
// minute: until then nobody could reach it.
func (r *reach) watch(ctx context.Context, h host.Host, private bool) error {
	bus := h.EventBus()
	events, err := bus.Subscribe([]any{new(event.EvtLocalReachabilityChanged), new(event.EvtHostReachableAddrsChanged),
		new(event.EvtAutoRelayAddrsUpdated), new(event.EvtPeerIdentificationCompleted)}, eventbus.BufSize(64))
	if err != nil {
		return err
	}
	if !private && !slices.ContainsFunc(h.Addrs(), manet.IsPublicAddr) {
		verdicts, err := bus.Emitter(new(event.EvtLocalReachabilityChanged), eventbus.Stateful)
		if err == nil {
			err = verdicts.Emit(event.EvtLocalReachabilityChanged{Reachability: network.ReachabilityPrivate})
			verdicts.Close()
		}
		if err != nil {
			events.Close()
			return err
		}
	}
	r.done.Go(func() {
		defer events.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case e, open := <-events.Out():
				if !open {
					return
				}
				r.hear(e)
			}
		}
	})
	return nil
}

func (r *reach) wait() { r.done.Wait() }

func (r *reach) hear(e any) {
	r.mu.Lock()
	switch e := e.(type) {
	case event.EvtLocalReachabilityChanged:
		r.verdict = e.Reachability
	case event.EvtHostReachableAddrsChanged:
		r.reachable = len(e.Reachable)
	case event.EvtAutoRelayAddrsUpdated:
		r.relays = r.relays[:0]
		for _, a := range e.RelayAddrs {
			r.relays = append(r.relays, a.String())
		}
		slices.Sort(r.relays)
	case event.EvtPeerIdentificationCompleted:
		if one, ok := sightingOf(e); ok {
			r.seen.add(one)
		}
	}
	r.mu.Unlock()
	r.tell()
}

func (r *reach) tell() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// sightingOf is what an observer over UDP says: TCP connections may begin at any
// port, so that theirs says nothing.
func sightingOf(e event.EvtPeerIdentificationCompleted) (one sighting, ok bool) {
	if e.ObservedAddr == nil || e.Conn == nil || !manet.IsPublicAddr(e.Conn.RemoteMultiaddr()) {
		return one, false
	}
	local, seen := udp(e.Conn.LocalMultiaddr()), udp(e.ObservedAddr)
	by := sourceOf(e.Conn.RemoteMultiaddr())
	return sighting{by: by, from: local, seen: seen, own: isOwn(seen.Addr())}, by.IsValid() && local.IsValid() && seen.IsValid()
}

// isOwn reports whether an interface of this machine has the address.
func isOwn(a netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(addrs, func(own net.Addr) bool {
		p, err := netip.ParsePrefix(own.String())
		return err == nil && p.Addr().Unmap() == a.Unmap()
	})
}

// udp is the address and port of a multiaddr over UDP, without a relay.
func udp(m ma.Multiaddr) netip.AddrPort {
	addr, err := manet.ToNetAddr(transport(m))
	if err != nil || addr.Network() != "udp" || circuit(m) {
		return netip.AddrPort{}
	}
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// circuit reports whether a multiaddr goes through a relay.
func circuit(m ma.Multiaddr) bool {
	_, err := m.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}

func (r *reach) now() Reach {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := Reach{State: StateUnknown, Mapping: r.seen.mapping(), Relays: slices.Clone(r.relays),
		DialedBack: r.back, Punched: r.punched, Missed: r.missed}
	switch {
	case r.reachable > 0 || r.verdict == network.ReachabilityPublic:
		now.State = StatePublic
	case r.verdict == network.ReachabilityPrivate:
		now.State = StatePrivate
	}
	return now
}

// HolePunchFinished is told by the library of a hole that leads somewhere, or of
// none.
func (r *reach) HolePunchFinished(_ string, _ int, _, _ []ma.Multiaddr, direct network.ConnMultiaddrs) {
	r.mu.Lock()
	if direct != nil {
		r.punched++
	} else {
		r.missed++
	}
	r.mu.Unlock()
	r.tell()
}

// DirectDialFinished is told when the other side was dialled, without a hole.
func (r *reach) DirectDialFinished(success bool) {
	if !success {
		return // a hole is tried next
	}
	r.mu.Lock()
	r.back++
	r.mu.Unlock()
	r.tell()
}
