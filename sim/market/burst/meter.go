// SPDX-License-Identifier: Apache-2.0

package burst

import (
	"container/heap"
	"time"

	"croft/lease"
)

// meter adds up what is in use, and what was wanted.
type meter struct {
	end    time.Duration
	last   time.Duration
	rate   float64              // units in use
	leases map[lease.ID]float64 // and by whom
	used   []float64            // unit·seconds by slot
	wanted []float64
	counts []Slot
	most   float64
}

func newMeter(end time.Duration) meter {
	n := int((end + Every - 1) / Every)
	return meter{end: end, leases: map[lease.ID]float64{}, used: make([]float64, n), wanted: make([]float64, n), counts: make([]Slot, n)}
}

// spread adds amount for each second of a while to the slots that it lies in.
func (m *meter) spread(to []float64, from, until time.Duration, amount float64) {
	for until = min(until, m.end); from < until; {
		next := min((from/Every+1)*Every, until)
		to[from/Every] += amount * (next - from).Seconds()
		from = next
	}
}

// until adds what is in use up to an instant. What there is for no time, between two
// effects of one batch, is nothing that was in use.
func (m *meter) until(now time.Duration) {
	if now > m.last {
		m.most = max(m.most, m.rate)
	}
	m.spread(m.used, m.last, now, m.rate)
	m.last = max(m.last, now)
}

// set says that a lease has so many units from now on.
func (m *meter) set(now time.Duration, id lease.ID, units float64) {
	m.until(now)
	m.rate += units - m.leases[id]
	if m.leases[id] = units; units == 0 {
		delete(m.leases, id)
	}
}

// came counts somebody who came.
func (m *meter) came(w *wish) {
	m.spread(m.wanted, w.from, w.from+w.length, 1)
	if at := w.from / Every; int(at) < len(m.counts) {
		m.counts[at].Came++
		if w.began {
			m.counts[at].Served++
		}
	}
}

func (m *meter) slots(units int) (list []Slot, whole Slot, most float64) {
	seconds := Every.Seconds() * float64(units)
	for i, c := range m.counts {
		c.Used, c.Wanted = m.used[i]/seconds, m.wanted[i]/seconds
		list = append(list, c)
		whole.Came, whole.Served = whole.Came+c.Came, whole.Served+c.Served
		whole.Used, whole.Wanted = whole.Used+c.Used/float64(len(m.counts)), whole.Wanted+c.Wanted/float64(len(m.counts))
	}
	return list, whole, m.most
}

// agenda is who is to come, the next first; of one instant in the order in which
// they planned.
type agenda []*wish

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].from < a[j].from || a[i].from == a[j].from && a[i].n < a[j].n
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(*wish)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func (a *agenda) put(w *wish) { heap.Push(a, w) }
func (a *agenda) next() *wish { return heap.Pop(a).(*wish) }
