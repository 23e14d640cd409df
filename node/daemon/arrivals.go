// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"sync"

	"croft/lease"
	"croft/lease/offer"
)

// arrivals knows since when offers are in the node's view, by the node's clock: when
// they were made is by clocks of others. It is looked at when somebody asks, so an offer
// counts as come when it was first looked at, which is never before it came: who asks
// with the instant at which he asked before misses nothing.
type arrivals struct {
	mu   sync.Mutex
	came map[lease.Principal]arrival
}

type arrival struct {
	sequence uint64
	at       int64 // Unix seconds
}

// since are the offers of the view that came then or later.
func (a *arrivals) since(then, now int64, view []*offer.Opened) (list []*offer.Opened) {
	a.mu.Lock()
	defer a.mu.Unlock()
	came := make(map[lease.Principal]arrival, len(view))
	for _, o := range view {
		c, ok := a.came[o.Node]
		if !ok || c.sequence != o.Sequence {
			c = arrival{o.Sequence, now}
		}
		came[o.Node] = c
		if c.at >= then {
			list = append(list, o)
		}
	}
	a.came = came // who is in the view no more is forgotten
	return list
}
