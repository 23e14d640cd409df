// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"container/heap"
	"time"
)

// wires are the packets in flight: one FIFO for each ordered pair of sites and
// a heap of the FIFOs' heads. The distance of a pair never changes, so within a
// FIFO packets are due in the order in which they came, and only heads compete.
// Times are counted from any fixed moment. No clock, no I/O, no locks.
type wires struct {
	sites  int
	delay  []time.Duration // by pair
	queues []fifo          // by pair
	heads  []int           // heap of the pairs that have packets, soonest first
	bytes  int             // in flight
	counts []Wire          // by pair
}

// Wire counts what passed from one site to another.
type Wire struct {
	Packets uint64 `json:"packets"` // taken in, GSO packets as one
	Bytes   uint64 `json:"bytes"`
	Dropped uint64 `json:"dropped"` // for want of room in flight
}

// newWires takes delay[from][to].
func newWires(delay [][]time.Duration) *wires {
	w := &wires{sites: len(delay)}
	for _, row := range delay {
		w.delay = append(w.delay, row...)
	}
	w.queues = make([]fifo, len(w.delay))
	w.counts = make([]Wire, len(w.delay))
	return w
}

// put takes a packet in. It reports false, and keeps nothing, if the pair or
// the whole has no room left; that is counted. The cost of a packet is the
// capacity of its buffer, which is what it holds on to.
func (w *wires) put(now time.Duration, from, to int, packet []byte) bool {
	pair := from*w.sites + to
	q, count := &w.queues[pair], &w.counts[pair]
	if q.bytes+cap(packet) > maxFlight || w.bytes+cap(packet) > maxFlightAll {
		count.Dropped++
		return false
	}
	count.Packets++
	count.Bytes += uint64(len(packet))
	q.push(flight{due: now + w.delay[pair], packet: packet})
	w.bytes += cap(packet)
	if q.len() == 1 {
		heap.Push((*heads)(w), pair)
	}
	return true
}

// next says when the soonest packet is due.
func (w *wires) next() (time.Duration, bool) {
	if len(w.heads) == 0 {
		return 0, false
	}
	return w.queues[w.heads[0]].first().due, true
}

// take gives the soonest packet that is due, and the site that it is for.
func (w *wires) take(now time.Duration) (to int, packet []byte, ok bool) {
	if due, any := w.next(); !any || due > now {
		return 0, nil, false
	}
	pair := w.heads[0]
	q := &w.queues[pair]
	packet = q.pop().packet
	w.bytes -= cap(packet)
	if q.len() == 0 {
		heap.Pop((*heads)(w))
	} else {
		heap.Fix((*heads)(w), 0)
	}
	return pair % w.sites, packet, true
}

// heads orders wires.heads by when their first packet is due; a tie goes to
// the lower pair, so that the same history gives the same order.
type heads wires

func (h *heads) Len() int { return len(h.heads) }
func (h *heads) Less(i, j int) bool {
	a, b := h.heads[i], h.heads[j]
	if x, y := h.queues[a].first().due, h.queues[b].first().due; x != y {
		return x < y
	}
	return a < b
}
func (h *heads) Swap(i, j int) { h.heads[i], h.heads[j] = h.heads[j], h.heads[i] }
func (h *heads) Push(pair any) { h.heads = append(h.heads, pair.(int)) }
func (h *heads) Pop() any {
	last := h.heads[len(h.heads)-1]
	h.heads = h.heads[:len(h.heads)-1]
	return last
}

// flight is a packet and when it arrives.
type flight struct {
	due    time.Duration
	packet []byte
}

// fifo is a queue in a ring that grows by doubling; its bytes bound it.
type fifo struct {
	ring  []flight
	head  int
	count int
	bytes int
}

func (q *fifo) len() int       { return q.count }
func (q *fifo) first() *flight { return &q.ring[q.head] }

func (q *fifo) push(f flight) {
	if q.count == len(q.ring) {
		grown := make([]flight, max(16, 2*len(q.ring)))
		n := copy(grown, q.ring[q.head:])
		copy(grown[n:], q.ring[:q.head])
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.count)%len(q.ring)] = f
	q.count++
	q.bytes += cap(f.packet)
}

func (q *fifo) pop() flight {
	f := q.ring[q.head]
	q.ring[q.head] = flight{}
	q.head = (q.head + 1) % len(q.ring)
	q.count--
	q.bytes -= cap(f.packet)
	return f
}
