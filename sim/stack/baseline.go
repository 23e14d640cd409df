// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	kaddht "github.com/libp2p/go-libp2p-kad-dht"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht/kad"
	"croft/sim/cost"
	"croft/sim/profile"
	"croft/sim/report"
	"croft/sim/scenario"
	"croft/sim/stack/lean"
)

// Lean is what a run costs that has next to nothing of ours: as many hosts on the same
// wires, a Kademlia (whose requests have streams of their own, as ours have: with those
// that kad-dht keeps for a minute it took a third more memory) with a value of each, a
// hundred look-ups of those, and one topic with one message.
type Lean struct {
	Nodes     int           `json:"nodes"`
	Wall      time.Duration `json:"wall_ns"`
	CPU       time.Duration `json:"cpu_ns"`
	Peak      int64         `json:"peak_bytes"`
	Gets      int           `json:"gets"`      // of a hundred
	Get       time.Duration `json:"get_ns"`    // the median of those
	Delivered int           `json:"delivered"` // to so many
}

// besideLean reports whether it is expected how many times the baseline a run costs.
func besideLean(s *scenario.Scenario) bool {
	return slices.ContainsFunc(s.Expected("stack"), func(e scenario.Expect) bool { return e.Figure == "wall" && e.Stat == "ratio" })
}

// beside says a run's costs in those of the baseline.
func (l *Lean) beside(s *scenario.Scenario, r *report.Report) {
	r.Late(s, report.Value{Figure: "wall", Stat: "ratio", Value: r.Wall.Seconds() / max(l.Wall.Seconds(), 1e-3)})
	r.Foot.Notes = append(r.Foot.Notes, fmt.Sprintf("a lean DHT with one topic, of as many nodes, took %s and %.0f MB: this run %.1f and %.1f times that; one plain get took %s there, %d of %d succeeded, and the message came to %d of %d",
		l.Wall.Round(100*time.Millisecond), float64(l.Peak)/1e6, r.Wall.Seconds()/max(l.Wall.Seconds(), 1e-3), float64(r.Peak)/max(float64(l.Peak), 1),
		l.Get.Round(time.Millisecond), l.Gets, leanGets, l.Delivered, l.Nodes-1))
}

const (
	leanGets  = 100
	leanTopic = "lean"
)

// leaf is a host of the baseline.
type leaf struct {
	host  *lean.Host
	dht   *kaddht.IpfsDHT
	topic *pubsub.Topic
	sub   *pubsub.Subscription
}

// anything has every value count.
type anything struct{}

func (anything) Validate(string, []byte) error        { return nil }
func (anything) Select(string, [][]byte) (int, error) { return 0, nil }

