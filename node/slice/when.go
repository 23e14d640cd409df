// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"slices"

	"croft/lease"
)

// Vacant is when one node has room, as it said itself: terms in order, in any
// part of which a lease of the length in question would be granted.
type Vacant struct {
	Name    string
	Windows []lease.Term
}

// Opening is a stretch of instants at any of which leases may begin on all of
// its nodes together.
type Opening struct {
	From  int64    `json:"from"` // Unix seconds
	Last  int64    `json:"last"` // the last such instant
	Nodes []string `json:"nodes"`
}

// Together says when n of the nodes are free for length seconds at once: every
// stretch during which the same nodes are, in order.
func Together(n int, length int64, free []Vacant) []Opening {
	type change struct {
		at   int64
		node int
		free bool
	}
	var changes []change
	for i, v := range free {
		for _, w := range v.Windows {
			if last := w.Until - length; last >= w.From { // it may begin up to there
				changes = append(changes, change{w.From, i, true}, change{last + 1, i, false})
			}
		}
	}
	slices.SortStableFunc(changes, func(a, b change) int { return int(min(max(a.at-b.at, -1), 1)) })
	openings := []Opening{}
	now := make([]int, len(free)) // stretches of one node may touch: one ends where the next begins
	for i := 0; i < len(changes); {
		at := changes[i].at
		for ; i < len(changes) && changes[i].at == at; i++ {
			if changes[i].free {
				now[changes[i].node]++
			} else {
				now[changes[i].node]--
			}
		}
		var names []string
		for node, n := range now {
			if n > 0 {
				names = append(names, free[node].Name)
			}
		}
		if len(names) < n || i == len(changes) {
			continue
		}
		last := changes[i].at - 1
		if k := len(openings); k > 0 && openings[k-1].Last == at-1 && slices.Equal(openings[k-1].Nodes, names) {
			openings[k-1].Last = last
			continue
		}
		openings = append(openings, Opening{From: at, Last: last, Nodes: names})
	}
	return openings
}
