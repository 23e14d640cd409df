// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"time"

	"croft/ebpf"
)

// A sample is one reading of the receiver, between two instants of the boot
// clock.
type sample struct {
	before, after int64 // ns
	count
}

// measure reads a tap from before the attack begins until the window is over.
// Attack is called after the first reading.
func measure(ctx context.Context, t *tap, window time.Duration, attack func()) ([]sample, error) {
	var all []sample
	read := func() error {
		before := boot()
		c, err := t.received()
		all = append(all, sample{before, boot(), c})
		return err
	}
	if err := read(); err != nil {
		return nil, err
	}
	attack()
	end := time.After(window)
	tick := time.NewTicker(sampling)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
			if err := read(); err != nil {
				return nil, err
			}
		case <-end:
			return all, read()
		}
	}
}

// span is what came between two readings, and the time between them, taken so
// that an error of reading is to the attacker's disadvantage never.
func span(from, to sample) (c count, ns int64) {
	return count{over(to.packets, from.packets), over(to.octets, from.octets)}, to.after - from.before
}

// allowed is what w lets pass in so many ns.
func allowed(w ebpf.Way, ns int64) Traffic {
	t := float64(max(ns, 0)) / 1e9
	return Traffic{Packets: uint64(float64(w.Packets)*t) + w.PacketBurst, Octets: uint64(float64(w.Rate)/8*t) + w.Burst}
}

// used is received ÷ allowed, of octets or packets the larger.
func used(c count, a Traffic) float64 {
	return max(float64(c.packets)/float64(a.Packets), float64(c.octets)/float64(a.Octets))
}

// worst is the highest ratio of received to allowed in any window of at least a
// second, the whole time being one. After ends, on the boot clock and 0 for
// never, nothing is allowed but what was in the shaper.
//
// Packets are counted before the shaper, which may hold some back and let them
// go later than their fellows: in a part of the time, those of the time that its
// queue takes may come on top. Octets it counts itself.
func worst(all []sample, w ebpf.Way, ends int64) (highest float64) {
	for i := range all {
		for j := i + 1; j < len(all); j++ {
			c, ns := span(all[i], all[j])
			whole := i == 0 && j == len(all)-1
			if !whole && time.Duration(ns) < leastWindow {
				continue
			}
			if ends > 0 {
				ns = min(ns, ends+int64(drained)-all[i].before)
			}
			a := allowed(w, ns)
			if !whole {
				a.Packets = allowed(w, ns+int64(queued)).Packets
			}
			highest = max(highest, used(c, a))
		}
	}
	if ends == 0 {
		return highest
	}
	for _, s := range all {
		if s.before > ends+int64(drained) {
			c, _ := span(s, all[len(all)-1])
			return max(highest, float64(c.packets)*2) // nothing was allowed here
		}
	}
	return highest
}
