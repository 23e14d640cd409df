// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"unique"

	"croft/lease"
	"croft/lease/offer"
)

// group is whose share of the view an entry takes. Sites and neighbours are few beside
// the nodes of a view, so that the principal of each is kept once.
type group struct {
	who  unique.Handle[lease.Principal]
	site bool
}

// nobody is who brought the node's own offer.
var nobody = unique.Make(lease.Principal{})

func (g group) own() bool { return g == group{who: nobody} }

// groupOf is whose share an offer takes that somebody brought.
func (v *View) groupOf(o *offer.Opened, by lease.Principal) group {
	if v.cfg.Check != nil && !o.Site.IsZero() {
		return group{unique.Make(o.Site), true}
	}
	return group{who: unique.Make(by)}
}

// victim is whose place a newcomer of group g takes, or nil.
func (v *View) victim(g group) *entry {
	var worst *entry
	for _, s := range v.order {
		if s.group.own() {
			continue
		}
		if worst == nil || v.crowds(s.entry, worst) {
			worst = s.entry
		}
	}
	if worst == nil || v.groups[worst.group] <= v.groups[g]+1 {
		return nil // the newcomer's group would become as large, or is the largest
	}
	return worst
}

// crowds orders by size of group, then by arrival: a total order, so that it
// does not hang on the order of a map.
func (v *View) crowds(a, b *entry) bool {
	if x, y := v.groups[a.group], v.groups[b.group]; x != y {
		return x > y
	}
	return a.arrival > b.arrival
}

func (v *View) leave(g group) {
	if v.groups[g]--; v.groups[g] == 0 {
		delete(v.groups, g)
	}
}
