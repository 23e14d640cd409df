// SPDX-License-Identifier: Apache-2.0

package central

import (
	"container/heap"
	"time"
)

// event is something that happens at an instant; those of one instant happen in
// the order in which they were made.
type event struct {
	at    time.Duration
	order uint64
	do    func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = event{}
	*q = (*q)[:len(*q)-1]
	return last
}

// in has something happen after d.
func (r *run) in(d time.Duration, do func()) {
	r.order++
	heap.Push(&r.queue, event{r.now + d, r.order, do})
}
