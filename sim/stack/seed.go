// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"sync/atomic"

	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"croft/node/daemon"
)

// seeds fill routing tables with who is there, as they would be after hours: by look-ups
// alone ten thousand nodes that come within a minute would take longer than the run. It
// is done when a node comes, and once more when all have come.
type seeds struct {
	places         []place // by key
	offered, taken atomic.Uint64
}

// place is where a node lies among Kademlia's keys.
type place struct {
	key  kb.ID
	node *node
}

func newSeeds(nodes []*node) *seeds {
	s := &seeds{}
	for _, n := range nodes {
		s.places = append(s.places, place{kb.ConvertPeerID(n.id), n})
	}
	slices.SortFunc(s.places, func(a, b place) int { return bytes.Compare(a.key, b.key) })
	return s
}

// table is whom a node's table is to know: of each direction so many at random, and all
// of its own neighbourhood.
func (s *seeds) table(n *node) (list []peer.AddrInfo) {
	own := kb.ConvertPeerID(n.id)
	take := func(range_ []place, most int) {
		for _, i := range sample(len(range_), most) {
			if o := range_[i].node; o != n && o.isUp() {
				list = append(list, peer.AddrInfo{ID: o.id, Addrs: []ma.Multiaddr{o.addr}})
			}
		}
	}
	near := s.places // those that have the bits before this one in common with it
	for bit := 0; len(near) > neighbourhood; bit++ {
		mask := byte(0x80 >> (bit % 8))
		middle := sort.Search(len(near), func(i int) bool { return near[i].key[bit/8]&mask != 0 })
		zeros, ones := near[:middle], near[middle:]
		if own[bit/8]&mask == 0 {
			near = zeros
			take(ones, seeded)
		} else {
			near = ones
			take(zeros, seeded)
		}
	}
	take(near, len(near))
	return list
}

// sample draws numbers below n, all different.
func sample(n, most int) []int {
	if n <= most {
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		return all
	}
	var drawn []int
	for len(drawn) < most {
		if i := rand.IntN(n); !slices.Contains(drawn, i) {
			drawn = append(drawn, i)
		}
	}
	return drawn
}

// fill has a node's table know who is there.
func (s *seeds) fill(n *node, deps *daemon.Deps) error {
	table, ok := deps.Slices.(interface{ Know([]peer.AddrInfo) int })
	if !ok {
		return fmt.Errorf("seeding node %d: it has no routing table: %w", n.index, errBroken)
	}
	list := s.table(n)
	s.offered.Add(uint64(len(list)))
	s.taken.Add(uint64(table.Know(list)))
	return nil
}

// again fills all tables once more.
func (s *seeds) again() {
	for _, p := range s.places {
		n := p.node
		n.books.Lock()
		deps := n.deps
		n.books.Unlock()
		if deps != nil {
			if err := s.fill(n, deps); err != nil {
				n.s.fail(err)
			}
		}
	}
}

// note is what the foot says of it.
func (s *seeds) note() string {
	return fmt.Sprintf("routing tables were seeded from who was there: %d entries offered, %d taken", s.offered.Load(), s.taken.Load())
}
