// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// Offer returns the newest offer of a node, not to be changed, and false if there
// is none or the node has left.
func (v *View) Offer(node lease.Principal) (*offer.Opened, bool) {
	if e := v.entry(node); e != nil && !e.offer.Closed {
		return e.offer, true
	}
	return nil, false
}

// Withdrawn reports whether a node took back the offer of a sequence: who keeps offers of
// his own may not have heard.
func (v *View) Withdrawn(node lease.Principal, sequence uint64) bool {
	e := v.entry(node)
	return e != nil && e.offer.Closed && e.offer.Sequence > sequence
}

// Live returns the offers that hold at now, withdrawn nodes left out, by node. They are
// not to be changed.
func (v *View) Live(now time.Time) []*offer.Opened {
	all := make([]*offer.Opened, 0, len(v.order))
	for _, e := range v.order {
		if !e.offer.Closed && e.offer.Fresh(now) == nil {
			all = append(all, e.offer)
		}
	}
	return all
}
