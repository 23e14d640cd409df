// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// kadNet is a network whose tables have Kademlia's own structure: of each bucket
// (those that share so many bits with the node, and no more) up to k peers, drawn
// by the seed. They are made when they are asked for.
type kadNet struct {
	keys  []Key // sorted
	sort  []sort
	liars []Key // sorted
	rng   *rand.Rand
	seed  uint64
	siege map[Key]bool // those of besiege: of one network, while each of the others has its own
}

type sort uint8

const (
	honest sort = iota
	hole        // takes requests and answers none
	liar        // names other liars only, the nearest ones
)

func newKadNet(n int, seed uint64, holes, liars float64) *kadNet {
	net := &kadNet{rng: rand.New(rand.NewPCG(seed, 1)), seed: seed}
	for range n {
		net.keys = append(net.keys, anyKey(net.rng))
	}
	slices.SortFunc(net.keys, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	net.sort = make([]sort, n)
	for i, at := range net.rng.Perm(n) {
		switch share := float64(i) / float64(n); {
		case share < holes:
			net.sort[at] = hole
		case share < holes+liars:
			net.sort[at] = liar
		}
	}
	for i, k := range net.keys {
		if net.sort[i] == liar {
			net.liars = append(net.liars, k)
		}
	}
	return net
}

// besiege puts liars nearer to a target than anybody is by chance.
func (n *kadNet) besiege(target Key, count int) {
	n.siege = map[Key]bool{}
	for range count {
		k := anyKey(n.rng)
		copy(k[:3], target[:3])
		at, _ := slices.BinarySearchFunc(n.keys, k, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
		n.keys, n.sort = slices.Insert(n.keys, at, k), slices.Insert(n.sort, at, liar)
		n.liars = append(n.liars, k)
		n.siege[k] = true
	}
	slices.SortFunc(n.liars, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
}

func (n *kadNet) contact(k Key) Contact {
	c := Contact{Key: k}
	switch i := n.index(k); {
	case n.siege[k]:
		c.Groups = Groups([]netip.Addr{netip.AddrFrom4([4]byte{203, 0, byte(i), 1})})
	case n.siege != nil:
		c.Groups = Groups([]netip.Addr{netip.AddrFrom4([4]byte{byte(10 + i/256), byte(i), 0, 1})})
	}
	return c
}

func anyKey(rng *rand.Rand) (k Key) {
	for i := 0; i < len(k); i += 8 {
		binary.BigEndian.PutUint64(k[i:], rng.Uint64())
	}
	return k
}

// nearestOf returns the k nearest to a target of sorted keys.
func nearestOf(sorted []Key, target Key, k int, counts func(int) bool) (near []Key) {
	// Those that share at least so many bits are a run; take the smallest run with
	// enough of them.
	shared := 0
	for lo, hi := run(sorted, target, 1); hi-lo >= k; lo, hi = run(sorted, target, shared+1) {
		shared++
	}
	for ; shared >= 0; shared-- {
		lo, hi := run(sorted, target, shared)
		near = near[:0]
		for i := lo; i < hi; i++ {
			if counts == nil || counts(i) {
				near = append(near, sorted[i])
			}
		}
		if len(near) >= k {
			break
		}
	}
	slices.SortFunc(near, func(a, b Key) int {
		x, y := distance(a, target), distance(b, target)
		return bytes.Compare(x[:], y[:])
	})
	return near[:min(k, len(near))]
}

// run returns where the keys are that share so many bits with one.
func run(sorted []Key, with Key, shared int) (lo, hi int) {
	first, last := with, with
	for i := shared / 8; i < len(with); i++ {
		mask := byte(0xff)
		if i == shared/8 {
			mask >>= shared % 8
		}
		first[i] &^= mask
		last[i] |= mask
	}
	lo, _ = slices.BinarySearchFunc(sorted, first, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	hi, there := slices.BinarySearchFunc(sorted, last, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	if there {
		hi++
	}
	return lo, hi
}

// table returns whom a node knows.
func (n *kadNet) table(of int) (known []Key) {
	self := n.keys[of]
	rng := rand.New(rand.NewPCG(n.seed, uint64(of)))
	lo, hi := 0, len(n.keys)
	for shared := 0; hi-lo > 1; shared++ {
		inner, outer := run(n.keys, self, shared+1)
		left, all := inner-lo, inner-lo+hi-outer
		drawn := map[int]bool{}
		for i := range min(all, LookupClosest) {
			at := i
			if all > LookupClosest {
				for at = rng.IntN(all); drawn[at]; at = rng.IntN(all) {
				}
				drawn[at] = true
			}
			if at >= left {
				at += outer - inner
			}
			known = append(known, n.keys[lo+at])
		}
		lo, hi = inner, outer
	}
	return known
}

func (n *kadNet) index(k Key) int {
	i, ok := slices.BinarySearchFunc(n.keys, k, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	if !ok {
		return -1
	}
	return i
}

// answer is what a node says when it is asked for those nearest to a target.
func (n *kadNet) answer(of int, target Key, most int) (named []Contact) {
	near := []Key(nil)
	if n.sort[of] == liar {
		near = nearestOf(n.liars, target, most, nil)
	} else {
		known := n.table(of)
		slices.SortFunc(known, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
		near = nearestOf(known, target, most, nil)
	}
	for _, k := range near {
		named = append(named, n.contact(k))
	}
	return named
}

type letters []letter

type letter struct {
	at time.Duration
	in LookupInput
}

func (l letters) Len() int           { return len(l) }
func (l letters) Less(i, j int) bool { return l[i].at < l[j].at }
func (l letters) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *letters) Push(x any)        { *l = append(*l, x.(letter)) }
func (l *letters) Pop() any {
	last := (*l)[len(*l)-1]
	*l = (*l)[:len(*l)-1]
	return last
}

// outcome is what came of one look-up.
type outcome struct {
	took  time.Duration
	asked int
	cut   bool
	exact bool    // the k nearest that answer truly, liars aside
	share float64 // of those, how many were found
	siege int     // found of those of besiege
	eight int     // of the eight nearest honest ones: who hold what is registered there
}

// look runs one look-up from a random honest node.
func (n *kadNet) look(paths int, patience *Patience) outcome {
	return n.lookAt(anyKey(n.rng), paths, patience)
}

func (n *kadNet) lookAt(target Key, paths int, patience *Patience) (o outcome) {
	from := n.rng.IntN(len(n.keys))
	for n.sort[from] != honest {
		from = n.rng.IntN(len(n.keys))
	}
	l := NewLookup(LookupConfig{Target: target, Self: n.keys[from], Known: n.answer(from, target, LookupKnown), Paths: paths, Patience: patience})
	start := time.Unix(1_800_000_000, 0)
	now, post := time.Duration(0), letters{}
	var found []Key
	ended := false
	for in := LookupInput(Tick{}); ; {
		for _, e := range l.Step(start.Add(now), in) {
			switch e := e.(type) {
			case Ask:
				o.asked++
				if to := n.index(e.Peer); n.sort[to] != hole {
					way := 20*time.Millisecond + time.Duration(n.rng.ExpFloat64()*float64(60*time.Millisecond))
					heap.Push(&post, letter{now + way, Closer{From: e.Peer, Peers: n.answer(to, target, LookupClosest)}})
				}
			case Found:
				found, ended, o.took, o.cut = e.Peers, true, now, e.Cut
			}
		}
		if ended {
			break
		}
		wake, _ := l.NextWake()
		if at := wake.Sub(start); len(post) == 0 || at <= post[0].at {
			now, in = at, Tick{}
		} else {
			next := heap.Pop(&post).(letter)
			now, in = next.at, next.in
		}
	}
	for _, k := range found {
		if n.siege[k] {
			o.siege++
		}
	}
	isHonest := func(i int) bool { return n.sort[i] == honest && i != from }
	want := nearestOf(n.keys, target, LookupClosest, func(i int) bool { return n.sort[i] != hole && i != from })
	right := 0
	o.exact = true
	for _, k := range want {
		if n.sort[n.index(k)] != honest {
			continue
		}
		if slices.Contains(found, k) {
			right++
		} else {
			o.exact = false
		}
		o.share++
	}
	if o.share > 0 {
		o.share = float64(right) / o.share
	} else {
		o.share = 1
	}
	for _, k := range nearestOf(n.keys, target, 8, isHonest) {
		if slices.Contains(found, k) {
			o.eight++
		}
	}
	return o
}

// Success is that at least three of the eight nearest honest peers are found: so
// many answers make a bucket read, and one of them makes a liar's omission show.
func TestLookupInNetworks(t *testing.T) {
	const looks = 60
	t.Logf("%6s %5s %5s %5s | %7s %7s %7s | %6s %6s %6s %4s", "nodes", "holes", "liars", "paths", "success", "exact", "recall", "asked", "p50", "p95", "cut")
	for _, c := range []struct {
		nodes        int
		holes, liars float64
		paths        int
		success      float64 // at least
	}{
		{1000, 0, 0, 1, 1}, {1000, 0, 0, 3, 1}, {1000, .2, 0, 3, 1}, {1000, .3, 0, 3, .99},
		{1000, 0, .1, 1, 0}, {1000, 0, .1, 3, .99}, {1000, 0, .2, 1, 0}, {1000, 0, .2, 3, .98}, {1000, 0, .3, 1, 0}, {1000, 0, .3, 3, .95}, {1000, .2, .2, 3, .95}, {1000, 0, .6, 1, 0}, {1000, 0, .6, 3, .9},
		{10000, 0, 0, 1, 1}, {10000, 0, 0, 3, 1}, {10000, .2, 0, 3, 1}, {10000, .3, 0, 3, .99},
		{10000, 0, .1, 3, .98}, {10000, 0, .2, 1, 0}, {10000, 0, .2, 3, .95}, {10000, 0, .3, 1, 0}, {10000, 0, .3, 3, .9},
	} {
		net := newKadNet(c.nodes, 7, c.holes, c.liars)
		patience := &Patience{}
		var took []time.Duration
		var asked, success, exact, cut int
		var share float64
		for range looks {
			o := net.look(c.paths, patience)
			took = append(took, o.took)
			asked += o.asked
			share += o.share
			if o.exact {
				exact++
			}
			if o.eight >= 3 {
				success++
			}
			if o.cut {
				cut++
			}
		}
		slices.Sort(took)
		of := func(n int) string { return fmt.Sprintf("%.1f%%", 100*float64(n)/float64(looks)) }
		t.Logf("%6d %4.0f%% %4.0f%% %5d | %7s %7s %6.1f%% | %6.1f %6d %6d %4d", c.nodes, 100*c.holes, 100*c.liars, c.paths,
			of(success), of(exact), 100*share/float64(looks), float64(asked)/float64(looks),
			took[looks/2].Milliseconds(), took[looks*95/100].Milliseconds(), cut)
		if float64(success) < c.success*float64(looks) {
			t.Errorf("%d nodes, %.0f%% silent, %.0f%% lying, %d paths: %s find three holders, want %.0f%%", c.nodes, 100*c.holes, 100*c.liars, c.paths, of(success), 100*c.success)
		}
		if mean := share / float64(looks); c.liars < .5 && mean < .97 || c.liars == 0 && c.holes == 0 && mean < .99 {
			t.Errorf("%d nodes, %.0f%% silent, %.0f%% lying, %d paths: of the honest among the %d nearest %.1f%% are found", c.nodes, 100*c.holes, 100*c.liars, c.paths, LookupClosest, 100*mean)
		}
	}
}

// Whoever makes a hundred keys nearest to a target, all in one network, has a
// quarter of what is found there and no more.
func TestLookupBesieged(t *testing.T) {
	for seed := range uint64(20) {
		net := newKadNet(1000, seed, 0, 0)
		target := anyKey(net.rng)
		net.besiege(target, 100)
		if o := net.lookAt(target, LookupPaths, &Patience{Floor: LookupLimit}); o.siege > PerGroup || o.eight < 6 || o.cut {
			t.Errorf("seed %d: %d found of the hundred, %d of the eight nearest honest ones: %+v", seed, o.siege, o.eight, o)
		}
	}
}
