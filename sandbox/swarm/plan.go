// SPDX-License-Identifier: Apache-2.0

package swarm

import (
	"slices"
	"time"
)

// plan asks for all that can be asked for now.
func (f *Fetch) plan(now time.Time, say func(Effect)) {
	switch {
	case f.done:
		return
	case f.missing == 0 && f.sums:
		f.end(Whole{}, say)
		return
	case !now.Before(f.moved.Add(StuckAfter)):
		f.end(f.stuck("no piece came for a minute"), say)
		return
	}
	f.overdue(now, say)
	f.makeRoom(now, say)
	f.seat(now, say)
	f.askForSums(now, say)
	for _, n := range f.nodes { // a holder of a part says when it has more
		if n.place == holder && !n.whole && n.asking.IsZero() && !now.Before(n.again) {
			n.asking = now
			say(Ask{n.id, n.pieces.Len()})
		}
	}
	if f.sums {
		f.pull(now, say)
	}
}

// overdue leaves those that were silent too long.
func (f *Fetch) overdue(now time.Time, say func(Effect)) {
	for _, n := range f.nodes {
		if !n.asking.IsZero() && !now.Before(n.asking.Add(AnswerWithin+WaitWithin)) {
			f.dismiss(now, n, "was silent", say)
			continue
		}
		for _, p := range n.pulls {
			if !now.Before(p.over(PieceSize(f.cfg.Size))) {
				f.dismiss(now, n, "a piece was too long on its way", say)
				break
			}
		}
	}
	if n := f.node(f.asking); n != nil && !now.Before(f.since.Add(PullWithin)) {
		f.dismiss(now, n, "was silent", say)
	}
}

// room is how many more may be asked.
func (f *Fetch) room() int {
	room := MaxHolders
	for _, n := range f.nodes {
		if n.active() {
			room--
		}
	}
	return room
}

// spare reports whether nothing is awaited of a holder but more pieces.
func (f *Fetch) spare(n *node) bool {
	return n.place == holder && len(n.pulls) == 0 && n.id != f.asking
}

// makeRoom has one that gives nothing new make room for one that may.
func (f *Fetch) makeRoom(now time.Time, say func(Effect)) {
	if f.room() > 0 || !slices.ContainsFunc(f.nodes, func(n *node) bool { return n.place == waiting && !n.until.After(now) }) {
		return
	}
	for _, n := range f.nodes {
		if f.spare(n) && !now.Before(n.fresh.Add(IdleAfter)) {
			f.dismiss(now, n, "nothing new", say)
			return
		}
	}
}

// seat asks those that were named, while there is room: the ones that had a place the
// least often without giving first, else in their order. So nobody is kept out by any
// number of others that are silent.
func (f *Fetch) seat(now time.Time, say func(Effect)) {
	for room := f.room(); room > 0; room-- {
		var next *node
		for _, n := range f.nodes {
			if n.place == waiting && !n.until.After(now) && (next == nil || n.tries < next.tries) {
				next = n
			}
		}
		if next == nil {
			return
		}
		next.place, next.asking, next.fresh = asked, now, now
		next.tries++
		say(Ask{next.id, 0})
	}
}

// askForSums takes a holder's word where there is no better.
func (f *Fetch) askForSums(now time.Time, say func(Effect)) {
	if f.sums || !f.asking.IsZero() {
		return
	}
	if f.claims >= MaxClaims {
		f.end(f.stuck("those that have it do not agree what it is"), say)
		return
	}
	for _, n := range f.nodes {
		if n.place == holder && n.whole {
			f.asking, f.since = n.id, now
			say(AskForSums{n.id})
			return
		}
	}
}

// pull asks for pieces: the rarest that is on its way from nobody, else one that is
// late.
func (f *Fetch) pull(now time.Time, say func(Effect)) {
	copies, late := make([]int, f.count()), make([]time.Time, f.count()) // late: zero if it is on no way
	open := 0
	for _, n := range f.nodes {
		for i := range copies {
			if n.place != holder {
				break
			}
			if n.has(i) {
				copies[i]++
			}
		}
		for i, p := range n.pulls {
			open++
			if t := p.late(); t.After(late[i]) {
				late[i] = t
			}
		}
	}
	for round := range MaxPullsEach { // everybody's first before anybody's second
		for _, n := range f.nodes {
			if open >= MaxPulls {
				return
			}
			if n.place != holder || len(n.pulls) > round || round > 0 && now.Before(n.single) {
				continue
			}
			i, ok := f.choose(now, n, copies, late)
			if !ok {
				continue
			}
			n.pulls[i] = pull{now, now}
			late[i] = n.pulls[i].late()
			open++
			say(Pull{n.id, i})
		}
	}
}

// choose picks a piece for a holder to send.
func (f *Fetch) choose(now time.Time, n *node, copies []int, late []time.Time) (piece int, ok bool) {
	best, ties := 0, 0
	for i := range copies {
		if f.have.Has(i) || !n.has(i) {
			continue
		}
		if _, mine := n.pulls[i]; mine {
			continue
		}
		rank := copies[i]
		if !late[i].IsZero() {
			if now.Before(late[i]) {
				continue
			}
			rank += MaxNamed // late: after all that nobody sends
		}
		switch {
		case !ok || rank < best:
			piece, ok, best, ties = i, true, rank, 1
		case rank == best:
			if ties++; f.random.IntN(ties) == 0 {
				piece = i
			}
		}
	}
	return piece, ok
}
