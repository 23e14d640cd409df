// SPDX-License-Identifier: Apache-2.0

package world

import (
	"cmp"
	"slices"
	"time"
)

// Requests to peers go over connections. One that is not there costs two round
// trips, a handshake and who is who, and more of them than libp2p is told to keep
// are closed again, the least used first.

const (
	connectionsLow, connectionsHigh = 96, 160 // as node/wire has them
	connectionGrace                 = 20 * time.Second
)

// connection is to a peer, with when it was used last.
type connection struct {
	to   int32
	used time.Duration
}

type connections []connection

func (c connections) find(to int) int {
	return slices.IndexFunc(c, func(c connection) bool { return int(c.to) == to })
}

func (c *connections) drop(to int) {
	if i := c.find(to); i >= 0 {
		(*c)[i] = (*c)[len(*c)-1]
		*c = (*c)[:len(*c)-1]
	}
}

// connect notes that two nodes talk, and reports whether they did already.
func (w *World) connect(a, b int) (known bool) {
	for _, way := range [2][2]int{{a, b}, {b, a}} {
		n := w.nodes[way[0]]
		if i := n.conns.find(way[1]); i >= 0 {
			n.conns[i].used, known = w.now, true
			continue
		}
		n.conns = append(n.conns, connection{int32(way[1]), w.now})
		n.trim()
	}
	return known
}

// trim closes connections when there are too many.
func (n *peer) trim() {
	if len(n.conns) <= connectionsHigh {
		return
	}
	slices.SortFunc(n.conns, func(a, b connection) int {
		return cmp.Or(cmp.Compare(a.used, b.used), cmp.Compare(a.to, b.to))
	})
	for len(n.conns) > connectionsLow && n.w.now-n.conns[0].used > connectionGrace {
		n.w.nodes[n.conns[0].to].conns.drop(n.index)
		n.conns = slices.Delete(n.conns, 0, 1)
	}
}

// hangUp ends all connections of a node that goes.
func (n *peer) hangUp() {
	for _, c := range n.conns {
		n.w.nodes[c.to].conns.drop(n.index)
	}
	n.conns = nil
}

// request asks a peer: serve happens there and returns what is to happen here with
// its answer, and the size of that. Of a peer that is silent nothing comes.
func (n *peer) request(to, bytes int, serve func(o *peer) (answer func(), size int)) {
	w, life := n.w, n.life
	wait := time.Duration(0)
	if !w.cut(n.index, to) && w.nodes[to].up && !w.connect(n.index, to) {
		wait = 4 * w.profile.OneWay(n.index, to)
	}
	w.in(wait, func() {
		w.send(n.index, to, bytes, func() {
			o := w.nodes[to]
			if !o.up {
				return
			}
			answer, size := serve(o)
			w.send(to, n.index, size, func() {
				if n.life == life {
					answer()
				}
			})
		})
	})
}
