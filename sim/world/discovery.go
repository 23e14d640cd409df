// SPDX-License-Identifier: Apache-2.0

package world

import (
	"croft/dht"
	"croft/sim/report"
)

// discovery is what is counted of the index.
type discovery struct {
	lookup, page, get *report.Measure
	requests, walks   *report.Measure // of a find, of a walk

	findable, answered uint64 // finds for which there was something, and that had it
	pages, filled      uint64 // of those with a page and more
	gets, got          uint64

	rates []*rated // at which finds were asked
}

func newDiscovery(r *report.Recorder) discovery {
	return discovery{lookup: r.Measure("lookup", ""), page: r.Measure("page", ""), get: r.Measure("get", ""),
		requests: r.Measure("requests", "find"), walks: r.Measure("requests", "walk")}
}

// walk counts a look-up that is over.
func (d *discovery) walk(s dht.LookupStats) { d.walks.Observe(int64(s.Asked)) }

// report works out shares, and what finds take beside a plain get.
func (d *discovery) report(r *report.Recorder) {
	share := func(figure string, of, all uint64) {
		if all > 0 {
			r.Set(figure, "", "success", float64(of)/float64(all))
		}
	}
	share("lookup", d.answered, d.findable)
	share("page", d.filled, d.pages)
	share("get", d.got, d.gets)
	plain := d.get.Quantile(0.5)
	for _, of := range []struct {
		figure string
		*report.Measure
	}{{"lookup", d.lookup}, {"page", d.page}} {
		half := of.Quantile(0.5)
		if half > 0 {
			r.Set(of.figure, "", "tail", of.Quantile(0.95)/half)
		}
		if plain > 0 && half > 0 {
			r.Set(of.figure, "", "ratio", half/plain)
		}
	}
}

// tally counts something of the index that came about now.
func (w *World) tally(group, of string) { w.figures.Counter(group, of).Add(w.now, 1) }
