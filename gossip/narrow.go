// SPDX-License-Identifier: Apache-2.0

package gossip

import "croft/lease/judge"

// Narrow forgets the nodes of which the crowd says that they are not to be heard of
// here any more, but never the node's own offer.
func (v *View) Narrow() (effects []Effect) {
	var gone []*entry // those that go are counted no more, and others may be wanted for it: all are asked before
	for _, e := range v.order {
		if e.group != (group{}) && !v.cfg.Crowd.Wants(e.area, e.rank) {
			gone = append(gone, e)
		}
	}
	for _, e := range gone {
		v.forget(e)
		effects = append(effects, Evicted{e.offer.Node, judge.Elsewhere})
	}
	return effects
}
