// SPDX-License-Identifier: Apache-2.0

package world

import (
	"croft/dht"
	"croft/sim/report"
)

// discovery is what is counted of the index.
type discovery struct {
	*report.Finds
	requests, walks *report.Measure // of a find, of a walk

	rates []*rated // at which finds were asked
}

func newDiscovery(r *report.Recorder) discovery {
	return discovery{Finds: r.Finds(), requests: r.Measure("requests", "find"), walks: r.Measure("requests", "walk")}
}

// walk counts a look-up that is over.
func (d *discovery) walk(s dht.LookupStats) { d.walks.Observe(int64(s.Asked)) }

// tally counts something of the index that came about now.
func (w *World) tally(group, of string) { w.figures.Counter(group, of).Add(w.now, 1) }
