// SPDX-License-Identifier: Apache-2.0

package world

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"
	"time"

	"croft/dht"
	"croft/lease"
)

// tables is a model of Kademlia's routing tables: of each node's, a bucket for every
// number of leading bits that others have in common with it, with at most bucketSize
// of those who are there. Nothing is kept for a node. What is in a bucket is drawn
// when it is looked into, the same each time from the seed and who is there, so that
// a hundred thousand nodes cost what their ids do. That is a table that is always as
// full as it can be; who went stays in it for a while, as nobody tells.
type tables struct {
	seed   uint64
	ids    []dht.Key
	groups [][]netip.Prefix // the networks of each node's address
	spots  []spot
	known  map[spot]int32
	in     []int32 // the nodes that are in tables, by spot
	left   []uint  // of each node, how often it came and went: only the latest counts
	hosts  []int32 // of ids beyond the nodes: whose machine answers to them
}

// spot is the beginning of a key: of so few nodes no two have the same.
type spot uint64

func spotOf(k dht.Key) spot { return spot(binary.BigEndian.Uint64(k[:])) }

func (a spot) common(b spot) int { return bits.LeadingZeros64(uint64(a ^ b)) }

const (
	bucketSize = 20

	// refreshed is how long a node that went stays in others' tables: until they
	// look after them again (dht/kad).
	refreshed = 30 * time.Minute
)

// keyspace is where libp2p puts a key; a peer's key is its id.
func keyspace(key []byte) dht.Key { return sha256.Sum256(key) }

// peerID is libp2p's name of a principal: the key itself, marked as an Ed25519 key
// that was not hashed.
func peerID(p lease.Principal) []byte {
	return append([]byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}, p[:]...)
}

func newTables(seed uint64, nodes int) *tables {
	return &tables{seed: seed, ids: make([]dht.Key, nodes), groups: make([][]netip.Prefix, nodes), spots: make([]spot, nodes),
		known: make(map[spot]int32, nodes), left: make([]uint, nodes)}
}

// name says where a node lies, and where it is.
func (t *tables) name(i int, id dht.Key, at netip.Addr) {
	t.ids[i], t.spots[i], t.groups[i] = id, spotOf(id), dht.Groups([]netip.Addr{at})
	t.known[t.spots[i]] = int32(i)
}

// alias has a node be in others' tables by another id too.
func (t *tables) alias(id dht.Key, of int) {
	if _, taken := t.known[spotOf(id)]; taken {
		return
	}
	i := len(t.ids)
	t.ids, t.groups, t.spots, t.left = append(t.ids, id), append(t.groups, t.groups[of]), append(t.spots, spotOf(id)), append(t.left, 0)
	t.known[spotOf(id)] = int32(i)
	t.hosts = append(t.hosts, int32(of))
	t.enter(i)
}

// machine is which node answers to an id.
func (t *tables) machine(i int32) int {
	if first := int32(len(t.ids) - len(t.hosts)); i >= first {
		return int(t.hosts[i-first])
	}
	return int(i)
}

func (t *tables) node(k dht.Key) int { return int(t.known[spotOf(k)]) }

func (t *tables) contacts(nodes []int32) []dht.Contact {
	list := make([]dht.Contact, len(nodes))
	for i, n := range nodes {
		list[i] = dht.Contact{Key: t.ids[n], Groups: t.groups[n]}
	}
	return list
}

func (t *tables) find(i int) (int, bool) {
	return slices.BinarySearchFunc(t.in, t.spots[i], func(x int32, s spot) int { return cmp.Compare(t.spots[x], s) })
}

// enter has a node be in others' tables.
func (t *tables) enter(i int) {
	t.left[i]++
	if at, there := t.find(i); !there {
		t.in = slices.Insert(t.in, at, int32(i))
	}
}

// leave notes that a node went; the answer, used later, takes it out of tables if it
// did not come back.
func (t *tables) leave(i int) (forget func()) {
	t.left[i]++
	turn := t.left[i]
	return func() {
		if at, there := t.find(i); there && t.left[i] == turn {
			t.in = slices.Delete(t.in, at, at+1)
		}
	}
}

// among returns which of those who are there have the first n bits of a spot.
func (t *tables) among(s spot, n int) []int32 {
	low, high := s&^(^spot(0)>>n), s|^spot(0)>>n
	from := sort.Search(len(t.in), func(i int) bool { return t.spots[t.in[i]] >= low })
	size := sort.Search(len(t.in)-from, func(i int) bool { return t.spots[t.in[from+i]] > high })
	return t.in[from : from+size]
}

// bucket appends those of a node's bucket that have n leading bits in common with it.
func (t *tables) bucket(list []int32, of, n int) []int32 {
	all := t.among(t.spots[of]^(1<<(63-n)), n+1)
	if len(all) <= bucketSize {
		return append(list, all...)
	}
	// Floyd's way to draw some of many.
	rng := rand.NewPCG(t.seed^uint64(t.spots[of]), uint64(n))
	begin := len(list)
	for last := len(all) - bucketSize; last < len(all); last++ {
		drawn, _ := bits.Mul64(rng.Uint64(), uint64(last+1))
		one := all[drawn]
		if slices.Contains(list[begin:], one) {
			one = all[last]
		}
		list = append(list, one)
	}
	return list
}

// closest returns whom a node knows nearest to a target, nearest first: what it
// answers when it is asked.
func (t *tables) closest(of int, target dht.Key, count int) []int32 {
	self, to := t.spots[of], spotOf(target)
	nearest := func(a, b int32) int { return cmp.Compare(t.spots[a]^to, t.spots[b]^to) }
	n := self.common(to)
	list := make([]int32, 0, 2*bucketSize)
	if n < 64 {
		list = t.bucket(list, of, n) // nearer to the target than the node is
	}
	if len(list) < count {
		for deeper := n + 1; deeper < 64 && len(t.among(self, deeper)) > 1; deeper++ { // as near as the node
			list = t.bucket(list, of, deeper)
		}
	}
	slices.SortFunc(list, nearest)
	for farther := n - 1; len(list) < count && farther >= 0; farther-- {
		begin := len(list)
		list = t.bucket(list, of, farther)
		slices.SortFunc(list[begin:], nearest)
	}
	return list[:min(count, len(list))]
}
