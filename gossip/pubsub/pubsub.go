// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	ps "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip"
	"croft/lease"
	"croft/lease/judge"
	"croft/lease/offer"
)

// The topics.
const (
	TopicCapacity  = gossip.TopicCapacity
	TopicLeases    = "croft/leases"
	TopicConflicts = "croft/conflicts"
	TopicForks     = "croft/forks"
	TopicOptOuts   = "croft/optouts"
)

// ErrRefused: our own view, or a store of proofs, does not take what we want to
// publish.
var ErrRefused = errors.New("refused by the own view")

// Config is fixed for the life of a Gossip.
type Config struct {
	Host host.Host
	Now  func() time.Time
	View gossip.ViewConfig
	Log  *slog.Logger // nil is silent

	// OnEffect hears of every Stored, Evicted and Equivocated, and of every Proven
	// and Forgot; OnNotice of every lease notice. Nil is deaf.
	OnEffect func(gossip.Effect)
	OnNotice func(gossip.Notice)

	// ReadFork reads a proof that a node has signed two logs. Nil: the topic is not
	// joined.
	ReadFork func([]byte) (gossip.Evidence, error)

	// OptOuts is the set of addresses to be left alone. Nil: the topic is not joined.
	OptOuts OptOuts

	// Slices is what the topics of slices need. Nil: there are none.
	Slices *SliceConfig

	// Light joins none of the shared topics, keeps no view and pulls nothing: a
	// visitor has the topics of slices alone.
	Light bool

	// Retell wants a newer offer of this node published at once: nobody is left who
	// heard the last. It must not block. Nil: nobody asks.
	Retell func()

	// Liveness is what it takes to watch who is there. Nil: nobody is watched.
	Liveness *LivenessConfig

	// PullEvery overrides the pace of anti-entropy; 0 is a minute.
	PullEvery time.Duration
}

// Gossip is one node's part in the gossip.
type Gossip struct {
	// Conflicts are the proofs of broken promises; Forks those of two logs of one
	// node, nil if they are not carried.
	Conflicts *Proofs
	Forks     *Proofs

	Slices *Slices // nil if they are not carried

	Liveness *Liveness // nil if nobody is watched

	cfg    Config
	ctx    context.Context // ends with Close
	ps     *ps.PubSub
	topics map[string]*ps.Topic
	cancel context.CancelFunc
	loops  sync.WaitGroup
	counts *counters

	subscriptions *subscriptions
	left          func() // stops hearing of peers that leave

	served, meetings *slots // for inbound pulls and attendances

	mu      sync.Mutex
	view    *gossip.View
	sources gossip.Sources
	notices gossip.Notices

	intakeMu sync.Mutex
	intake   gossip.Intake

	optoutMu    sync.Mutex
	optoutAfter lease.ID // where the next pull of opt-outs begins
}

