// SPDX-License-Identifier: Apache-2.0

package world

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"croft/lease/offer"
	"croft/sim/central"
	"croft/sim/scenario"
)

// serverNames are what finds are laid beside.
var serverNames = []string{"one server", "two servers"}

// baselineRates are the finds a minute at which SWORD's authors compared; those of the
// scenario come to them.
var baselineRates = []float64{1, 10, 40, 100, 200}

// baseline plays the scenario's queries and the nodes' own offers against servers in
// the middle: on the same wires, at each rate.
func (w *World) baseline(ctx context.Context) ([]beside, error) {
	queries := w.questions()
	if len(queries) == 0 {
		return nil, nil
	}
	rates := slices.Clone(baselineRates)
	for _, r := range w.figures.rates {
		if !slices.ContainsFunc(rates, func(x float64) bool { return near(x, r.perMinute()) }) {
			rates = append(rates, r.perMinute())
		}
	}
	var list []beside
	for _, rate := range rates {
		b := beside{perMinute: rate}
		for servers := range serverNames {
			if ctx.Err() != nil {
				return list, ctx.Err()
			}
			r, err := central.Run(w.servers(servers+1), central.Workload{Rate: rate, Queries: queries, For: enough(rate), Dial: true, Seed: w.scn.Seed})
			if err != nil {
				return nil, fmt.Errorf("playing %s at %g a minute: %w", serverNames[servers], rate, err)
			}
			b.servers = append(b.servers, served{r.Latency.At(.5).Seconds(), r.Latency.At(.95).Seconds(), r.Success(), slices.Max(r.Load)})
		}
		list = append(list, b)
	}
	return list, nil
}

// enough is how long queries are asked: for a hundred, within an hour.
func enough(rate float64) time.Duration {
	return min(max(time.Duration(100/rate*float64(time.Minute)), 3*time.Minute), time.Hour)
}

// questions are what the scenario asks the index.
func (w *World) questions() (list []offer.Query) {
	for _, step := range w.scn.Steps {
		if do, ok := step.Do.(*scenario.Find); ok && do.View == "off" {
			if q, err := offer.ParseQuery(do.Where); err == nil {
				list = append(list, q)
			}
		}
	}
	return list
}

// servers stand where the most nodes are: one in each of the largest regions. The
// nodes say what they said last, again and again.
func (w *World) servers(n int) central.Setup {
	crowd, first := map[string]int{}, map[string]int{}
	var regions []string
	for i := range w.nodes {
		r := w.profile.Place(i).Region
		if crowd[r]++; crowd[r] == 1 {
			first[r], regions = i, append(regions, r)
		}
	}
	slices.SortStableFunc(regions, func(a, b string) int { return crowd[b] - crowd[a] })
	s := central.Setup{Nodes: len(w.nodes), OneWay: w.profile.OneWay, Cost: central.DefaultCost}
	for i := range n {
		at := min(i, len(w.nodes)-1) // a profile without regions
		if i < len(regions) {
			at = first[regions[i]]
		}
		s.Servers = append(s.Servers, at)
	}
	sequence := uint64(0)
	s.Offer = func(node int, at time.Time) offer.Opened {
		n := w.nodes[node]
		if n.latest == nil { // it never spoke, and does not now
			return offer.Opened{}
		}
		sequence++
		said := n.latest.Offer
		said.Sequence, said.Made, said.Until = uint64(at.UnixMilli())+sequence, at.Unix(), at.Unix()+offer.MaxValid
		signed, err := offer.Seal(&said, n.key)
		if err != nil {
			w.err = err
		}
		return signed
	}
	return s
}

// verdict says in a line who answered sooner.
func verdict(list []beside, page float64) string {
	if len(list) == 0 || page == 0 {
		return ""
	}
	var parts []string
	for i, name := range serverNames {
		low, high := list[0].servers[i].p50, list[0].servers[i].p50
		for _, b := range list {
			low, high = min(low, b.servers[i].p50), max(high, b.servers[i].p50)
		}
		parts = append(parts, fmt.Sprintf("%s %.0f to %.0f ms", name, 1e3*low, 1e3*high))
	}
	return fmt.Sprintf("index servers beside it, at 1 to 200 finds a minute: a page has come from %s, from the index in %.0f ms, medians",
		strings.Join(parts, ", from "), 1e3*page)
}
