// SPDX-License-Identifier: Apache-2.0

package vivaldi

import (
	"slices"
	"time"

	"croft/lease"
)

// window is the last samples of one node, in milliseconds.
type window struct {
	last []float64
	next int
	used uint64
}

// median takes one more sample and returns the median of the last; of two in the
// middle the lower, since what is wrong is nearly always too much.
func (w *window) median(rtt time.Duration) float64 {
	ms := float64(rtt) / float64(time.Millisecond)
	if len(w.last) < samplesEach {
		w.last = append(w.last, ms)
	} else {
		w.last[w.next] = ms
		w.next = (w.next + 1) % samplesEach
	}
	return middle(w.last)
}

func middle(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[(len(sorted)-1)/2]
}

// window returns that of a node; the one that was used longest ago makes room.
func (e *Estimator) window(of lease.Principal) *window {
	e.turn++
	w, ok := e.peers[of]
	if !ok {
		if len(e.peers) >= maxPeers {
			e.forgetOldest()
		}
		w = &window{}
		e.peers[of] = w
	}
	w.used = e.turn
	return w
}

// forgetOldest does not hang on the order of the map: no two were used at once.
func (e *Estimator) forgetOldest() {
	var oldest lease.Principal
	least := e.turn
	for who, w := range e.peers {
		if w.used < least {
			oldest, least = who, w.used
		}
	}
	delete(e.peers, oldest)
}

// outlier judges by how much a sample was missed, and remembers it: when the
// network itself has changed, all are missed, and then none is an outlier.
func (e *Estimator) outlier(miss float64) bool {
	out := len(e.miss) >= enough && miss > outlierLeast && miss > outlierTimes*middle(e.miss)
	if len(e.miss) < recent {
		e.miss = append(e.miss, miss)
	} else {
		e.miss[e.next] = miss
		e.next = (e.next + 1) % recent
	}
	return out
}
