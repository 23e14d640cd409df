// SPDX-License-Identifier: Apache-2.0

package world

import (
	"time"

	"croft/lease"
	"croft/sim/report"
	"croft/sim/scenario"
)

// use adds up the processors that nodes offer while they are up, and those that
// slivers have while they run, with or without a daemon.
type use struct {
	last            time.Duration
	offers, leases  float64 // now
	offered, leased float64 // times seconds
}

func (u *use) until(now time.Duration) {
	s := (now - u.last).Seconds()
	u.offered, u.leased, u.last = u.offered+u.offers*s, u.leased+u.leases*s, now
}

// offers notes that a node came, or went.
func (n *peer) offers(by float64) {
	n.w.use.until(n.w.now)
	n.w.use.offers += by * float64(n.capacity()[lease.CPU])
}

// leases notes that a running sliver has so much from now on.
func (n *peer) leases(s *sliver, cpu uint64) {
	n.w.use.until(n.w.now)
	n.w.use.leases += float64(cpu) - float64(s.counted)
	s.counted = cpu
}

// reportUse says what of all that was offered was leased, where there were slices.
func (w *World) reportUse(r *report.Recorder) {
	w.use.until(w.now)
	for _, step := range w.scn.Steps {
		if _, ok := step.Do.(*scenario.Slice); ok && w.use.offered > 0 {
			r.Set("utilisation", "", "share", w.use.leased/w.use.offered)
			return
		}
	}
}
