// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"

	"croft/lease"
	"croft/node/api"
	"croft/node/wire"
)

// Reachability is how others reach this node, and what it tells those who want to
// join.
type Reachability interface {
	Reach() api.Reach
	// Changed has a value when that may be another; one reader has it.
	Changed() <-chan struct{}
	// Invite returns text by which others join through this node and whom it knows.
	Invite(ctx context.Context, lasts time.Duration) (api.Invitation, error)
}

// hostConfig is the host that a configuration asks for.
func (o *overlay) hostConfig(cfg Config, deps *Deps) wire.Config {
	c := wire.Config{Key: deps.Key.Private(), Listen: cfg.Listen, UserAgent: "croft/" + Version,
		Connections: cfg.Bounds.Connections, Private: cfg.Profile == ProfileLAN, Meter: o.traffic.meter, Resolved: o.keep}
	if cfg.Profile == ProfileLab {
		c.Routed = cfg.Open
	}
	if !cfg.Visitor { // nobody opens pipes to a visitor
		c.Relays = o.relays
		if cfg.Bounds.Relay.Nodes > 0 {
			c.Relay = &cfg.Bounds.Relay
		}
	}
	return c
}

// relays gives nodes that may carry for this one: neighbours who say that they do,
// then any whose offer claims that the world can reach them.
func (o *overlay) relays(ctx context.Context, n int) <-chan peer.AddrInfo {
	found := make(chan peer.AddrInfo)
	go func() {
		defer close(found)
		select {
		case <-o.built:
		case <-ctx.Done():
			return
		}
		var list []peer.AddrInfo
		for _, id := range o.host.Network().Peers() {
			if has, err := o.host.Peerstore().SupportsProtocols(id, proto.ProtoIDv2Hop); err == nil && len(has) > 0 {
				list = append(list, peer.AddrInfo{ID: id, Addrs: o.host.Peerstore().Addrs(id)})
			}
		}
		offers := o.live()
		rand.Shuffle(len(offers), func(i, j int) { offers[i], offers[j] = offers[j], offers[i] })
		for _, f := range offers {
			id, err := wire.PeerID(f.Node)
			if err != nil || id == o.host.ID() || f.Attributes.Network != networkPublic {
				continue
			}
			list = append(list, peer.AddrInfo{ID: id, Addrs: o.claimed(f.Addrs)})
		}
		for _, info := range list[:min(n, len(list))] {
			select {
			case found <- info:
			case <-ctx.Done():
				return
			}
		}
	}()
	return found
}

// The kinds of network that an offer names.
const (
	networkPublic  = "public"  // anybody can dial it
	networkNAT     = "nat"     // reached by relays, and directly where a hole can be punched
	networkRelayed = "relayed" // by relays alone
)

// kindOfNetwork is what an offer says of reachability; empty while nobody knows.
func (d *Daemon) kindOfNetwork() string {
	if d.deps.Reach == nil {
		return ""
	}
	switch r := d.deps.Reach.Reach(); {
	case r.State == string(wire.StatePublic):
		return networkPublic
	case r.State != string(wire.StatePrivate):
		return ""
	case r.Mapping == string(wire.MappingVaries):
		return networkRelayed
	}
	return networkNAT
}

// watchReach tells the owner and the network when others reach this node another
// way than before.
func (d *Daemon) watchReach(ctx context.Context) {
	last := ""
	for {
		if now := d.deps.Reach.Reach(); now.String() != last && now.Known() {
			last = now.String()
			d.deps.Log.Info("reachable: " + last)
			d.offers.tell() // its addresses are others
		}
		select {
		case <-ctx.Done():
			return
		case <-d.deps.Reach.Changed():
		}
	}
}

// Reach is what the host knows.
func (o *overlay) Reach() api.Reach {
	r := o.wired.Reach()
	out := api.Reach{State: string(r.State), Mapping: string(r.Mapping), Back: r.DialedBack, Punched: r.Punched, Missed: r.Missed, Unheard: o.first.unheard()}
	for _, a := range r.Relays {
		way, _, _ := strings.Cut(a, wire.Circuit)
		_, id, _ := strings.Cut(way, "/p2p/")
		if p, ok := principalOf(id); ok && (len(out.Relays) == 0 || out.Relays[len(out.Relays)-1] != p) {
			out.Relays = append(out.Relays, p)
		}
	}
	if c := r.Carried; c.Serving {
		out.Carried = &api.Carried{Nodes: c.Nodes, Circuits: c.Circuits, Bytes: c.Bytes, Today: c.Today, Refused: c.Refused}
	}
	return out
}

// Changed is the host's.
func (o *overlay) Changed() <-chan struct{} { return o.wired.Changed() }

// principalOf reads a peer id as text.
func principalOf(id string) (p lease.Principal, ok bool) {
	decoded, err := peer.Decode(id)
	if err != nil {
		return p, false
	}
	p, err = wire.Principal(decoded)
	return p, err == nil
}
