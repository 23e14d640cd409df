// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"time"

	"croft/lease"
)

// Pace says when a node's next offer goes out: the first at once, then MinGap
// after the last one if something changed by MinChange per cent of the whole,
// else MaxGap after it. Both grow while the overlay takes more than its budget: see
// [Load]. The zero value is ready.
type Pace struct {
	stretch   float64   // 0 and less than 1: 1
	last      time.Time // of publication; zero before the first
	published lease.RSet
	current   lease.RSet
	total     lease.RSet
	forced    bool // attributes changed: no per cent can tell how much
}

// Changed tells the pace what is free now, and of how much. Attributes is set
// when anything else in the offer changed.
func (p *Pace) Changed(free, total lease.RSet, attributes bool) {
	p.current, p.total = free, total
	p.forced = p.forced || attributes
}

// Stretch has periods be longer by a factor from now on.
func (p *Pace) Stretch(factor float64) { p.stretch = factor }

// gaps are MinGap and MaxGap as they are now.
func (p *Pace) gaps() (least, most time.Duration) {
	by := min(max(p.stretch, 1), MaxStretch)
	return min(time.Duration(float64(MinGap)*by), MaxGap), min(time.Duration(float64(MaxGap)*by), LongestGap)
}

// Due reports whether an offer should go out now.
func (p *Pace) Due(now time.Time) bool {
	at, _ := p.NextWake()
	return !now.Before(at)
}

// Published notes that one went out.
func (p *Pace) Published(now time.Time) {
	p.last, p.published, p.forced = now, p.current, false
}

// NextWake reports when an offer is due if nothing changes until then. The zero
// time is at once.
func (p *Pace) NextWake() (time.Time, bool) {
	least, most := p.gaps()
	switch {
	case p.last.IsZero():
		return time.Time{}, true
	case p.forced || p.differs():
		return p.last.Add(least), true
	}
	return p.last.Add(most), true
}

func (p *Pace) differs() bool {
	for r := range p.current {
		lo, hi := min(p.current[r], p.published[r]), max(p.current[r], p.published[r])
		if d := hi - lo; d > 0 && d >= p.total[r]/(100/MinChange) {
			return true
		}
	}
	return false
}
