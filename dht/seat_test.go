// SPDX-License-Identifier: Apache-2.0

package dht_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"croft/dht"
	"croft/dht/dhttest"
	"croft/lease/offer"
)

// nodes draws where so many nodes lie.
func nodes(rng *rand.Rand, n int) (all []dht.Key) {
	for range n {
		var k dht.Key
		for i := range k {
			k[i] = byte(rng.Uint32())
		}
		all = append(all, k)
	}
	return all
}

// nearest are those of all that hold a key, nearest first.
func nearest(all []dht.Key, k dht.Key) []dht.Key {
	at := dht.Key(sha256.Sum256(k[:]))
	slices.SortFunc(all, func(a, b dht.Key) int {
		switch {
		case dht.Nearer(at, a, b):
			return -1
		case a == b:
			return 0
		}
		return 1
	})
	return slices.Clone(all[:dht.Replicas])
}

// Of how near look-ups find somebody, a node learns how many there are, to a third; and of
// that, where keys were ground. By chance few places look so.
func TestWhoGrindsKeysIsSeen(t *testing.T) {
	for _, n := range []int{40, 340, 5000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(n)))
			all := nodes(rng, n)
			var d dht.Density
			places := nodes(rng, 32)
			for i, k := range places {
				if got := d.Nodes(); got != 0 && i < 8 {
					t.Fatalf("%v nodes are told of %d places", got, i)
				}
				d.Observe(sha256.Sum256(k[:]), nearest(all, k))
			}
			if got := d.Nodes() / float64(n); got < 2.0/3 || got > 4.0/3 {
				t.Errorf("%.0f nodes, and there are %d", d.Nodes(), n)
			}
			by := 0
			for _, k := range nodes(rng, 1000) {
				if dht.Overrun(k, nearest(all, k), d.Nodes()) {
					by++
				}
			}
			if by > 80 {
				t.Errorf("by chance %d of 1000 places look overrun", by)
			}
			target := dht.Every.Key()
			ground := nearest(nodes(rng, 20*n), target)
			if held := nearest(slices.Concat(all, ground), target); !dht.Overrun(target, held, d.Nodes()) {
				t.Error("keys were ground, and nobody sees it")
			}
			if dht.Overrun(target, ground, 0) || dht.Overrun(target, ground[:dht.Replicas-1], d.Nodes()) {
				t.Error("of nothing, or of too few, something is known")
			}
		})
	}
}

// Who has overrun every second place that a node looks for does not make the network
// look larger, as they would have to, to be overlooked.
func TestTheCrowdedDoNotMakeTheNetworkLarge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	all := nodes(rng, 340)
	var d dht.Density
	for i, k := range nodes(rng, 32) {
		held := nearest(all, k)
		if i%2 == 0 {
			held = nearest(slices.Concat(all, nearest(nodes(rng, 10_000), k)), k)
		}
		d.Observe(sha256.Sum256(k[:]), held)
	}
	if d.Nodes() > 2*340 {
		t.Errorf("%.0f nodes, and there are 340", d.Nodes())
	}
}

// Where all who hold a bucket grind keys, keep nothing and say so to nobody, what is
// registered is found at its next seat, and beyond it where that is overrun too.
//
//	seat 0        seat 1        seat 2        seat 3
//	overrun       overrun       honest
func TestAnOverrunBucketHasAnotherSeat(t *testing.T) {
	for overrun := range dht.MaxSeats + 1 {
		t.Run(fmt.Sprint(overrun), func(t *testing.T) {
			m := newModel(t, dht.Replicas+2, 0)
			var seats []dht.Key
			for b := dht.Every; b.Seat < dht.MaxSeats; b.Seat++ {
				seats = append(seats, b.Key())
			}
			m.ground = map[dht.Key][]dht.Key{}
			for _, k := range seats[:min(overrun, dht.MaxSeats)] {
				m.ground[k] = nearest(nodes(rand.New(rand.NewPCG(1, 3)), 50_000), k)
			}
			o := dhttest.Offer(t, m.now, "n", 1, func(*offer.Offer) {})
			if err := m.Register(0, o); err != nil {
				t.Fatal(err)
			}
			found, err := m.Find(1, "")
			if want := overrun < dht.MaxSeats; err != nil || found.Matched > 0 != want {
				t.Errorf("found %d of %d seats overrun: %d, %v", overrun, dht.MaxSeats, found.Matched, err)
			}
		})
	}
}
