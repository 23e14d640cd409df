// SPDX-License-Identifier: Apache-2.0

package world

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	p2p "github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"croft/dht"
	"croft/dht/kad"
	"croft/lease/sign"
	"croft/sim/stack/lean"
)

// walked is what look-ups came to, in one net or another.
type walked struct {
	walks, found int // of dht.Replicas each: those that are nearest of all
	asked        uint64
	took         []time.Duration
}

func (w *walked) add(target dht.Key, all, nearest []dht.Key, took time.Duration) {
	far := func(a, b dht.Key) int {
		for i := range a {
			a[i] ^= target[i]
			b[i] ^= target[i]
		}
		return bytes.Compare(a[:], b[:])
	}
	slices.SortFunc(all, far)
	for _, k := range nearest[:min(dht.Replicas, len(nearest))] {
		if slices.Contains(all[:dht.Replicas], k) {
			w.found++
		}
	}
	w.walks++
	w.took = append(w.took, took)
}

func (w *walked) share() float64 { return float64(w.found) / float64(w.walks*dht.Replicas) }
func (w *walked) mean() float64  { return float64(w.asked) / float64(w.walks) }
func (w *walked) median() time.Duration {
	slices.Sort(w.took)
	return w.took[len(w.took)/2]
}

func targetOf(i int) (string, dht.Key) {
	key := fmt.Sprint("target ", i)
	return key, keyspace([]byte(key))
}

// The model of Kademlia is held against kad-dht as production has it, over hosts in
// memory on the same wires: both find those that are nearest of all, and neither
// asks many more than the other, nor takes much longer.
func TestKademliaIsAsTheRealOne(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred hosts are played")
	}
	const nodes, walks = 100, 60
	model, real := modelWalks(t, nodes, walks), realWalks(t, nodes, walks)
	t.Logf("model: %.3f of the nearest, %.1f asked, %v; real: %.3f, %.1f, %v", model.share(), model.mean(), model.median(), real.share(), real.mean(), real.median())
	for name, w := range map[string]*walked{"model": model, "real": real} {
		if w.walks != walks || w.share() < 0.97 {
			t.Errorf("%s: %d look-ups found %.3f of the nearest", name, w.walks, w.share())
		}
	}
	if d := math.Abs(math.Log(model.mean() / real.mean())); d > math.Log(1.35) {
		t.Errorf("the model asks %.1f, kad-dht %.1f", model.mean(), real.mean())
	}
	if d := math.Abs(math.Log(float64(model.median()) / float64(real.median()))); d > math.Log(1.5) {
		t.Errorf("the model takes %v, kad-dht %v", model.median(), real.median())
	}
}

func modelWalks(t *testing.T, nodes, walks int) *walked {
	w, err := newWorld(read(t, fmt.Sprintf("nodes %d profile=flat\njoin wave=%d\nat 3s find view=off\nend 2m", nodes, nodes)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := &walked{}
	for i := range walks {
		w.in(time.Minute+time.Duration(i)*time.Second, func() {
			_, target := targetOf(i)
			from, began := w.nodes[i%nodes], w.now
			var k *walk
			k = from.walk(target, dht.LookupClosest, func(nearest []int32) {
				var all, found []dht.Key
				for o := range w.nodes {
					if o != from.index {
						all = append(all, w.tables.ids[o])
					}
				}
				for _, o := range nearest {
					found = append(found, w.tables.ids[o])
				}
				out.asked += uint64(k.asks())
				out.add(target, all, found, w.now-began)
			})
		})
	}
	if _, err := w.run(t.Context(), Options{}); err != nil {
		t.Fatal(err)
	}
	return out
}

// flatWires are those of the profile flat.
type flatWires struct{}

func (flatWires) Way(int, int, int) (time.Duration, bool) { return 25 * time.Millisecond, true }
func (flatWires) Cut(int, int) bool                       { return false }

// realWalks puts each host in a network of its own, as the model's sites are.
func realWalks(t *testing.T, nodes, walks int) *walked {
	out := &walked{}
	synctest.Test(t, func(t *testing.T) {
		fabric := lean.NewFabric(flatWires{})
		var all []*kad.DHT
		var infos []p2p.AddrInfo
		for i := range nodes {
			h := leanHost(t, fabric, i)
			defer h.Close()
			d, err := kad.New(h, kad.Config{Server: true, Refresh: -1})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			all, infos = append(all, d), append(infos, p2p.AddrInfo{ID: h.ID(), Addrs: h.Addrs()})
			if i > 0 {
				if _, err := d.Join(t.Context(), []p2p.AddrInfo{infos[i/2], infos[i-1]}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range 8 * nodes { // tables fill, as they do when nodes register what they offer under so many keys
			key, _ := targetOf(-1 - i)
			if _, err := all[i%nodes].Closest(t.Context(), []byte(key), dht.LookupClosest); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(time.Minute) // connections that nobody needs end
		for i := range walks {
			key, target := targetOf(i)
			from, began := i%nodes, time.Now()
			before := all[from].Stats().Asked
			nearest, err := all[from].Closest(t.Context(), []byte(key), dht.LookupClosest)
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			var there, found []dht.Key
			for o := range infos {
				if o != from {
					there = append(there, sha256.Sum256([]byte(infos[o].ID)))
				}
			}
			for _, p := range nearest {
				found = append(found, sha256.Sum256([]byte(p.ID)))
			}
			out.add(target, there, found, took)
			out.asked += all[from].Stats().Asked - before
		}
	})
	return out
}

func leanHost(t *testing.T, f *lean.Fabric, i int) *lean.Host {
	t.Helper()
	key, err := crypto.UnmarshalEd25519PrivateKey(sign.FromSeed(sha256.Sum256(fmt.Append(nil, "host ", i))).Private())
	if err != nil {
		t.Fatal(err)
	}
	ip, _ := netip.AddrFromSlice(binary.BigEndian.AppendUint32(nil, 20<<24|uint32(i)<<16|1))
	addr, err := ma.NewMultiaddr("/ip4/" + ip.String() + "/udp/4001/quic-v1")
	if err != nil {
		t.Fatal(err)
	}
	h, err := f.Host(lean.Config{Index: i, Key: key, Addr: addr, Agent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return h
}
