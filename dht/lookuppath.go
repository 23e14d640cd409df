// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"bytes"
	"net/netip"
	"slices"
	"time"
)

// advance asks whom a path wants asked, and reports whether it is at its end.
func (l *Lookup) advance(now time.Time, number int) (asks []LookupEffect, settled bool) {
	on := &l.paths[number]
	l.judge(on)
	list := l.list(on)
	for doubted := true; doubted; { // they hold no place in the list
		doubted = false
		for _, p := range list {
			if p.state == named && on.asked < MaxPathAsks && l.cfg.Patience.Doubted(p.Key) {
				l.ask(now, number, p)
				on.waiting--
				p.state, doubted = lost, true
				l.stats.Doubted++
				asks = append(asks, Ask{number, p.Key})
			}
		}
		if doubted {
			list = l.list(on)
		}
	}
	parallel, ahead := l.cfg.Parallel, l.cfg.Closest
	if len(list) >= LookupSure && !slices.ContainsFunc(list[:LookupSure], func(p *peer) bool { return p.state != answered }) {
		parallel, ahead = len(list), len(list)
	}
	for _, p := range list[:min(ahead, len(list))] {
		if p.state == named && on.waiting < parallel && on.asked < MaxPathAsks {
			l.ask(now, number, p)
			asks = append(asks, Ask{number, p.Key})
		}
	}
	list = list[:min(l.cfg.Closest, len(list))]
	settled = true
	sure := 0
	for _, p := range list {
		switch p.state {
		case waiting:
			settled = false
		case named: // left alone for good when the path has asked its fill
			settled = settled && on.asked == MaxPathAsks
		case answered:
			sure++
		}
	}
	wait, gone := l.silent(on, list)
	return asks, settled && wait == 0 && gone <= waitRatio*sure
}

// list returns the nearest of which a path may expect an answer: k, and a few more
// where some are silent.
func (l *Lookup) list(on *path) []*peer {
	list := l.scratch[:0]
	for _, h := range on.heard {
		if h.state == answered || h.state == waiting || h.state == named && h.believed() {
			list = append(list, h.peer)
		}
	}
	l.scratch = list
	return l.crowd.nearest(list, l.cfg.Patience.Ask(l.cfg.Closest), l.most())
}

func (l *Lookup) ask(now time.Time, number int, p *peer) {
	on := &l.paths[number]
	p.state, p.path = waiting, number
	bound := l.cfg.Patience.Bound()
	p.when, p.patience, p.last = now, now.Add(bound), now.Add(endPatience*bound)
	on.asked++
	on.waiting++
	l.asked = append(l.asked, p)
	l.stats.Asked++
}

// silent counts those passed over that would be among the nearest: those that the
// end waits for, and all.
func (l *Lookup) silent(on *path, list []*peer) (wait, all int) {
	for _, h := range on.heard {
		if len(list) == l.cfg.Closest && bytes.Compare(h.distance[:], list[len(list)-1].distance[:]) > 0 {
			break
		}
		switch h.state {
		case silent:
			wait++
			all++
		case lost:
			all++
		}
	}
	return wait, all
}

// judge counts how those fared whom the path's peers named. Who names the dead
// only, or peers that it made up, is not believed in the rest.
func (l *Lookup) judge(on *path) {
	for _, h := range on.heard {
		for _, by := range h.by {
			by.alive, by.dead = 0, 0
		}
	}
	for _, h := range on.heard {
		for _, by := range h.by {
			switch h.state {
			case answered:
				by.alive++
			case silent, lost, failed:
				by.dead++
			}
		}
	}
	for _, h := range on.heard {
		for _, by := range h.by {
			bad := by.dead >= silentNamed && by.dead >= silentRatio*by.alive
			if bad && !by.disproved {
				l.stats.Disproved++
			}
			by.disproved = bad
		}
	}
}

func (h heard) believed() bool {
	return len(h.by) == 0 || slices.ContainsFunc(h.by, func(by *peer) bool { return !by.disproved })
}

// found merges the paths: the nearest of all that answered.
func (l *Lookup) found() []Key {
	var all []*peer
	for _, p := range l.asked {
		if p.state == answered {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, nearer)
	keys := make([]Key, 0, l.cfg.Closest)
	for _, p := range l.crowd.nearest(all, l.cfg.Closest, l.most()) {
		keys = append(keys, p.Key)
	}
	return keys
}

// most is how many of one network may be found.
func (l *Lookup) most() int { return mostOf(l.cfg.Closest) }

// mostOf is how many of so many may be of one network: PerGroup of LookupClosest.
func mostOf(k int) int { return max(k*PerGroup/LookupClosest, 1) }

func nearer(a, b *peer) int { return bytes.Compare(a.distance[:], b.distance[:]) }

// crowd picks peers of which no network has too many. Its memory is used again.
type crowd struct {
	count   map[netip.Prefix]int
	picked  []*peer
	skipped []*peer
}

// nearest returns the k nearest of which at most so many are of one network; where there are not so many, the nearest of the others too: in a lab all nodes
// share one. The peers come and go nearest first.
func (c *crowd) nearest(sorted []*peer, k, most int) []*peer {
	if c.count == nil {
		c.count = map[netip.Prefix]int{}
	}
	clear(c.count)
	c.picked, c.skipped = c.picked[:0], c.skipped[:0]
	for _, p := range sorted {
		if len(c.picked) == k {
			return c.picked
		}
		if slices.ContainsFunc(p.Groups, func(g netip.Prefix) bool { return c.count[g] >= most }) {
			c.skipped = append(c.skipped, p)
			continue
		}
		for _, g := range p.Groups {
			c.count[g]++
		}
		c.picked = append(c.picked, p)
	}
	if missing := min(k-len(c.picked), len(c.skipped)); missing > 0 {
		c.picked = append(c.picked, c.skipped[:missing]...)
		slices.SortFunc(c.picked, nearer)
	}
	return c.picked
}
