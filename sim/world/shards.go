// SPDX-License-Identifier: Apache-2.0

package world

import (
	"slices"

	"croft/gossip"
	"croft/sim/scenario"
)

// Where there are more nodes than a view holds, offers go on topics of areas by the
// rules of gossip.Crowd. Each topic has a mesh of its own; that of everybody is the
// node's neighbours.

// sharded is a node's part in it; nil where everybody hears everybody.
type sharded struct {
	crowd *gossip.Crowd
	links [gossip.AreaLevels][]int32 // neighbours in the topics of its area, from level 1
	seat  [gossip.AreaLevels]int32   // where it stands among a topic's members
	level int                        // of the narrowest topic that it listens to
}

// place is where a node belongs, and its rank.
type place struct {
	area gossip.Area
	rank gossip.Rank
}

// areaKey names a topic of an area: its first symbols, and how many.
type areaKey struct {
	level int
	area  gossip.Area
}

// areas is what is known of all of them.
type areas struct {
	places  []place
	members map[areaKey][]int32
}

// shards reports whether a scenario has more nodes than a view holds.
func shards(s *scenario.Scenario) bool { return s.Nodes.Count > viewCap(s) }

func newAreas(nodes int) *areas {
	return &areas{places: make([]place, nodes), members: map[areaKey][]int32{}}
}

// key is the topic of a node at a level.
func (a *areas) key(i, level int) areaKey {
	k := areaKey{level: level}
	copy(k.area[:level], a.places[i].area[:level])
	return k
}

// openShards begins a daemon's part, which is the topic of everybody.
func (n *peer) openShards() *gossip.Crowd {
	a := n.w.areas
	if a == nil {
		return nil
	}
	p, at := &a.places[n.index], n.w.position(n.index)
	p.area, p.rank = gossip.AreaOf(n.principal(), &at)
	n.sharded = &sharded{crowd: gossip.NewCrowd(p.area, viewCap(n.w.scn))}
	return n.sharded.crowd
}

// closeShards ends it.
func (n *peer) closeShards() {
	if n.sharded != nil {
		n.listen(0)
		n.sharded = nil
	}
}

// listen has the node be in the topics of its area down to a level.
func (n *peer) listen(level int) {
	w, s := n.w, n.sharded
	for s.level > level {
		for _, i := range s.links[s.level] {
			o := w.nodes[i]
			o.sharded.links[s.level] = without(o.sharded.links[s.level], int32(n.index))
		}
		s.links[s.level] = nil
		k := w.areas.key(n.index, s.level)
		members := w.areas.members[k]
		last := members[len(members)-1]
		members[s.seat[s.level]] = last
		w.nodes[last].sharded.seat[s.level] = s.seat[s.level]
		w.areas.members[k] = members[:len(members)-1]
		s.level--
	}
	for s.level < level {
		s.level++
		k := w.areas.key(n.index, s.level)
		n.link(s.level, degree)
		s.seat[s.level] = int32(len(w.areas.members[k]))
		w.areas.members[k] = append(w.areas.members[k], int32(n.index))
	}
}

// link finds neighbours in the topic of a level until there are so many.
func (n *peer) link(level, want int) {
	w, s := n.w, n.sharded
	members := w.areas.members[w.areas.key(n.index, level)]
	for try := 0; try < 8*degree && len(s.links[level]) < min(want, len(members)); try++ {
		i := members[w.rng.IntN(len(members))]
		o := w.nodes[i].sharded
		if int(i) == n.index || slices.Contains(s.links[level], i) || len(o.links[level]) >= 2*degreeHigh {
			continue
		}
		s.links[level] = append(s.links[level], i)
		o.links[level] = append(o.links[level], int32(n.index))
	}
}

func without(list []int32, i int32) []int32 {
	return slices.DeleteFunc(list, func(x int32) bool { return x == i })
}

// settleArea has the node listen to what its view says that it should, and reports
// whether that is more than before.
func (n *peer) settleArea() (deeper bool) {
	s := n.sharded
	want := s.crowd.Listens()
	deeper = want > s.level
	n.listen(want)
	for level := 1; level <= s.level; level++ {
		if len(s.links[level]) < degreeLow {
			n.link(level, degree)
		}
	}
	return deeper
}

// around are the neighbours who hear what the node hears: to pull from.
func (n *peer) around() []int32 {
	if s := n.sharded; s != nil {
		for l := s.level; l > 0; l-- {
			if len(s.links[l]) > 0 {
				return s.links[l]
			}
		}
	}
	return n.neighbour
}

// at are the neighbours in the mesh of a level.
func (n *peer) at(level int) []int32 {
	if level == 0 {
		return n.neighbour
	}
	return n.sharded.links[level]
}

// narrow has the node hear what it is to hear by now, and no more.
func (n *peer) narrow() {
	if n.sharded != nil {
		n.view.Narrow()
		n.settleArea()
	}
}

// descend follows a pull: into the topics that what came says, and for more there
// where they are new. At the end of it the node tells of itself.
func (n *peer) descend() {
	if n.sharded != nil && n.settleArea() && len(n.around()) > 0 {
		n.pull(int(n.experienced(n.around())[0]), true)
		return
	}
	n.begun()
}

// experienced puts those first that are no newcomers themselves, where not everybody
// hears everybody: who asks a newcomer takes a crowd for a few.
func (n *peer) experienced(list []int32) []int32 {
	if n.sharded == nil {
		return list
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b int32) int {
		switch x, y := n.w.nodes[a].ready, n.w.nodes[b].ready; {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	})
	return list
}
