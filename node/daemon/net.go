// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/multiformats/go-multiaddr"

	"croft/gossip"
	"croft/lease"
	"croft/node/api"
	"croft/node/wire"
)

// Net says whom this node is connected to, and what that costs.
func (o *overlay) Net(ctx context.Context) (api.Net, error) {
	load, stretch := o.traffic.load()
	n := api.Net{At: time.Now().UTC(), Since: o.traffic.since.UTC(), Budget: gossip.Budget, Load: load, Stretch: stretch,
		Peers: o.peers(ctx), Topics: []api.TopicTraffic{}, Protocols: o.traffic.protocols(), Drops: o.drops()}
	if o.carrier == nil {
		return n, nil
	}
	s := o.carrier.Stats()
	n.Delivered, n.Doubles = s.Delivered, s.Doubles
	for topic, t := range s.Traffic {
		n.Topics = append(n.Topics, api.TopicTraffic{Topic: topic, Mesh: s.Meshes[topic],
			MessagesIn: t.MessagesIn, MessagesOut: t.MessagesOut, In: t.BytesIn, Out: t.BytesOut})
	}
	slices.SortFunc(n.Topics, func(a, b api.TopicTraffic) int { return cmp.Compare(a.Topic, b.Topic) })
	return n, nil
}

// peers are the neighbours, by name and id, each asked how far away it is.
func (o *overlay) peers(ctx context.Context) []api.Peer {
	names := map[lease.Principal]string{}
	for _, f := range o.live() {
		names[f.Node] = f.Name
	}
	list := []api.Peer{}
	var ids []peer.ID
	for _, id := range o.host.Network().Peers() {
		best, direct := bestConn(o.host.Network().ConnsToPeer(id))
		if best == nil {
			continue // it went meanwhile
		}
		p := api.Peer{ID: id.String(), Addr: best.RemoteMultiaddr().String(), Direct: direct,
			Inbound: best.Stat().Direction == network.DirInbound, Since: best.Stat().Opened.UTC()}
		if node, err := wire.Principal(id); err == nil {
			p.Node, p.Name = node, names[node]
		}
		if agent, err := o.host.Peerstore().Get(id, "AgentVersion"); err == nil {
			p.Agent, _ = agent.(string)
		}
		used := o.traffic.meter.GetBandwidthForPeer(id)
		p.In, p.Out = used.TotalIn, used.TotalOut
		list, ids = append(list, p), append(ids, id)
	}
	o.pingAll(ctx, ids, list)
	slices.SortFunc(list, func(a, b api.Peer) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// bestConn is a direct connection if there is one, the oldest of several.
func bestConn(conns []network.Conn) (best network.Conn, direct bool) {
	for _, c := range conns {
		d := isDirect(c.Stat(), c.RemoteMultiaddr())
		switch {
		case best == nil, d && !direct, d == direct && c.Stat().Opened.Before(best.Stat().Opened):
			best, direct = c, d
		}
	}
	return best, direct
}

// isDirect reports whether a connection leads to its peer itself, and not to a relay.
func isDirect(s network.ConnStats, remote multiaddr.Multiaddr) bool {
	if s.Limited {
		return false
	}
	_, err := remote.ValueForProtocol(multiaddr.P_CIRCUIT)
	return err != nil
}

// pingAll measures the way to each peer, some at once and for no longer than pingLimit.
func (o *overlay) pingAll(ctx context.Context, ids []peer.ID, list []api.Peer) {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	places := make(chan struct{}, maxPings)
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
			case <-ctx.Done():
			}
			rtt := o.host.Peerstore().LatencyEWMA(id)
			if ctx.Err() == nil {
				once, done := context.WithCancel(ctx)
				if r, ok := <-ping.Ping(once, o.host, id); ok && r.Error == nil {
					rtt = r.RTT
				}
				done()
			}
			list[i].RTT = float64(rtt.Microseconds()) / 1000
		})
	}
	all.Wait()
}

// View says what gossip has told of the others.
func (o *overlay) View(context.Context) (api.View, error) {
	if o.gossip == nil {
		return api.View{}, fmt.Errorf("%w, and keeps no view", api.ErrVisitor)
	}
	entries, digest := o.gossip.View()
	v := api.View{At: time.Now().UTC(), Digest: fmt.Sprintf("%016x", digest.Sum()), Capacity: gossip.DefaultCap, Nodes: []api.ViewedNode{}}
	for _, e := range entries {
		n := api.ViewedNode{Node: e.Offer.Node, Name: e.Offer.Name, Site: e.Offer.Site, Sequence: e.Offer.Sequence,
			Made: e.Offer.Made, Until: e.Offer.Until, From: e.From, Left: e.Offer.Closed}
		switch {
		case e.From.IsZero():
			n.Source = "own"
			v.Counts.Own++
		case e.Heard:
			n.Source = "gossip"
			v.Counts.Gossip++
		default:
			n.Source = "pull"
			v.Counts.Pull++
		}
		if n.Left {
			v.Counts.Left++
		}
		v.Nodes = append(v.Nodes, n)
	}
	return v, nil
}
