// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"

	"croft/gossip"
	"croft/node/api"
	"croft/node/wire"
	"croft/sandbox/swarm/stream"
)

// traffic is what the host's connections carry, and what of it is the overlay's own.
type traffic struct {
	meter *wire.Meter
	since time.Time

	mu   sync.Mutex
	held gossip.Load
}

func newTraffic() *traffic {
	return &traffic{meter: wire.NewMeter(), since: time.Now()}
}

// run measures the load now and then, until ctx ends.
func (t *traffic) run(ctx context.Context, connected func(peer.ID) bool) {
	tick := time.NewTicker(gossip.MeasureEvery)
	defer tick.Stop()
	for {
		t.measure(time.Now(), connected)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// others are the protocols by which others' bytes go: pipes, images, and what a relay
// passes on, at the node that relays and at those for whom it does.
var others = []protocol.ID{wire.PipeProtocol, stream.Protocol, proto.ProtoIDv2Hop, proto.ProtoIDv2Stop}

// measure adds up everything but what is carried for others.
func (t *traffic) measure(now time.Time, connected func(peer.ID) bool) {
	t.meter.Turn(now, connected)
	var in, out int64
	for id, s := range t.meter.GetBandwidthByProtocol() {
		if !slices.Contains(others, id) {
			in, out = in+s.TotalIn, out+s.TotalOut
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held.Measured(now, uint64(max(in, out)))
}

func (t *traffic) load() (rate, stretch float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.held.Rate(), t.held.Stretch()
}

// protocols is what each stream protocol carried, the most first.
func (t *traffic) protocols() []api.ProtocolTraffic {
	list := []api.ProtocolTraffic{}
	for proto, s := range t.meter.GetBandwidthByProtocol() {
		list = append(list, api.ProtocolTraffic{Protocol: string(proto), In: s.TotalIn, Out: s.TotalOut, InRate: s.RateIn, OutRate: s.RateOut})
	}
	slices.SortFunc(list, func(a, b api.ProtocolTraffic) int {
		return cmp.Or(cmp.Compare(b.In+b.Out, a.In+a.Out), cmp.Compare(a.Protocol, b.Protocol))
	})
	return list
}

// Stretch is by how much the node's periods are to be longer, to keep to the budget.
func (o *overlay) Stretch() float64 {
	_, stretch := o.traffic.load()
	return stretch
}

func (o *overlay) connected(id peer.ID) bool {
	return o.host.Network().Connectedness(id) != network.NotConnected
}
