// SPDX-License-Identifier: Apache-2.0

package offer

import "slices"

// AsksRTT reports whether the query is about round-trip times: whoever answers it
// measures the short list.
func (q Query) AsksRTT() bool {
	return slices.ContainsFunc(q.Order, func(k Key) bool { return k.Attr == "rtt" }) || slices.ContainsFunc(q.Constraints, func(c Constraint) bool { return c.Attr == "rtt" })
}

// measured is what the seeker knows of the way to a node: what it measured, else
// what the coordinates of the two say.
func (opt Options) measured(o *Offer) Measured {
	var m Measured
	if opt.Measured != nil {
		m = opt.Measured(o.Node)
	}
	if m.RTT <= 0 {
		if opt.Estimate != nil {
			m.RTT = opt.Estimate(o)
		} else {
			m.RTT = Estimate(opt.From, o.Coordinate)
		}
		m.Estimated = m.RTT > 0
	}
	return m
}

// ways says of each node how far it is.
func (opt Options) ways(found []Found) {
	for i := range found {
		m := opt.measured(&found[i].Offer)
		found[i].RTT, found[i].Estimated = m.RTT, m.Estimated
	}
}

// doubtedLast puts the nodes behind all others of which somebody says that they do
// not answer, whatever else speaks for them.
func (opt Options) doubtedLast(found []Found) {
	if opt.Doubted == nil {
		return
	}
	late := func(f Found) int {
		if opt.Doubted(&f.Offer) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(found, func(a, b Found) int { return late(a) - late(b) })
}
