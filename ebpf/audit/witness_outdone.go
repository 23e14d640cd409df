// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"slices"

	"croft/lease"
)

// outdone reports that a candidate is none of the [Witnesses] of a node, where that is
// seen at a glance: eight others of enough sites, none of them the node's own, hash
// better. They are chosen before it, whatever the rest is. Whoever is of rank r finds
// them among some 8n/r, so that a large view is not sorted for each of its nodes.
func outdone(candidate lease.Principal, of *Candidate, known []Candidate) bool {
	mark := score(of.Node, candidate)
	better := make([]lease.Principal, 0, WitnessCount)
	sites := make([]string, 0, WitnessSites)
	for i := range known {
		c := &known[i]
		if c.Node == of.Node || c.Node == candidate || of.Site != "" && c.Site == of.Site {
			continue
		}
		if s := score(of.Node, c.Node); bytes.Compare(s[:], mark[:]) >= 0 {
			continue
		}
		if len(better) < WitnessCount && !slices.Contains(better, c.Node) {
			better = append(better, c.Node)
		}
		if len(sites) < WitnessSites && !slices.Contains(sites, c.Site) {
			sites = append(sites, c.Site)
		}
		if len(better) == WitnessCount && len(sites) == WitnessSites {
			return true
		}
	}
	return false
}
