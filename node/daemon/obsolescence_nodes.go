// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"croft/lease"
	"croft/node/api"
)

// footing asks the nodes on whom this one stands.
func (o obsolescence) footing(ctx context.Context, f Footing) []api.Dependence {
	var contacts, neighbours, relays []stander
	var asks sync.WaitGroup
	asks.Go(func() { contacts = f.Contacts(ctx) })
	asks.Go(func() { neighbours = f.Neighbours(ctx) })
	asks.Go(func() { relays = f.Relays(ctx) })
	asks.Wait()
	all := f.Founders()
	out := []api.Dependence{
		standing("contacts", "first contacts", contacts, all, "by whom it would join", "without a neighbour it would join by its Ethernet or an invitation alone"),
		standing("neighbours", "neighbours", neighbours, all, "who carry on", "it has no neighbour, and looks for some"),
	}
	if len(relays) > 0 {
		out = append(out, standing("relays", "relays by which others reach this node", relays, all, "by whom it is reached", "nobody reaches it until it finds another"))
	}
	speak := 0
	for _, n := range neighbours {
		if n.speaks {
			speak++
		}
	}
	return append(out,
		api.Dependence{Kind: "protocol", Name: "protocol ids", Founders: api.ShareNone,
			Holder:  fmt.Sprintf("no registry; %d are spoken here, and all of them by %d of %d neighbours that answer", len(f.Protocols()), speak, there(neighbours, nil)),
			Without: "nothing: two ends that agree need nobody else"},
		api.Dependence{Kind: "protocol", Name: "ports", Founders: api.ShareNone, Holder: "no registry; this node is at " + strings.Join(o.ports(), ", "),
			Without: "nothing: addresses carry their ports"})
}

// standing says how many of some nodes answered, and how many would if the founders'
// were gone.
func standing(kind, name string, list []stander, founders map[lease.Principal]bool, left, none string) api.Dependence {
	up := there(list, nil)
	theirs := there(list, founders)
	dep := api.Dependence{Kind: kind, Name: name, Founders: api.ShareNone, Holder: fmt.Sprintf("%d of %d answer; %d are founders'", up, len(list), theirs)}
	switch {
	case up == 0:
		dep.Lost, dep.Without = true, none
		return dep
	case theirs == up:
		dep.Founders, dep.Lost, dep.Without = api.ShareAll, true, none
		return dep
	case theirs > 0:
		dep.Founders = api.ShareSome
	}
	dep.Without = fmt.Sprintf("%d others, %s", up-theirs, left)
	return dep
}

// there is how many answer; of a set, if there is one.
func there(list []stander, of map[lease.Principal]bool) (n int) {
	for _, s := range list {
		if s.there && (of == nil || of[s.node]) {
			n++
		}
	}
	return n
}

// ports are where this node listens, as in "udp 4001".
func (o obsolescence) ports() (out []string) {
	for _, a := range o.d.deps.Wire.Addrs() {
		part := strings.Split(a, "/")
		if len(part) < 5 || relayed(a) {
			continue
		}
		if at := part[3] + " " + part[4]; !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
	slices.Sort(out)
	return out
}

// running is the binary that runs, and who says that it should.
func (o obsolescence) running() api.Dependence {
	dep := api.Dependence{Kind: "binary", Name: "croft " + Version, Founders: api.ShareAll,
		Holder: "nobody has signed it", Without: "this one runs on, and slivers with it; nobody makes a newer one"}
	if info, ok := debug.ReadBuildInfo(); ok {
		dep.Holder += "; built by " + info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				dep.Holder += " of " + s.Value[:min(len(s.Value), 12)]
			}
		}
	}
	if by := o.d.updates.signers(); len(by) > 0 {
		var founders map[lease.Principal]bool
		if f := o.d.deps.Footing; f != nil {
			founders = f.Founders()
		}
		theirs, names := 0, make([]string, 0, len(by))
		for _, p := range by {
			names = append(names, p.Short())
			if founders[p] {
				theirs++
			}
		}
		dep.Holder = strings.Replace(dep.Holder, "nobody has signed it", "signed by "+strings.Join(names, " "), 1)
		switch {
		case theirs == 0:
			dep.Founders = api.ShareNone
		case theirs < len(by):
			dep.Founders = api.ShareSome
		}
	}
	return dep
}
