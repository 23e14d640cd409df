// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"croft/lease"
	"croft/lease/offer"
)

// Offer returns the newest offer of a node, not to be changed, and false if there
// is none or the node has left.
func (v *View) Offer(node lease.Principal) (*offer.Opened, bool) {
	if e := v.entries[node]; e != nil && !e.offer.Closed {
		return e.offer, true
	}
	return nil, false
}
