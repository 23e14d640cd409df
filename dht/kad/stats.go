// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"maps"

	"croft/dht"
)

// Stats counts walks, what they asked, and what they dropped, by reason.
type Stats struct {
	Walks uint64
	Cut   uint64 // walks that took too long
	dht.LookupStats

	Comers     uint64 // that were asked because they came by themselves
	Crowded    uint64 // of those not asked: as many were being asked, in all or of their network
	Resting    uint64 // of those not asked: they failed a while ago
	Blank      uint64 // of those asked, named nobody where everybody is known to know some
	Busy       uint64 // requests not made: maxAsks were under way
	Malformed  uint64 // peers named by what is no id
	Undialable uint64 // peers named without an address that this profile may dial
	Addresses  uint64 // of peers named, beyond what is kept of one
	Invalid    uint64 // values that are no record of the slice asked for, or have lapsed
}

// Drops returns what was dropped, by reason.
func (s Stats) Drops() map[string]uint64 {
	drops := map[string]uint64{
		"surplus": s.Surplus, "self": s.Self, "far": s.Far, "unasked": s.Unasked,
		"busy": s.Busy, "malformed": s.Malformed, "undialable": s.Undialable, "invalid": s.Invalid,
		"addresses": s.Addresses, "crowded": s.Crowded, "resting": s.Resting, "blank": s.Blank,
	}
	maps.DeleteFunc(drops, func(_ string, n uint64) bool { return n == 0 })
	return drops
}

// Stats returns a copy of the counters.
func (d *DHT) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

func (d *DHT) count(w walked, s dht.LookupStats) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Walks++
	if w.cut {
		d.stats.Cut++
	}
	d.stats.Add(s)
}
