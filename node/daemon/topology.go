// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"croft/lease"
	"croft/lease/offer"
)

// The messages of topology/1: docs/roles/topology.md.
type (
	nearAsk struct {
		From  *offer.Coordinate `json:"from,omitempty"`
		Nodes []place           `json:"nodes"`
	}
	// place is what is known of where a node is. Round trips are from here.
	place struct {
		Node       lease.Principal   `json:"node"`
		Coordinate *offer.Coordinate `json:"coordinate,omitempty"`
		RTT        int64             `json:"rtt_us,omitempty"`
		Least      int64             `json:"least_us,omitempty"`
		AS         uint32            `json:"as,omitempty"`
	}
	nearDone struct {
		Nodes []distance `json:"nodes,omitempty"`
	}
	distance struct {
		Node lease.Principal `json:"node"`
		RTT  int64           `json:"rtt_us"`
	}
	pathsAsk struct {
		From  *offer.Coordinate `json:"from,omitempty"`
		To    place             `json:"to"`
		Nodes []place           `json:"nodes,omitempty"`
	}
	pathsDone struct {
		Paths []detour `json:"paths,omitempty"`
	}
	// detour is a way round, by other nodes.
	detour struct {
		Via []lease.Principal `json:"via"`
		RTT int64             `json:"rtt_us"`
	}
)

func checkPlaces(list []place, most int) error {
	var nodes []lease.Principal
	for _, p := range list {
		nodes = append(nodes, p.Node)
		if p.Coordinate != nil {
			if err := p.Coordinate.Check(); err != nil {
				return err
			}
		}
	}
	switch {
	case len(list) > most:
		return fmt.Errorf("%d nodes, limit %d", len(list), most)
	case slices.Contains(nodes, lease.Principal{}) || repeats(nodes):
		return errors.New("a node that is none, or twice")
	}
	return nil
}

func checkRTT(us int64) error {
	if us < 1 || us > farthest.Microseconds() {
		return fmt.Errorf("a round trip of %d µs: want 1 to %d", us, farthest.Microseconds())
	}
	return nil
}

// bare reports whether nothing but a node's name is stated.
func (p place) bare() bool { return p == place{Node: p.Node} }

// near is the call: nodes → how far each is from here.
func (d *Daemon) near() decision[nearAsk, nearDone] {
	return decision[nearAsk, nearDone]{role: "topology", call: "near",
		want: func(q *nearAsk) error {
			if len(q.Nodes) == 0 {
				return errors.New("no nodes")
			}
			if w := d.deps.Whereabouts; w != nil {
				if q.From == nil {
					q.From = w.Coordinate()
				}
				for i, p := range q.Nodes {
					if p.bare() {
						q.Nodes[i] = w.Place(p.Node)
					}
				}
			}
			return checkPlaces(q.Nodes, maxPlaced)
		},
		check: func(q nearAsk, a *nearDone) error {
			var seen []lease.Principal
			for _, n := range a.Nodes {
				if !slices.ContainsFunc(q.Nodes, func(p place) bool { return p.Node == n.Node }) || slices.Contains(seen, n.Node) {
					return fmt.Errorf("it says how far %s is, which was not asked about, or twice", n.Node.Short())
				}
				if err := checkRTT(n.RTT); err != nil {
					return err
				}
				seen = append(seen, n.Node)
			}
			return nil
		},
		agree: func(_ nearAsk, given, other nearDone) float64 {
			most, sum := max(len(given.Nodes), len(other.Nodes)), 0.0
			if most == 0 {
				return 1
			}
			far := map[lease.Principal]int64{}
			for _, n := range given.Nodes {
				far[n.Node] = n.RTT
			}
			for _, n := range other.Nodes {
				if rtt, ok := far[n.Node]; ok {
					sum += float64(min(rtt, n.RTT)) / float64(max(rtt, n.RTT))
				}
			}
			return sum / float64(most)
		},
		idle: func(_ nearAsk, given, other nearDone) bool { return len(given.Nodes)+len(other.Nodes) == 0 }}
}

// paths is the call: a node that cannot be reached, or not well → ways round.
func (d *Daemon) paths() decision[pathsAsk, pathsDone] {
	return decision[pathsAsk, pathsDone]{role: "topology", call: "paths",
		want: func(q *pathsAsk) error {
			if w := d.deps.Whereabouts; w != nil {
				if q.From == nil {
					q.From = w.Coordinate()
				}
				if q.To.bare() && !q.To.Node.IsZero() {
					q.To = w.Place(q.To.Node)
				}
				if len(q.Nodes) == 0 {
					q.Nodes = w.Around(q.To.Node, maxPlaced)
				}
			}
			if slices.ContainsFunc(q.Nodes, func(p place) bool { return p.Node == q.To.Node }) {
				return errors.New("the way to a node leads not by itself")
			}
			return errors.Join(checkPlaces(q.Nodes, maxPlaced), checkPlaces([]place{q.To}, 1))
		},
		check: func(q pathsAsk, a *pathsDone) error {
			if len(a.Paths) > maxPaths {
				return fmt.Errorf("%d ways, limit %d", len(a.Paths), maxPaths)
			}
			for _, p := range a.Paths {
				if len(p.Via) < 1 || len(p.Via) > maxVia || repeats(p.Via) {
					return fmt.Errorf("a way by %d nodes, or by one twice: want 1 to %d", len(p.Via), maxVia)
				}
				for _, node := range p.Via {
					if !slices.ContainsFunc(q.Nodes, func(c place) bool { return c.Node == node }) {
						return fmt.Errorf("a way by %s, which was not asked about", node.Short())
					}
				}
				if err := checkRTT(p.RTT); err != nil {
					return err
				}
			}
			slices.SortStableFunc(a.Paths, func(x, y detour) int { return cmp.Compare(x.RTT, y.RTT) })
			return nil
		},
		agree: func(_ pathsAsk, given, other pathsDone) float64 {
			first := func(d pathsDone) (list []lease.Principal) {
				for _, p := range d.Paths {
					if !slices.Contains(list, p.Via[0]) {
						list = append(list, p.Via[0])
					}
				}
				return list
			}
			return shared(first(given), first(other))
		},
		idle: func(_ pathsAsk, given, other pathsDone) bool { return len(given.Paths)+len(other.Paths) == 0 }}
}
