// SPDX-License-Identifier: Apache-2.0

package world

import "time"

// event is something that happens at an instant; those of one instant happen in
// the order in which they were made. A copy of a message has no do: there are so
// many of them that a closure each would be felt.
type event struct {
	at       time.Duration
	order    uint64
	do       func()
	message  *message
	from, to int32
}

func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.order < o.order
}

// queue is a heap of events without boxes.
type queue []event

func (q *queue) push(e event) {
	*q = append(*q, e)
	h := *q
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(&h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (q *queue) pop() event {
	h := *q
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], event{}
	h = h[:last]
	for i := 0; ; {
		least := i
		for _, down := range [2]int{2*i + 1, 2*i + 2} {
			if down < last && h[down].before(&h[least]) {
				least = down
			}
		}
		if least == i {
			break
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
	*q = h
	return first
}

// in has something happen after d.
func (w *World) in(d time.Duration, do func()) {
	w.order++
	w.queue.push(event{at: w.now + max(d, 0), order: w.order, do: do})
}
