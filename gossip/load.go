// SPDX-License-Identifier: Apache-2.0

package gossip

import "time"

// Load is what the overlay costs this node, and by how much its periods stretch to
// keep that within [Budget].
//
// Every node floods what it says to all, so that all measure about the same, and
// all that stretch bring down the load of each. The stretch grows as long as the
// load is above the budget, by half each time it is measured at the most, and goes
// back by a tenth while the load is below. The zero value is ready.
type Load struct {
	stretch float64 // 0 before the first measurement
	rate    float64 // bytes per second, over about a minute
	at      time.Time
	bytes   uint64
}

// Measured tells the load how many bytes the overlay has taken so far, in the
// direction that took more. Call it each MeasureEvery.
func (l *Load) Measured(now time.Time, bytes uint64) {
	d := now.Sub(l.at)
	if l.at.IsZero() || bytes < l.bytes { // the first time, or counted anew
		l.at, l.bytes = now, bytes
		return
	}
	if d < MeasureEvery/2 {
		return
	}
	rate := float64(bytes-l.bytes) / d.Seconds()
	l.at, l.bytes = now, bytes
	share := min(float64(d)/float64(measureOver), 1)
	l.rate += (rate - l.rate) * share
	switch over := l.rate / Budget; {
	case over > 1:
		l.stretch = min(max(l.stretch, 1)*min(over, 1.5), MaxStretch)
	default:
		l.stretch = max(l.stretch*0.9, 1)
	}
}

// Rate is the load in bytes per second.
func (l *Load) Rate() float64 { return l.rate }

// Stretch is by how much periods are longer than they would be: 1 is not at all.
func (l *Load) Stretch() float64 { return max(l.stretch, 1) }
