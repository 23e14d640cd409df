// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/judge"
	"croft/lease/offer"
)

// at is a node with that number at a place.
func at(node uint64, lat, lon float64) (p lease.Principal, where *offer.Position) {
	binary.BigEndian.PutUint64(p[:], node)
	return p, &offer.Position{Lat: int32(lat * 1000), Lon: int32(lon * 1000)}
}

// Areas are geohashes as everybody else has them.
func TestAreasAreGeohashes(t *testing.T) {
	for _, c := range []struct {
		lat, lon float64
		cell     string
	}{{57.649, 10.407, "u4pr"}, {42.6, -5.6, "ezs4"}, {-25.382, -49.265, "6gkz"}, {90, 180, "zzzz"}, {-90, -180, "0000"}} {
		a, _ := AreaOf(at(1, c.lat, c.lon))
		if got := strings.TrimPrefix(a.Topic(4), TopicCapacity+"/"); got != c.cell {
			t.Errorf("%v, %v is in %s, not %s", c.lat, c.lon, got, c.cell)
		}
	}
	if a, _ := AreaOf(at(1, 0, 0)); a.Topic(0) != "croft/capacity" {
		t.Errorf("everybody is on %s", a.Topic(0))
	}
}

// Who does not say where it is belongs somewhere all the same, and not all of them
// to one place.
func TestNodesWithoutAPlaceAreSpread(t *testing.T) {
	cells := map[byte]int{}
	for i := range uint64(3200) {
		node, _ := at(i, 0, 0)
		a, _ := AreaOf(node, nil)
		cells[a[0]]++
	}
	for cell, n := range cells {
		if n > 200 {
			t.Errorf("%d of 3200 are in cell %d", n, cell)
		}
	}
	if len(cells) != 32 {
		t.Errorf("they are in %d cells", len(cells))
	}
}

func TestRanksHalve(t *testing.T) {
	var count [maxRank + 1]int
	for i := range uint64(1 << 14) {
		_, r := AreaOf(at(i, 1, 1))
		count[r]++
	}
	for r := range 6 {
		want := float64(int(1) << (13 - r))
		if math.Abs(float64(count[r])-want) > 5*math.Sqrt(want) {
			t.Errorf("%d have rank %d, want %.0f", count[r], r, want)
		}
	}
}

// town is a place with many nodes.
type town struct{ lat, lon, nodes float64 }

// towns puts n nodes into towns, half of them into two.
func towns(n int) (areas []Area, ranks []Rank) {
	rng := rand.New(rand.NewPCG(1, 2))
	places := []town{{42.36, -71.06, .3}, {37.87, -122.27, .2}, {52.37, 4.9, .2}, {35.68, 139.69, .1}, {-33.87, 151.21, .1}, {40.71, -74.01, .1}}
	for i := range n {
		var in town
		for _, in = range places {
			if rng.Float64() < in.nodes*2 {
				break
			}
		}
		a, r := AreaOf(at(uint64(i), in.lat, in.lon))
		areas, ranks = append(areas, a), append(ranks, r)
	}
	return areas, ranks
}

// Whatever the size of the network and wherever its nodes are: a view has room for
// those that it is to hold; what counts is unchanged when only they are counted; and
// whoever wants a node listens where it publishes.
func TestCrowdsAgreeWithoutAgreeing(t *testing.T) {
	for _, c := range []struct{ nodes, cap int }{{900, 1000}, {5000, 1000}, {40_000, 1000}, {40_000, 256}} {
		areas, ranks := towns(c.nodes)
		rng := rand.New(rand.NewPCG(3, uint64(c.nodes)))
		count := func(of int, wanted *Crowd) *Crowd {
			crowd := NewCrowd(areas[of], c.cap)
			for i, a := range areas {
				if wanted == nil || wanted.Wants(a, ranks[i]) {
					crowd.turn(&entry{area: a, rank: ranks[i]}, 1)
				}
			}
			return crowd
		}
		most, far := 0, 0
		for range 40 {
			me := rng.IntN(c.nodes)
			all := count(me, nil)
			known := count(me, all)
			if all.Listens() != known.Listens() || all.floors != known.floors {
				t.Fatalf("%d nodes: floors %v of all, %v of those that are wanted", c.nodes, all.floors, known.floors)
			}
			size := 0
			for i, a := range areas {
				wants := known.Wants(a, ranks[i])
				if wants {
					size++
				}
				if wants && known.area.Common(a) == 0 {
					far++
				}
				if known.area.Common(a) > known.leaf && !wants {
					t.Fatalf("%d nodes: a neighbour is not wanted", c.nodes)
				}
			}
			for range 20 {
				other := rng.IntN(c.nodes)
				o := count(other, nil)
				if level := o.Level(ranks[other]); known.Wants(areas[other], ranks[other]) && level > min(known.area.Common(areas[other]), known.Listens()) {
					t.Fatalf("%d nodes: one that is wanted publishes at level %d, with %d in common and listens to %d", c.nodes, level, known.area.Common(areas[other]), known.leaf)
				}
			}
			most = max(most, size)
		}
		if most > c.cap || c.nodes <= c.cap && most != c.nodes {
			t.Errorf("%d nodes, views of %d: %d are wanted", c.nodes, c.cap, most)
		}
		if far == 0 {
			t.Errorf("%d nodes: nobody knows anybody far away", c.nodes)
		}
		t.Logf("%d nodes, views of %d: at most %d are wanted", c.nodes, c.cap, most)
	}
}