// RunLean plays the joins of a scenario with nothing of ours, in a bubble. Hosts are
// left as they are: the process ends.
func RunLean(ctx context.Context, s *scenario.Scenario, progress func(report.Progress)) (*Lean, error) {
	p, err := profile.New(s.Nodes.Profile, s.Nodes.Count, s.Seed)
	if err != nil {
		return nil, err
	}
	meter, began := cost.Begin(), time.Now()
	fabric := lean.NewFabric(&wires{profile: p, holes: make([]bool, s.Nodes.Count)})
	leaves, memory := make([]*leaf, 0, s.Nodes.Count), newCollector(s.Nodes.Count)
	for len(leaves) < s.Nodes.Count {
		if ctx.Err() != nil {
			return nil, errors.New("interrupted")
		}
		wave := min(s.Join.Wave, s.Nodes.Count-len(leaves))
		var wg sync.WaitGroup
		var failed atomic.Pointer[error]
		first := len(leaves)
		for i := range wave {
			l, err := newLeaf(fabric, s.Seed, s.Nodes.Count, first+i)
			if err != nil {
				return nil, err
			}
			leaves = append(leaves, l)
		}
		for i := range wave {
			wg.Go(func() {
				l := leaves[first+i]
				<-time.After(time.Duration(i) * 2 * time.Millisecond) // not all at once, nor by the first alone
				if err := l.join(leaves[:first+i]); err != nil {
					failed.Store(&err)
				}
				_ = l.dht.PutValue(context.Background(), leafKey(first+i), []byte("value")) // the gets will tell
			})
		}
		wg.Wait()
		if err := failed.Load(); err != nil {
			return nil, *err
		}
		memory.pace()
		progress(report.Progress{Now: time.Since(began), End: s.End, Up: len(leaves)})
		<-time.After(s.Join.Every)
	}
	<-time.After(settled)
	out := &Lean{Nodes: len(leaves)}
	var took report.Dist
	for range leanGets {
		at := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), findLimit)
		v, err := leaves[rand.N(len(leaves))].dht.GetValue(ctx, leafKey(rand.N(len(leaves))))
		if cancel(); err == nil && string(v) == "value" {
			out.Gets++
			took.Add(int64(time.Since(at)))
		}
	}
	out.Get = time.Duration(took.Quantile(.5))
	if err := leaves[0].topic.Publish(context.Background(), make([]byte, 512)); err != nil {
		return nil, err
	}
	out.Delivered = heard(leaves[1:])
	if rest := s.End - time.Since(began); rest > 0 { // idle, as the other run is between its steps
		<-time.After(rest)
	}
	spent := meter.Spent()
	out.Wall, out.CPU, out.Peak = spent.Wall, spent.CPU, spent.Peak
	return out, nil
}

// heard counts those to whom the message came.
func heard(leaves []*leaf) int {
	var got atomic.Int64
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), settled)
	defer cancel()
	for _, l := range leaves {
		wg.Go(func() {
			if _, err := l.sub.Next(ctx); err == nil {
				got.Add(1)
			}
		})
	}
	wg.Wait()
	return int(got.Load())
}

func leafKey(i int) string { return fmt.Sprintf("/v/%x", sha256.Sum256(fmt.Append(nil, i))) }

func newLeaf(f *lean.Fabric, seed uint64, nodes, i int) (*leaf, error) {
	key, err := crypto.UnmarshalEd25519PrivateKey(keyOf(seed, fmt.Sprint("leaf ", i)).Private())
	if err != nil {
		return nil, err
	}
	addr, err := multiaddrOf(i/lastHost, i%lastHost+1)
	if err != nil {
		return nil, err
	}
	l := &leaf{}
	if l.host, err = f.Host(lean.Config{Index: i, Key: key, Addr: addr, Agent: "lean", Loud: loudOf(nodes)}); err != nil {
		return nil, err
	}
	if l.dht, err = kaddht.New(l.host, kaddht.ProtocolPrefix("/lean"), kaddht.Mode(kaddht.ModeServer), kaddht.DisableProviders(),
		kaddht.DisableAutoRefresh(), kaddht.WithCustomMessageSender(kad.NewSender), kaddht.Validator(record.NamespacedValidator{"v": anything{}})); err != nil {
		return nil, err
	}
	ps, err := pubsub.NewGossipSub(context.Background(), l.host, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor())
	if err != nil {
		return nil, err
	}
	if l.topic, err = ps.Join(leanTopic); err != nil {
		return nil, err
	}
	l.sub, err = l.topic.Subscribe()
	return l, err
}

// join makes the leaf known to others, by some of those that are there.
func (l *leaf) join(there []*leaf) error {
	for range min(contacts, len(there)) {
		o := there[rand.N(len(there))].host
		if err := l.host.Connect(context.Background(), peer.AddrInfo{ID: o.ID(), Addrs: o.Addrs()}); err != nil {
			return fmt.Errorf("joining: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), findLimit)
	defer cancel()
	<-time.After(500 * time.Millisecond)                   // identify, and what follows from it
	_, _ = l.dht.GetClosestPeers(ctx, string(l.host.ID())) // a lonely first finds nobody
	return nil
}
