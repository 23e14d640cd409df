// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"runtime/debug"
	"runtime/metrics"
)

// collector has garbage collected as rarely as the memory allows: what marking costs is
// by how much there is to keep, however little was thrown away, and was a third of a
// run. A limit of the runtime's own would do as well until what is kept comes near it,
// and then do nothing but collect.
type collector struct {
	budget  uint64 // bytes
	percent int
	sample  []metrics.Sample
}

func newCollector(nodes int) *collector {
	return &collector{budget: uint64(leastBudget + nodes*nodeBudget),
		sample: []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}}
}

// pace looks how much is kept and says how much may come before it is looked through
// again.
func (c *collector) pace() {
	metrics.Read(c.sample)
	live, scanned, stacks := c.sample[0].Value.Uint64(), c.sample[1].Value.Uint64(), c.sample[2].Value.Uint64()
	if percent := c.percentOf(live, scanned, stacks); percent != c.percent {
		c.percent = percent
		debug.SetGCPercent(percent)
	}
}

// percentOf is what the heap may grow by, in hundredths of what the runtime counts: what
// is live and what it looks through of stacks.
func (c *collector) percentOf(live, scanned, stacks uint64) int {
	left := int64(c.budget) - int64(live+stacks)
	percent := left * 100 / int64(max(live+scanned, 1))
	return int(min(max(percent, leastPercent), mostPercent)) / 5 * 5 // not for every little thing
}