// Where nodes crowd at every scale, a city in a country in a continent, each level has
// its share and the view has room for all of them.
func TestCrowdsAtEveryScale(t *testing.T) {
	const nodes = 60_000
	rng := rand.New(rand.NewPCG(5, 6))
	var all []*entry
	for i := range nodes {
		span := 42 * math.Pow(5000, -rng.Float64()) // degrees
		a, r := AreaOf(at(uint64(i), 47.3+span*(2*rng.Float64()-1), 8.5+4*span*(2*rng.Float64()-1)))
		all = append(all, &entry{area: a, rank: r})
	}
	centre, _ := AreaOf(at(nodes, 47.3, 8.5))
	for room := 80; room < 2000; room += room / 4 {
		crowd := NewCrowd(centre, room)
		for _, e := range all {
			crowd.turn(e, 1)
		}
		wanted := 0
		for _, e := range all {
			if crowd.Wants(e.area, e.rank) {
				wanted++
			}
		}
		t.Logf("views of %d: floors %v, %d are wanted", room, crowd.floors, wanted)
		if wanted > room*9/10 || wanted < room/4 {
			t.Errorf("%d of %d are wanted in views of %d", wanted, nodes, room)
		}
	}
}

// As nodes come and go a view divides the crowd, and is all of it again; what it
// counts is who is in it, whatever becomes of them.
func TestCrowdsComeTogetherAgain(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var n uint32
	open := func(b []byte) (*offer.Opened, error) {
		o := offer.Opened{Offer: offer.Offer{Sequence: uint64(b[4]), Made: now.Unix(), Until: now.Unix() + 60, Closed: b[4] == 2}, Bytes: b}
		o.Node, o.ID = lease.Principal(append(b[:4:4], make([]byte, 28)...)), lease.ID{b[0], b[1], b[2], b[3], b[4]}
		o.Attributes.Position = &offer.Position{Lat: int32(b[3]) * 100}
		return &o, nil
	}
	area, _ := AreaOf(lease.Principal{}, &offer.Position{})
	crowd := NewCrowd(area, 400)
	v := NewView(ViewConfig{Cap: 4000, Crowd: crowd, Open: open})
	told := func(node uint32, sequence byte, pulled bool) judge.Reason {
		b := append(binary.BigEndian.AppendUint32(nil, node), sequence)
		return v.Step(now, Received{Bytes: b, From: lease.Principal{9}, Pulled: pulled})[0].(Verdict).Reason
	}
	counted := func() (all int) {
		for _, n := range crowd.within[0] {
			all += int(n)
		}
		return all
	}
	for n = range 2000 {
		told(n, 1, false)
	}
	if crowd.Listens() == 0 || counted() != v.Len() || v.Len() < 100 {
		t.Fatalf("2000 nodes in views of 400 have listens to %d, %d of %d are counted", crowd.Listens(), counted(), v.Len())
	}
	elsewhere := [2]int{}
	for n = range 400 {
		if told(5000+n, 1, true) == judge.Elsewhere {
			elsewhere[0]++
		}
		if told(6000+n, 1, false) == judge.Elsewhere {
			elsewhere[1]++
		}
	}
	// Gossip is let in of one rank less, which are half of all.
	if pulled, told := 400-elsewhere[0], 400-elsewhere[1]; pulled == 0 || told < pulled*5/4 || told > pulled*3 {
		t.Errorf("of 400 each %d that are pulled and %d that are told are let in", pulled, told)
	}
	v.Narrow()
	if v.Len() > 400 || counted() != v.Len() {
		t.Errorf("%d are left, %d are counted", v.Len(), counted())
	}
	for n = range 2000 {
		told(n, 2, false) // all of them go
	}
	now = now.Add(time.Minute)
	v.Step(now, Tick{})
	if v.Len() != 0 || counted() != 0 || crowd.Listens() != 0 || crowd.Level(0) != 0 {
		t.Errorf("%d are left, %d are counted, listens to %d", v.Len(), counted(), crowd.Listens())
	}
}
