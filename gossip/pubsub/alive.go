// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	ps "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip"
	"croft/gossip/alive"
	"croft/gossip/vivaldi"
	"croft/lease"
	"croft/lease/judge"
	"croft/lease/offer"
)

// TopicLiveness is that of suspicions.
const TopicLiveness = "croft/liveness"

// LivenessConfig is what a node needs to know who is there, and where it is itself.
type LivenessConfig struct {
	Key    lease.Signer // the node's
	Prober *Prober
	// Position is what the node says of where it stands, or nil.
	Position func() *offer.Position
	// Refute wants a newer offer of this node published at once. It must not block.
	Refute func()
	// Measured says that something new speaks for or against others; may be nil. It must
	// not block.
	Measured func()
	// Sampled hears what came of each probe of the watch's own that had its time; may be
	// nil. Those that somebody else wants are not among them.
	Sampled func(node lease.Principal, rtt time.Duration, err error)
	// OnEffect hears what the watch wants and knows, before it is done; may be nil. It
	// must not block.
	OnEffect func(alive.Effect)
}

// Liveness is one node's part in watching which nodes are there, and its coordinate.
// Its methods may be called at once.
type Liveness struct {
	g    *Gossip
	cfg  LivenessConfig
	kick chan struct{} // the loop is to look at the clock again
	asks chan alive.Probe
	busy chan struct{} // a place for each probe under way
	open *slots        // and for each that is answered

	mu    sync.Mutex // taken before that of the view
	watch *alive.Watch
	place *vivaldi.Estimator
}

func newLiveness(g *Gossip, cfg LivenessConfig) *Liveness {
	l := &Liveness{g: g, cfg: cfg, kick: make(chan struct{}, 1), asks: make(chan alive.Probe, maxProbes), busy: make(chan struct{}, maxProbes), open: newSlots(maxProbed, maxProbedPeer)}
	l.watch = alive.NewWatch(alive.Config{Self: cfg.Key.Principal(), Key: cfg.Key, Offer: g.Offer, Phase: rand.N(alive.Period)})
	l.place = vivaldi.New(vivaldi.Config{Seed: rand.Uint64()})
	return l
}

// Offer returns the newest offer of a node in the view, not to be changed.
func (g *Gossip) Offer(node lease.Principal) (*offer.Opened, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.view.Offer(node)
}

// Withdrawn reports whether a node took back the offer of a sequence.
func (g *Gossip) Withdrawn(node lease.Principal, sequence uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.view.Withdrawn(node, sequence)
}

// start answers probes, and probes.
func (l *Liveness) start(ctx context.Context) {
	l.g.cfg.Host.SetStreamHandler(ProtocolAlive, l.serve)
	l.g.loops.Go(func() { l.run(ctx) })
}

func (l *Liveness) run(ctx context.Context) {
	timer := time.NewTimer(0)
	chance := time.NewTicker(alive.Period)
	defer timer.Stop()
	defer chance.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.kick:
		case <-timer.C:
			l.step(ctx, alive.Tick{})
		case p := <-l.asks:
			l.probe(ctx, p)
		case <-chance.C:
			l.meet(ctx)
		}
		l.mu.Lock()
		at, ok := l.watch.NextWake()
		l.mu.Unlock()
		if ok {
			timer.Reset(at.Sub(l.g.cfg.Now()))
		}
	}
}

// step applies an input and does what comes of it.
func (l *Liveness) step(ctx context.Context, in alive.Input) (verdict gossip.Verdict) {
	l.mu.Lock()
	effects := l.watch.Step(l.g.cfg.Now(), in)
	l.mu.Unlock()
	news := false
	for _, e := range effects {
		if l.cfg.OnEffect != nil {
			l.cfg.OnEffect(e)
		}
		switch e := e.(type) {
		case alive.Verdict:
			verdict = gossip.Verdict(e)
			news = news || e.Judgement == judge.Accept
		case alive.Probe:
			select {
			case l.asks <- e:
			default:
				l.unsent(ctx, e)
			}
		case alive.Publish:
			if err := l.g.topics[TopicLiveness].Publish(ctx, e.Bytes); err != nil && ctx.Err() == nil {
				l.g.counts.add("liveness:unpublished")
			}
		case alive.Refute:
			if l.cfg.Refute != nil {
				l.cfg.Refute()
			}
		case alive.Changed:
			news = true
			l.g.cfg.Log.Debug("a node stands otherwise", "node", e.Node.Short(), "is", e.Standing)
		}
	}
	if news && l.cfg.Measured != nil {
		l.cfg.Measured()
	}
	if len(effects) > 0 {
		select {
		case l.kick <- struct{}{}:
		default:
		}
	}
	return verdict
}

// probe asks a node, if a place is free.
func (l *Liveness) probe(ctx context.Context, p alive.Probe) {
	select {
	case l.busy <- struct{}{}:
	default:
		l.unsent(ctx, p)
		return
	}
	l.g.loops.Go(func() {
		defer func() { <-l.busy }()
		if l.sample(ctx, p.Node, p.Suspicion) == nil {
			l.step(ctx, alive.Answered{Ref: p.Ref})
		}
	})
}

