// SPDX-License-Identifier: Apache-2.0

package market

import (
	"math"

	"croft/lease"
)

// Reach is the share of all that there is that the living can promise, once some of
// the sites' agents are dead: what each keeps of its own node, and what its peers
// passed to it in equal parts, the dead ones among them, as long as their tickets
// last. More of it can be leased by nobody; what is left of a ticket beyond whole
// machines is of no use. Of a configuration as it was played: in a [Result] it has its
// defaults.
func (c Config) Reach() float64 {
	const tiny = 1e-9 // of rounding
	whole := func(share float64) float64 {
		return math.Floor(share/100*units*float64(c.Degree)/lease.MinDegree + tiny)
	}
	sites, dead := float64(c.Sites), float64(c.Dead)
	own, part := whole(float64(c.Own)), whole(float64(100-c.Own)/(sites-1)) // machines of a node, for its agent and for each peer
	living := min(own+part*(sites-1-dead), units)
	orphaned := min(part*(sites-dead), units)
	return ((sites-dead)*living + dead*orphaned) / (sites * units)
}
