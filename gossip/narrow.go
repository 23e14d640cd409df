// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"slices"

	"croft/lease/judge"
)

// Narrow forgets the nodes of which the crowd says that they are not to be heard of
// here any more, but never the node's own offer.
func (v *View) Narrow() (effects []Effect) {
	var gone []*entry
	for _, e := range v.entries {
		if e.group != (group{}) && !v.cfg.Crowd.Wants(e.area, e.rank) {
			gone = append(gone, e)
		}
	}
	slices.SortFunc(gone, func(a, b *entry) int { return bytes.Compare(a.offer.Node[:], b.offer.Node[:]) })
	for _, e := range gone {
		v.forget(e)
		effects = append(effects, Evicted{e.offer.Node, judge.Elsewhere})
	}
	return effects
}