// unsent gives a probe back for which there was no place.
func (l *Liveness) unsent(ctx context.Context, p alive.Probe) {
	l.g.counts.add("liveness:busy")
	l.step(ctx, alive.Unsent{Ref: p.Ref})
}

// meet samples the way to one node more, at random among those to which there is a
// connection: coordinates by few ways alone are bent.
func (l *Liveness) meet(ctx context.Context) {
	peers := l.g.cfg.Host.Network().Peers()
	rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	for _, id := range peers {
		node := principal(id)
		if _, ok := l.g.Offer(node); !ok || !l.g.speaks(id, ProtocolAlive) {
			continue
		}
		select {
		case l.busy <- struct{}{}:
		default:
			l.g.counts.add("liveness:busy")
			return
		}
		l.g.loops.Go(func() {
			defer func() { <-l.busy }()
			_ = l.sample(ctx, node, nil) // that it did not answer is for its neighbours to say
		})
		return
	}
}

// sample asks a node, and learns from the answer where this one is.
func (l *Liveness) sample(ctx context.Context, node lease.Principal, suspicion []byte) error {
	limited, cancel := context.WithTimeout(ctx, alive.Timeout)
	defer cancel()
	rtt, echo, err := l.cfg.Prober.Probe(limited, node, suspicion)
	if l.cfg.Sampled != nil && ctx.Err() == nil { // one that was called off says nothing
		l.cfg.Sampled(node, rtt, err)
	}
	if err != nil {
		l.g.cfg.Log.Debug("a probe was not answered", "err", err)
		return err
	}
	l.Learn(node, rtt, echo)
	return nil
}

// Learn takes a round trip that was measured by a probe.
func (l *Liveness) Learn(node lease.Principal, rtt time.Duration, echo alive.Echo) {
	var least time.Duration
	if o, ok := l.g.Offer(node); ok && l.cfg.Position != nil {
		least = offer.Light(l.cfg.Position(), o.Attributes.Position)
	}
	l.mu.Lock()
	what := l.place.Sample(node, rtt, least, echo.Coordinate)
	l.mu.Unlock()
	if what != vivaldi.Taken {
		l.g.counts.add("coordinate:" + string(what))
	}
}

// serve answers one probe.
func (l *Liveness) serve(s network.Stream) {
	back, why := l.open.take(s.Conn())
	if why != "" {
		l.g.counts.add("liveness:" + why)
		s.Reset()
		return
	}
	err := s.SetDeadline(time.Now().Add(alive.Timeout)) // the asker waits no longer
	if err == nil {
		err = answer(s, func(b []byte) { l.result(l.step(l.g.ctx, alive.Received{Bytes: b})) }, l.echo)
	}
	back()
	if err != nil {
		l.g.counts.add("liveness:unanswered")
		s.Reset()
		return
	}
	s.Close()
}

// echo says where this node is, also while it does not know: its error says so, and
// all begin like that.
func (l *Liveness) echo() alive.Echo {
	c, _ := l.Coordinate()
	return alive.Echo{Coordinate: &c}
}

// result counts a suspicion that a probe brought and that was not taken.
func (l *Liveness) result(v gossip.Verdict) {
	if v.Judgement != judge.Accept {
		l.g.counts.add("liveness:" + string(v.Reason))
	}
}

// validate judges one suspicion of the topic.
func (l *Liveness) validate(_ context.Context, from peer.ID, m *ps.Message) ps.ValidationResult {
	if from == l.g.cfg.Host.ID() {
		return ps.ValidationAccept
	}
	return l.g.result(l.step(l.g.ctx, alive.Received{Bytes: m.Data}))
}

// heard follows the view.
func (l *Liveness) heard(e gossip.Effect) {
	switch e := e.(type) {
	case gossip.Stored:
		if e.Offer.Closed {
			l.step(l.g.ctx, alive.Gone{Node: e.Offer.Node})
		} else {
			l.step(l.g.ctx, alive.Heard{Node: e.Offer.Node, Sequence: e.Offer.Sequence})
		}
	case gossip.Evicted:
		l.step(l.g.ctx, alive.Gone{Node: e.Node})
	}
}

// Standing returns what the node of an offer is taken for.
func (l *Liveness) Standing(o *offer.Offer) alive.Standing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.watch.Standing(o)
}

// Evidence returns what speaks against nodes.
func (l *Liveness) Evidence() []alive.Evidence {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.watch.Evidence(l.g.cfg.Now())
}

// Coordinate returns where this node is, and false while that is not worth telling.
func (l *Liveness) Coordinate() (offer.Coordinate, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.place.Coordinate()
}

// Stats returns what was counted of probes and suspicions.
func (l *Liveness) Stats() alive.Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.watch.Stats()
}
