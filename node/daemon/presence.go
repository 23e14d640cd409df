// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip/pubsub"
	"croft/lease"
	"croft/lease/offer"
	"croft/node/wire"
)

// Presence is who is there, and where this node is among them.
type Presence interface {
	// Refute has a value when somebody says that this node does not answer, or nobody
	// is left who heard its newest offer.
	Refute() <-chan struct{}
	// Coordinate is where the node is; nil while it does not know.
	Coordinate() *offer.Coordinate
}

// lookout is what the overlay has to look at others.
type lookout struct {
	prober    *pubsub.Prober
	rtts      *rtts
	trips     *trips
	suspected chan struct{}   // capacity of one: a newer offer of this node is wanted at once
	measured  chan struct{}   // capacity of one: something was measured or heard of others
	diagnoses *diagnoses      // of the role monitor
	estimates *estimates      // of the role topology
	position  *offer.Position // where this machine is said to stand; nil: nowhere
}

func newLookout(o *overlay) lookout {
	return lookout{prober: pubsub.NewProber(o.host, wire.PeerID, o.locateOnce), rtts: o.newRTTs(), trips: newTrips(),
		suspected: make(chan struct{}, 1), measured: make(chan struct{}, 1), diagnoses: &diagnoses{}, estimates: &estimates{}}
}

// locateOnce is locate for who may ask before all of the overlay is built.
func (o *overlay) locateOnce(ctx context.Context, id peer.ID, to lease.Principal) {
	select {
	case <-o.built:
		o.locate(ctx, id, to)
	case <-ctx.Done():
	}
}

// presence is what the overlay knows of it.
type presence struct {
	*pubsub.Liveness
	suspected chan struct{} // capacity of one
}

func (p presence) Refute() <-chan struct{} { return p.suspected }

func (p presence) Coordinate() *offer.Coordinate {
	if c, ok := p.Liveness.Coordinate(); ok {
		return &c
	}
	return nil
}

// watching is what gossip needs to watch who is there. The offers of this node say
// where it stands.
func (o *overlay) watching(cfg Config, deps *Deps) *pubsub.LivenessConfig {
	return &pubsub.LivenessConfig{Key: deps.Key, Prober: o.prober, OnEffect: deps.OnPresence,
		Position: func() *offer.Position { return position(cfg) }, Refute: o.renew, Measured: o.news, Sampled: o.trips.told}
}

// renew wants a newer offer of this node at once. It does not wait.
func (l *lookout) renew() {
	select {
	case l.suspected <- struct{}{}:
	default:
	}
}

// position is where the owner says that the machine stands, or nil.
func position(cfg Config) *offer.Position {
	a := cfg.Attributes
	if a.Lat == 0 && a.Lon == 0 {
		return nil
	}
	return &offer.Position{Lat: int32(a.Lat * 1000), Lon: int32(a.Lon * 1000)}
}

// liveness is nil at a visitor.
func (o *overlay) liveness() *pubsub.Liveness {
	if o.gossip == nil {
		return nil
	}
	return o.gossip.Liveness
}

// options is how this node chooses among offers.
func (o *overlay) options() offer.Options {
	opt := offer.Options{Salt: []byte(o.host.ID()), Measured: o.rtts.measured}
	l := o.liveness()
	if l != nil {
		if c, ok := l.Coordinate(); ok {
			opt.From = &c
		}
	}
	opt.Doubted = func(f *offer.Offer) bool {
		v := o.diagnoses.of(f)
		return o.rtts.silent(f.Node) || v.Health == doubted || v.Contradicted != ""
	}
	return opt
}

// here reports whether a node answers, as far as is known.
func (o *overlay) here(f *offer.Offer) bool { return o.diagnoses.of(f).Health != absent }
