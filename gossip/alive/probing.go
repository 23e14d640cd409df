// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"slices"
	"time"

	"croft/lease"
)

// target is a node that this one probes.
type target struct {
	node   lease.Principal // zero: the place is free
	ref    uint64          // of the probe under way; 0: none is
	until  time.Time       // when that is given up
	next   time.Time       // of the lost: when it is probed again
	misses int             // running
	lost   bool            // it was left out, and is asked now and then whether it is back
}

// retarget puts the five that follow this node into the places, those that are
// absent passed over. Whom this node itself suspects it goes on probing, rarely.
func (w *Watch) retarget(now time.Time) {
	w.dirty = false
	var want []lease.Principal
	w.ring.after(w.cfg.Self, func(p lease.Principal) bool {
		if w.standing(p) != Absent {
			want = append(want, p)
		}
		return len(want) < Neighbours
	})
	var free []*target
	for i := range w.near {
		t := &w.near[i]
		if at := slices.Index(want, t.node); at >= 0 {
			want = slices.Delete(want, at, at+1)
			continue
		}
		if _, mine := w.own[t.node]; mine && w.standing(t.node) == Absent && len(w.lost) < maxLost {
			w.lost = append(w.lost, target{node: t.node, next: now.Add(LostPeriod), lost: true})
		}
		*t = target{}
		free = append(free, t)
	}
	for i, p := range want {
		free[i].node = p
	}
	w.lost = slices.DeleteFunc(w.lost, func(t target) bool {
		_, mine := w.own[t.node]
		return !mine || w.standing(t.node) != Absent
	})
}

// turn probes the neighbour whose turn it is, and the lost ones that are due.
func (w *Watch) turn(now time.Time) (effects []Effect) {
	for !w.next.After(now) {
		t := &w.near[w.place]
		if w.place = (w.place + 1) % Neighbours; w.place == 0 {
			effects = append(effects, w.lapse(now)...)
		}
		if w.next = w.next.Add(Period / Neighbours); now.Sub(w.next) > Period {
			w.next = now.Add(Period / Neighbours) // after a long sleep
		}
		if w.dirty {
			w.retarget(now)
		}
		if !t.node.IsZero() && t.ref == 0 {
			effects = append(effects, w.probe(now, t))
		}
	}
	for i := range w.lost {
		if t := &w.lost[i]; t.ref == 0 && !t.next.After(now) {
			t.next = now.Add(LostPeriod)
			effects = append(effects, w.probe(now, t))
		}
	}
	return effects
}

func (w *Watch) probe(now time.Time, t *target) Effect {
	w.refs++
	w.stats.Probes++
	t.ref, t.until = w.refs, now.Add(Timeout)
	p := Probe{Node: t.node, Ref: t.ref}
	if mine, ok := w.own[t.node]; ok {
		p.Suspicion = mine.Bytes
	}
	return p
}

// each calls do with every node that is probed.
func (w *Watch) each(do func(*target)) {
	for i := range w.near {
		if !w.near[i].node.IsZero() {
			do(&w.near[i])
		}
	}
	for i := range w.lost {
		do(&w.lost[i])
	}
}

func (w *Watch) asked(ref uint64) (found *target) {
	w.each(func(t *target) {
		if t.ref == ref && ref != 0 {
			found = t
		}
	})
	return found
}

// answered clears what this node itself held against another.
func (w *Watch) answered(ref uint64) []Effect {
	t := w.asked(ref)
	if t == nil {
		return nil // too late, or nobody was asked
	}
	w.stats.Answers++
	t.ref, t.misses = 0, 0
	if w.cut && !w.alone() {
		w.cut = false
		w.each(func(t *target) { t.misses = 0 }) // those of then were this node's own
	}
	return w.withdraw(t.node)
}

// overdue gives up the probes that were not answered in time.
func (w *Watch) overdue(now time.Time) (effects []Effect) {
	var missed []lease.Principal
	w.each(func(t *target) {
		if t.ref != 0 && !t.until.After(now) {
			t.ref = 0
			t.misses++
			w.stats.Misses++
			if t.misses >= Misses || t.lost {
				missed = append(missed, t.node)
			}
		}
	})
	if len(missed) == 0 {
		return nil
	}
	if w.cut = w.cut || w.alone(); w.cut {
		w.stats.Silent++
		return nil
	}
	for _, node := range missed {
		effects = append(effects, w.suspect(now, node)...)
	}
	return effects
}

// alone reports whether most neighbours do not answer: then it is this node that is
// cut off, as far as it can tell.
func (w *Watch) alone() bool {
	there, missed := 0, 0
	for _, t := range w.near {
		if t.node.IsZero() {
			continue
		}
		there++
		if t.misses > 0 {
			missed++
		}
	}
	return 2*missed > there
}
