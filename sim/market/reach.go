// SPDX-License-Identifier: Apache-2.0

package market

import "croft/lease"

// Reach is the share of all that there is that the living can promise, once some of
// the sites' agents are dead: what each keeps of its own node, and what its peers
// passed to it in equal parts, the dead ones among them, as long as their tickets
// last. More of it can be leased by nobody. Of a configuration as it was played: in a
// [Result] it has its defaults.
func (c Config) Reach() float64 {
	own, sites, dead := float64(c.Own)/100, float64(c.Sites), float64(c.Dead)
	degree := float64(c.Degree) / lease.MinDegree
	part := (1 - own) / (sites - 1) // of a node, to each peer
	living := min(degree*(own+part*(sites-1-dead)), 1)
	orphaned := min(degree*part*(sites-dead), 1)
	return ((sites-dead)*living + dead*orphaned) / sites
}
