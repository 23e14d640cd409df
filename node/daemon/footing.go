// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"croft/dht/contact"
	"croft/lease"
	"croft/node/wire"
)

// Footing is on whom the node stands in the network. All of it is asked when it is called.
type Footing interface {
	// Contacts are those by whom the node would join if it had no neighbour left.
	Contacts(ctx context.Context) []stander
	// Neighbours are those to whom it is connected.
	Neighbours(ctx context.Context) []stander
	// Relays are those by whom others reach it, if it cannot be reached itself.
	Relays(ctx context.Context) []stander
	// Founders are the nodes and people that founded the network.
	Founders() map[lease.Principal]bool
	// Protocols are those that are Croft's own and that this node serves.
	Protocols() []string
}

// stander is a node on which this one stands.
type stander struct {
	node   lease.Principal
	there  bool // it answers
	speaks bool // all of Footing's Protocols that a neighbour needs
}

// founders are those that the owner names, or else those by whom he had the node join,
// and in any case those that come with the program.
func founders(cfg Config, given []contact.Contact) map[lease.Principal]bool {
	all := map[lease.Principal]bool{}
	for _, c := range contact.ShippedContacts() {
		all[c.Node] = true
	}
	for _, p := range cfg.Founders {
		all[p] = true
	}
	if len(cfg.Founders) == 0 {
		for _, c := range given {
			all[c.Node] = true
		}
	}
	return all
}

func (f *firstContact) Founders() map[lease.Principal]bool { return f.founders }

func (f *firstContact) Contacts(ctx context.Context) []stander {
	list := f.Remembered()
	for _, c := range f.given {
		if !slices.ContainsFunc(list, func(o contact.Contact) bool { return o.Node == c.Node }) {
			list = append(list, c)
		}
	}
	var infos []peer.AddrInfo
	for _, info := range infosOf(list) {
		if info.ID != f.o.host.ID() {
			infos = append(infos, info)
		}
	}
	return f.standing(ctx, infos)
}

func (f *firstContact) Neighbours(ctx context.Context) []stander {
	var infos []peer.AddrInfo
	for _, id := range f.o.host.Network().Peers() {
		infos = append(infos, peer.AddrInfo{ID: id})
	}
	return f.standing(ctx, infos)
}

func (f *firstContact) Relays(ctx context.Context) []stander {
	var infos []peer.AddrInfo
	if f.o.wired != nil {
		for _, p := range f.o.Reach().Relays {
			if id, err := wire.PeerID(p); err == nil {
				infos = append(infos, peer.AddrInfo{ID: id})
			}
		}
	}
	return f.standing(ctx, infos)
}

// standing asks nodes whether they are there, all at once: there are no more than a
// node remembers, or has connections.
func (f *firstContact) standing(ctx context.Context, infos []peer.AddrInfo) []stander {
	ctx, cancel := context.WithTimeout(ctx, standingLimit)
	defer cancel()
	out := make([]stander, len(infos))
	own := f.Protocols()
	var asks sync.WaitGroup
	for i, info := range infos {
		asks.Go(func() {
			p, err := wire.Principal(info.ID)
			if err != nil || !f.answers(ctx, info) {
				out[i].node = p
				return
			}
			theirs, err := f.o.host.Peerstore().GetProtocols(info.ID)
			out[i] = stander{node: p, there: true, speaks: err == nil && !slices.ContainsFunc(own, func(o string) bool {
				return !slices.ContainsFunc(theirs, func(t protocol.ID) bool { return string(t) == o })
			})}
		})
	}
	asks.Wait()
	return out
}

// Protocols are those in whose names this one's project is.
func (f *firstContact) Protocols() (own []string) {
	for _, id := range f.o.host.Mux().Protocols() {
		if strings.HasPrefix(string(id), "/croft/") {
			own = append(own, string(id))
		}
	}
	slices.Sort(own)
	return own
}

// principals reads the founders of a configuration.
func principals(dst *[]lease.Principal, in []string) error {
	if len(in) > maxFounders {
		return fmt.Errorf("founders: %d, limit %d", len(in), maxFounders)
	}
	for _, s := range in {
		p, err := lease.ParsePrincipal(s)
		if err != nil {
			return fmt.Errorf("founders: %w", err)
		}
		*dst = append(*dst, p)
	}
	return nil
}