// New joins the topics. The host is the caller's.
func New(cfg Config) (*Gossip, error) {
	if cfg.Host == nil || cfg.Now == nil {
		return nil, errors.New("starting gossip: host and clock are needed")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.PullEvery <= 0 {
		cfg.PullEvery = pullEvery
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &Gossip{cfg: cfg, ctx: ctx, cancel: cancel, topics: map[string]*ps.Topic{}, served: newSlots(maxServed, maxServedPeer), meetings: newSlots(maxMeetings, maxMeetingsPeer),
		counts: newCounters(), view: gossip.NewView(cfg.View)}
	g.Conflicts = &Proofs{g: g, topic: TopicConflicts, proto: ProtocolProofs, kept: gossip.NewProofs(gossip.ProofsConfig{})}
	if cfg.ReadFork != nil {
		g.Forks = &Proofs{g: g, topic: TopicForks, proto: ProtocolForks, kept: gossip.NewForks(cfg.ReadFork, g.known)}
	}
	if cfg.Liveness != nil {
		g.Liveness = newLiveness(g, *cfg.Liveness)
	}
	if err := g.join(ctx); err != nil {
		g.Close()
		return nil, fmt.Errorf("starting gossip: %w", err)
	}
	return g, nil
}

func (g *Gossip) join(ctx context.Context) (err error) {
	judges := g.judges()
	topics := slices.Sorted(maps.Keys(judges))
	g.subscriptions = newSubscriptions(topics, func(id peer.ID) bool { return g.cfg.Host.Network().Connectedness(id) != network.NotConnected })
	g.counts.traffic = newTraffic(topics)
	score, thresholds := scoring(topics, g.application)
	// Own messages flood: they are rare, and before the mesh stands, or when it is
	// hostile, every neighbour is a way out.
	g.ps, err = ps.NewGossipSub(ctx, g.cfg.Host,
		ps.WithMessageSignaturePolicy(ps.StrictNoSign), ps.WithNoAuthor(), ps.WithMessageIdFn(messageID),
		ps.WithFloodPublish(true), ps.WithPeerExchange(false),
		ps.WithGossipSubParams(mesh()), ps.WithPeerScore(score, thresholds), ps.WithAppSpecificRpcInspector(g.inspect),
		ps.WithMaxMessageSize(maxMessage), ps.WithValidateQueueSize(validateQueue), ps.WithValidateWorkers(1),
		ps.WithPeerOutboundQueueSize(peerQueue), ps.WithRawTracer(g.counts),
		ps.WithSubscriptionFilter(g.subscriptions))
	if err != nil {
		return err
	}
	g.joinSlices(ctx)
	for topic, validate := range judges {
		// Inline: one signature at a time, so that a flood costs one core at most.
		if err := g.ps.RegisterTopicValidator(topic, validate, ps.WithValidatorInline(true)); err != nil {
			return err
		}
		t, err := g.ps.Join(topic)
		if err != nil {
			return err
		}
		g.topics[topic] = t
		if _, err := t.Relay(); err != nil { // in the mesh; the validator has read every message already
			return err
		}
	}
	if g.cfg.Light {
		return nil
	}
	if g.Liveness != nil {
		g.Liveness.start(ctx)
	}
	if g.cfg.Retell != nil {
		g.loops.Go(func() { g.keepTelling(ctx) })
	}
	return g.startPulling(ctx)
}

// judges are the shared topics with their validators.
func (g *Gossip) judges() map[string]ps.ValidatorEx {
	if g.cfg.Light {
		return nil
	}
	judges := map[string]ps.ValidatorEx{TopicCapacity: g.capacity, TopicLeases: g.leases, TopicConflicts: g.Conflicts.validate}
	if g.Forks != nil {
		judges[TopicForks] = g.Forks.validate
	}
	if g.cfg.OptOuts != nil {
		judges[TopicOptOuts] = g.optouts
	}
	if g.Liveness != nil {
		judges[TopicLiveness] = g.Liveness.validate
	}
	return judges
}

// Publish puts the node's own offer into its view and tells the others. With no
// neighbour there is nobody to tell, which is no error: they will pull.
func (g *Gossip) Publish(ctx context.Context, o offer.Opened) error {
	verdict := g.step(gossip.Local{Bytes: o.Bytes})
	if verdict.Judgement != judge.Accept && verdict.Reason != judge.Duplicate {
		return fmt.Errorf("publishing offer %d: %s: %w", o.Sequence, verdict, ErrRefused)
	}
	g.counts.audience.telling(o.Bytes)
	if err := g.topics[TopicCapacity].Publish(ctx, o.Bytes); err != nil {
		return fmt.Errorf("publishing offer %d: %w", o.Sequence, err)
	}
	return nil
}

// Tell publishes a signed lease notice.
func (g *Gossip) Tell(ctx context.Context, notice []byte) error {
	if _, err := gossip.OpenNotice(notice, g.cfg.Now()); err != nil {
		return fmt.Errorf("telling of a lease: %w", err)
	}
	if err := g.topics[TopicLeases].Publish(ctx, notice); err != nil {
		return fmt.Errorf("telling of a lease: %w", err)
	}
	return nil
}

// Offers returns what the view holds now, as candidates for merging.
func (g *Gossip) Offers() []offer.Found {
	now, opened := g.cfg.Now(), g.Live()
	found := make([]offer.Found, len(opened))
	for i, o := range opened {
		found[i] = offer.NewFound(*o, offer.View, now)
	}
	return found
}

// Live returns the same as they are kept, not to be changed: for who goes through all of
// them now and then.
func (g *Gossip) Live() []*offer.Opened {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.view.Live(g.cfg.Now())
}

// View returns what the view keeps, and its digest.
func (g *Gossip) View() ([]gossip.Entry, gossip.Digest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.view.Entries(), g.view.Digest()
}

// Find answers a request from the view alone.
func (g *Gossip) Find(_ context.Context, req offer.FindRequest) (offer.Result, error) {
	q, err := req.Parse()
	if err != nil {
		return offer.Result{}, err
	}
	return offer.Answer(q, g.Offers(), offer.Options{Salt: []byte(g.cfg.Host.ID())}), nil
}

// Evidence returns the equivocations seen.
func (g *Gossip) Evidence() []gossip.Equivocated {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.view.Evidence()
}

// step applies an input to the view and tells of its effects.
func (g *Gossip) step(in gossip.Input) gossip.Verdict {
	g.mu.Lock()
	effects := g.view.Step(g.cfg.Now(), in)
	g.mu.Unlock()
	return g.tell(effects)
}

func (g *Gossip) tell(effects []gossip.Effect) (verdict gossip.Verdict) {
	for _, e := range effects {
		if v, ok := e.(gossip.Verdict); ok {
			verdict = v
			continue
		}
		if g.cfg.OnEffect != nil {
			g.cfg.OnEffect(e)
		}
		if g.Liveness != nil {
			g.Liveness.heard(e)
		}
	}
	return verdict
}

// Close leaves the topics and waits for what is under way. The host stays.
func (g *Gossip) Close() error {
	g.cancel()
	if g.left != nil {
		g.left()
	}
	g.cfg.Host.RemoveStreamHandler(ProtocolMeeting)
	g.cfg.Host.RemoveStreamHandler(Protocol)
	g.cfg.Host.RemoveStreamHandler(ProtocolProofs)
	g.cfg.Host.RemoveStreamHandler(ProtocolForks)
	g.cfg.Host.RemoveStreamHandler(ProtocolOptOuts)
	g.cfg.Host.RemoveStreamHandler(ProtocolAlive)
	g.loops.Wait()
	return nil
}
