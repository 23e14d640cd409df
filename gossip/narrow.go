// SPDX-License-Identifier: Apache-2.0

package gossip

import "croft/lease/judge"

// Narrow forgets the nodes of which the crowd says that they are not to be heard of
// here any more, but never the node's own offer.
func (v *View) Narrow() (effects []Effect) {
	for _, e := range v.sorted() {
		if e.group != (group{}) && !v.cfg.Crowd.wants(e.offer) {
			v.forget(e)
			effects = append(effects, Evicted{e.offer.Node, judge.Elsewhere})
		}
	}
	return effects
}
