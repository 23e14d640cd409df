// SPDX-License-Identifier: Apache-2.0

package world

import (
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	p2p "github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip"
	"croft/gossip/pubsub"
	"croft/lease/offer"
	"croft/lease/sign"
	"croft/sim/report"
	"croft/sim/stack/lean"
)

// spread is how offers came to everybody, in one net or another.
type spread struct {
	took     report.Dist // of each copy that was news
	share    float64     // of those that should have come
	doubles  float64     // for each that was news
	degree   float64
	p50, p99 float64 // in ms
}

func (s *spread) String() string {
	return fmt.Sprintf("%.3f came, in %.0f ms, 99 of 100 in %.0f; %.2f doubles, %.2f neighbours", s.share, s.p50, s.p99, s.doubles, s.degree)
}

// The model of the mesh is held against GossipSub as production has it, over hosts
// in memory on the same wires.
func TestMeshIsAsTheRealOne(t *testing.T) {
	if testing.Short() {
		t.Skip("sixty hosts are played")
	}
	const nodes = 60
	model, real := modelSpread(t, nodes), realSpread(t, nodes)
	t.Logf("model: %v", model)
	t.Logf("real:  %v", real)
	for name, s := range map[string]*spread{"model": model, "real": real} {
		if s.share < 0.999 {
			t.Errorf("%s: %.4f of the copies came", name, s.share)
		}
	}
	for _, c := range []struct {
		what              string
		model, real, most float64
	}{
		{"the median delivery", model.p50, real.p50, 1.3},
		{"99 of 100 deliveries", model.p99, real.p99, 1.4},
		{"doubles", model.doubles, real.doubles, 1.5},
		{"neighbours", model.degree, real.degree, 1.4},
	} {
		if !(math.Abs(math.Log(c.model/c.real)) <= math.Log(c.most)) {
			t.Errorf("%s: the model has %.3g, GossipSub %.3g: more than %.3g times", c.what, c.model, c.real, c.most)
		}
	}
}

// modelSpread counts from when all have joined, as the real one does.
func modelSpread(t *testing.T, nodes int) *spread {
	w, err := newWorld(read(t, fmt.Sprintf("nodes %d profile=flat\njoin wave=%d\nat 1m change fraction=1\nend 90s", nodes, nodes)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &w.figures
	var doubles uint64
	w.in(59*time.Second, func() {
		f.delivery, f.due, f.reached, doubles = report.NewRecorder("world", w.scn).Measure("delivery", ""), 0, 0, f.duplicates.Total()
	})
	r, err := w.run(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	degree, _ := r.Value("degree", "", "mean")
	return &spread{share: float64(f.reached) / float64(max(f.due, 1)), doubles: float64(f.duplicates.Total()-doubles) / float64(max(f.delivery.Count(), 1)),
		degree: degree.Value, p50: f.delivery.Quantile(.5) / 1e6, p99: f.delivery.Quantile(.99) / 1e6}
}

// realSpread has everybody publish one offer, when the mesh is there and newcomers'
// pulls are over.
func realSpread(t *testing.T, nodes int) *spread {
	out := &spread{}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sent time.Time
		publishing := false
		fabric := lean.NewFabric(flatWires{})
		var all []*pubsub.Gossip
		var hosts []*lean.Host
		for i := range nodes {
			h := leanHost(t, fabric, i)
			defer h.Close()
			g, err := pubsub.New(pubsub.Config{Host: h, Now: time.Now, PullEvery: time.Hour, OnEffect: func(e gossip.Effect) {
				if _, stored := e.(gossip.Stored); stored {
					mu.Lock()
					defer mu.Unlock()
					if took := time.Since(sent); publishing && took > 0 { // to oneself it takes nothing
						out.took.Add(int64(took))
					}
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			all, hosts = append(all, g), append(hosts, h)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for i, h := range hosts { // some sixteen connections each, as the daemon has
			for range 8 {
				if o := hosts[rng.IntN(nodes)]; o != h {
					if err := h.Connect(t.Context(), p2p.AddrInfo{ID: o.ID(), Addrs: o.Addrs()}); err != nil {
						t.Fatal(i, err)
					}
				}
			}
		}
		<-time.After(time.Minute)
		before := doubles(all)
		for i := range nodes {
			o := sealed(t, fmt.Sprint("host ", i))
			mu.Lock()
			sent, publishing = time.Now(), true
			mu.Unlock()
			if err := all[i].Publish(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			<-time.After(5 * time.Second)
		}
		came := float64(out.took.Count())
		out.share, out.doubles = came/float64(nodes*(nodes-1)), float64(doubles(all)-before)/came
		for _, g := range all {
			out.degree += float64(g.Stats().Meshes[pubsub.TopicCapacity]) / float64(nodes)
		}
		out.p50, out.p99 = out.took.Quantile(0.5)/1e6, out.took.Quantile(0.99)/1e6
	})
	return out
}

func doubles(all []*pubsub.Gossip) (n uint64) {
	for _, g := range all {
		n += g.Stats().Doubles
	}
	return n
}

func sealed(t *testing.T, name string) offer.Opened {
	t.Helper()
	key, now := sign.FromSeed(sha256.Sum256([]byte(name))), time.Now()
	o, err := offer.Seal(&offer.Offer{Node: key.Principal(), Sequence: 1, Made: now.Unix(), Until: now.Unix() + offer.MaxValid, Name: name}, key)
	if err != nil {
		t.Fatal(err)
	}
	return o
}
