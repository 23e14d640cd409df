// SPDX-License-Identifier: Apache-2.0

package world

import (
	"math"
	"time"

	"croft/gossip"
	"croft/lease/judge"
)

// regard is what a node has against a neighbour: GossipSub's score as gossip/pubsub
// sets it. What was rejected is forgotten in ten minutes; below zero one is in
// nobody's mesh, and far below unheard. It is played where some are hostile: nobody
// honest has any.
type regard struct {
	rejected float64
	at       time.Duration
}

// now is what is left of the rejections.
func (r *regard) now(at time.Duration) float64 {
	left := r.rejected * math.Pow(0.01, (at-r.at).Seconds()/gossip.RejectionForgotten.Seconds())
	if left < 0.01 {
		return 0
	}
	return left
}

// score is what a node thinks of another.
func (n *peer) score(of *peer) float64 {
	s := 0.0
	if r := n.regards[of.index]; r != nil {
		left := r.now(n.w.now)
		s += gossip.RejectionWeight * left * left
	}
	if n.intake.Over(n.wall(), of.principal()) {
		s--
	}
	return s
}

// estranged reports whether one of two would not have the other in its mesh.
func (w *World) estranged(a, b *peer) bool {
	return w.hostile != nil && (a.evil == nil && a.score(b) < 0 || b.evil == nil && b.score(a) < 0)
}

// admits reports whether a message of a neighbour is looked at.
func (n *peer) admits(from *peer) bool {
	w := n.w
	if w.hostile == nil || n.evil != nil {
		return true
	}
	if n.score(from) < gossip.GraylistThreshold {
		w.drop("graylist")
		return false
	}
	if !n.intake.Take(n.wall(), from.principal(), 1) {
		w.drop("flood:messages")
		if from.evil == nil {
			w.figures.Counter("hostile", "honest taken for floods").Add(w.now, 1)
		}
		n.shun(from)
		return false
	}
	return true
}

// judged has a rejection count against who brought the message.
func (n *peer) judged(from *peer, j judge.Judgement) {
	if n.w.hostile == nil || j != judge.Reject {
		return
	}
	if n.regards == nil {
		n.regards = map[int]*regard{}
	}
	r := n.regards[from.index]
	if r == nil {
		r = &regard{}
		n.regards[from.index] = r
	}
	r.rejected, r.at = r.now(n.w.now)+1, n.w.now
	if from.evil == nil {
		n.w.figures.Counter("hostile", "rejections of the honest").Add(n.w.now, 1)
	}
	n.shun(from)
}

// shun has a neighbour leave the mesh at the next heartbeat, and others take its
// place.
func (n *peer) shun(o *peer) {
	n.later(gossip.LazyEvery, func() {
		if n.score(o) >= 0 {
			return
		}
		n.unlink(o.index)
		o.unlink(n.index)
		if len(n.neighbour) < degreeLow {
			n.graft(degree)
		}
	})
}
