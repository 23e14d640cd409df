// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"croft/lease"
	"croft/lease/offer"
)

// Area is where a node belongs when there are too many for everybody to know all:
// a place within a place within a place, each a 32nd of the one before. The first
// are the cells of the geohash of where the node says it is, about 5,000, 1,200, 160
// and 40 km wide; within the last, nodes are divided by key. A node that does not say
// where it is belongs to a place drawn from its key.
type Area [AreaLevels]byte // symbols of five bits

// Rank is how far a node is heard of when not everybody is: half of all nodes have
// rank 0, half of the others 1, and so on, drawn from their keys. It says nothing of
// a node's worth.
type Rank uint8

const areaSymbols = "0123456789bcdefghjkmnpqrstuvwxyz" // those of geohashes

// AreaOf returns where a node belongs that is at a place, or does not say where, and
// its rank.
func AreaOf(node lease.Principal, at *offer.Position) (a Area, r Rank) {
	const domain = "croft/area/1\n"
	var named [len(domain) + len(node)]byte
	copy(named[copy(named[:], domain):], node[:])
	sum := sha256.Sum256(named[:])
	r = Rank(min(bits.LeadingZeros64(binary.BigEndian.Uint64(sum[:8])), maxRank))
	drawn := binary.BigEndian.Uint64(sum[8:16])
	for i := range a {
		a[i] = byte(drawn>>(59-5*i)) & 31
	}
	if at != nil {
		copy(a[:], geohash(at))
	}
	return a, r
}

// geohash halves the world in turns by longitude and latitude; a bit says on which
// side a place is.
func geohash(at *offer.Position) []byte {
	cell := make([]byte, geoLevels, AreaLevels)
	west, east, south, north := int64(-180_000), int64(180_000), int64(-90_000), int64(90_000)
	for bit := range 5 * geoLevels {
		low, high, v := &west, &east, int64(at.Lon)
		if bit%2 == 1 {
			low, high, v = &south, &north, int64(at.Lat)
		}
		cell[bit/5] <<= 1
		if middle := (*low + *high) >> 1; v >= middle {
			cell[bit/5] |= 1
			*low = middle
		} else {
			*high = middle
		}
	}
	return cell
}

// Common returns how many levels two areas have in common.
func (a Area) Common(b Area) (n int) {
	for n < AreaLevels && a[n] == b[n] {
		n++
	}
	return n
}

// Topic returns the topic of offers of an area at a level: of all nodes at 0.
func (a Area) Topic(level int) string {
	topic := make([]byte, 0, len(TopicCapacity)+1+AreaLevels)
	topic = append(topic, TopicCapacity...)
	for i, symbol := range a[:level] {
		if i == 0 {
			topic = append(topic, '/')
		}
		topic = append(topic, areaSymbols[symbol])
	}
	return string(topic)
}

// TopicCapacity is the topic of offers that everybody hears.
const TopicCapacity = "croft/capacity"

// Crowd counts the nodes of a view by how near they are and by rank. Out of that a
// node knows which offers it is to hear, and on which topic to publish its own:
//
//	of everybody those of a rank that few have, of its own part of the world those
//	of a lower one too, and of its neighbourhood all
//
// Each level lets in as many as a part of what is left of the view has room for,
// beginning with the widest, and the first that can lets in all, so that levels
// together never fill the view, however many nodes there are in one place. A node's offer goes on one topic, that of the
// widest area in which its rank is let in; who listens to an area listens to all
// that it is part of. As who listens to a level hears all of the ranks that it lets
// in, they count the same and need not agree on anything.
//
// As long as a view holds everybody, all is on one topic.
//
// Who makes keys until one has a high rank is known farther away. That is no more
// than by being many, and views give no neighbour and no site more than its share.
type Crowd struct {
	area   Area
	cap    int
	within [AreaLevels + 1][maxRank + 1]int32 // in the area of each level, by rank
	// What follows is worked out of the counts when it is asked for.
	stale  bool
	floors [AreaLevels]Rank
	leaf   int
	all    int // nodes that there are, about
}

// NewCrowd returns the crowd of a node in an area, with a view of so many nodes; 0 is
// DefaultCap.
func NewCrowd(area Area, cap int) *Crowd {
	if cap <= 0 {
		cap = DefaultCap
	}
	return &Crowd{area: area, cap: cap}
}

// turn counts a node that came into the view, or went out of it. Nil counts nobody.
func (c *Crowd) turn(e *entry, by int32) {
	if c == nil {
		return
	}
	for l := range c.area.Common(e.area) + 1 {
		c.within[l][e.rank] += by
	}
	c.stale = true
}

// work works out the ranks that levels let in.
func (c *Crowd) work() {
	if !c.stale {
		return
	}
	c.stale = false
	left, above := c.cap, Rank(maxRank+1)
	c.leaf = AreaLevels - 1
	for l := range c.floors {
		full := int32(max(left/levelShare, 1))
		// Of a rank that is let in all are known, so that those of the next lower
		// one, of whom not all may be, are as many again.
		floor, known := Rank(maxRank), c.within[l][maxRank]
		for ; floor > 0 && 2*known <= full; floor-- {
			known += c.within[l][floor-1]
		}
		floor = min(floor, above) // who is heard of from farther is let in anyway
		switch about := int(known) << floor; {
		case l == 0 && c.everybody(about), l > 0 && 2*about <= left: // no level has to follow
			floor = 0
		}
		if floor < above {
			left -= int(full)
		}
		c.floors[l], above = floor, floor
		if floor == 0 {
			c.leaf = min(c.leaf, l)
		}
	}
}

// everybody works out how many nodes there are, and reports whether a view has room
// for all of them. The estimate is by chance of their ranks; who sees most of them,
// and has room left, knows better.
func (c *Crowd) everybody(estimate int) bool {
	sum := 0
	for _, n := range c.within[0] {
		sum += int(n)
	}
	c.all = max(estimate, sum)
	return estimate <= c.cap || sum < c.cap && 4*sum >= 3*estimate
}

// Listens returns the level down to which the node listens to its area, from 0: one
// further than to where all are heard, since a neighbour may have counted one more.
func (c *Crowd) Listens() int {
	c.work()
	if c.leaf == 0 && 4*c.all < 3*c.cap {
		return 0 // far from being divided
	}
	return min(c.leaf+1, AreaLevels-1)
}

// Level returns the level at which the node publishes, by its own rank.
func (c *Crowd) Level(own Rank) int {
	c.work()
	for l := range c.leaf {
		if own >= c.floors[l] {
			return l
		}
	}
	return c.leaf
}

// Wants reports whether a node is to be heard of here.
func (c *Crowd) Wants(a Area, r Rank) bool {
	c.work()
	return r >= c.floors[min(c.area.Common(a), c.leaf)]
}

// Passes reports whether an offer of a node that came by gossip is kept and passed
// on: a neighbour may have counted one more, and lets in one rank less. What goes
// beyond was published too wide, by who knows few yet or does not keep the rules.
func (c *Crowd) Passes(a Area, r Rank) bool { return c.Wants(a, r+1) }

// lets reports whether a newcomer to the view is let in. Where there is little room
// that is only who is wanted.
func (c *Crowd) lets(e *entry, strict bool) bool {
	if strict {
		return c.Wants(e.area, e.rank)
	}
	return c.Passes(e.area, e.rank)
}
