// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/multiformats/go-multiaddr"

	"croft/dht/contact"
	"croft/lease"
	"croft/node/role"
	"croft/node/wire"
)

// othersAsk asks the role bootstrap.
type othersAsk func(ctx context.Context, want int) ([]contact.Contact, role.Tenant, error)

// told are contacts that were told of.
type toldContacts struct {
	list []contact.Contact
	at   time.Time
}

// Remembered are those that were there longest, and what comes with the program last.
func (f *firstContact) Remembered() []contact.Contact {
	list := slices.Clone(*f.known.Load())
	for _, c := range contact.ShippedContacts() {
		if !slices.ContainsFunc(list, func(o contact.Contact) bool { return o.Node == c.Node }) {
			list = append(list, c)
		}
	}
	return list[:min(len(list), contact.MaxContacts)]
}

// Dials is a contact with those addresses that this profile dials.
func (f *firstContact) Dials(c contact.Contact) (contact.Contact, bool) {
	infos := infosOf([]contact.Contact{c})
	if len(infos) == 0 || infos[0].ID == f.o.host.ID() {
		return c, false
	}
	infos[0].Addrs = slices.DeleteFunc(infos[0].Addrs, func(a multiaddr.Multiaddr) bool { return !f.literal(a) })
	if f.o.keep != nil {
		infos[0].Addrs = f.o.keep(infos[0].Addrs)
	}
	return contactOf(infos[0])
}

// literal reports whether an address says itself where it leads, and that is not this
// machine or its link: a name may resolve to anything after it was judged. Elsewhere on
// private networks it may lead: on profile lan that is where the others are.
func (f *firstContact) literal(a multiaddr.Multiaddr) bool {
	s := a.String()
	if strings.Contains(s, "/dns") || !strings.HasPrefix(s, "/ip4/") && !strings.HasPrefix(s, "/ip6/") {
		return false
	}
	ip, ok := wire.IP(s)
	if !ok || ip.IsUnspecified() || ip.IsMulticast() {
		return false
	}
	if ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return f.lab
	}
	return !slices.ContainsFunc(f.o.host.Addrs(), func(a multiaddr.Multiaddr) bool {
		own, ok := wire.IP(a.String())
		return ok && own == ip
	})
}

// Others has the role be asked for others.
func (f *firstContact) Others(ask func(context.Context, int) ([]contact.Contact, role.Tenant, error)) {
	by := othersAsk(ask)
	f.role.Store(&by)
}

// others are contacts for who is new. Every other one is of those that this node has met
// itself, whoever the role names: the newcomer's only way in would be its
// tenant's to choose, or to close by naming nobody. All of them answer; were it nobody,
// who is connected is asked, and were it nobody yet, who is remembered is told of as he is.
func (f *firstContact) others(ctx context.Context, want int) []contact.Contact {
	own := f.met()
	ask := f.role.Load()
	if ask == nil { // it has not begun yet
		return own[:min(len(own), want)]
	}
	named, _, err := (*ask)(ctx, want)
	if err != nil {
		f.o.log.Debug("nobody names others for who is new", "err", err)
	}
	own = own[:min(len(own), 2*want)] // some may have gone
	in := func(list []contact.Contact) func(contact.Contact) bool {
		return func(c contact.Contact) bool {
			return slices.ContainsFunc(list, func(o contact.Contact) bool { return o.Node == c.Node })
		}
	}
	named = slices.DeleteFunc(slices.Clone(named), in(own))
	named = named[:min(len(named), 2*want)]
	there := f.reached(ctx, slices.Concat(own, named))
	n := slices.IndexFunc(there, in(named))
	if n < 0 {
		n = len(there)
	}
	list := byTurns(there[:n], there[n:])
	if len(list) == 0 { // all of old may be gone, and who is here now is in no list yet
		if list = f.reached(ctx, f.connected(2*want)); len(list) == 0 {
			list = own
		}
	}
	return list[:min(len(list), want)]
}

// met are those that this node remembers, who was there longest first; while it remembers
// nobody, those that it is connected to. Else who was named once, and dialled for it, would
// count as met the next time.
func (f *firstContact) met() (list []contact.Contact) {
	if known := *f.known.Load(); len(known) > 0 {
		return known
	}
	return f.connected(contact.MaxContacts)
}

// connected are those of the routing table to whom there is a connection, not more than so many.
func (f *firstContact) connected(most int) (list []contact.Contact) {
	for _, info := range f.o.dht.Remember() {
		if c, ok := contactOf(info); ok && len(list) < most {
			list = append(list, c)
		}
	}
	return list
}

// byTurns has one of each list after another, and then what is left of the longer.
func byTurns(a, b []contact.Contact) (list []contact.Contact) {
	for i := range max(len(a), len(b)) {
		if i < len(a) {
			list = append(list, a[i])
		}
		if i < len(b) {
			list = append(list, b[i])
		}
	}
	return list
}

// othersOfLate are others for strangers, who do not have this node dial whenever they ask.
func (f *firstContact) othersOfLate(ctx context.Context) []contact.Contact {
	f.telling.Lock()
	defer f.telling.Unlock()
	if f.told.at.IsZero() || time.Since(f.told.at) >= othersHold {
		f.told = toldContacts{f.others(ctx, contact.MaxInvited), time.Now()}
	}
	return f.told.list
}

// reached are those of a list who answer, by the addresses by which this node knows them.
func (f *firstContact) reached(ctx context.Context, list []contact.Contact) []contact.Contact {
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	there := make([]bool, len(list))
	var dials sync.WaitGroup
	for i, c := range list {
		dials.Go(func() {
			for _, info := range infosOf([]contact.Contact{c}) {
				there[i] = f.answers(ctx, info)
			}
		})
	}
	dials.Wait()
	var out []contact.Contact
	for i, c := range list {
		if !there[i] {
			continue
		}
		if own, ok := f.knownAs(c); ok {
			out = append(out, own)
		}
	}
	return out
}

// answers reports whether a peer answers now: a connection stands for half a minute
// after its other end has gone.
func (f *firstContact) answers(ctx context.Context, info peer.AddrInfo) bool {
	if f.o.host.Network().Connectedness(info.ID) != network.Connected && f.o.host.Connect(ctx, info) != nil {
		return false
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the pings
	select {
	case r := <-ping.Ping(ctx, f.o.host, info.ID):
		return r.Error == nil
	case <-ctx.Done():
		return false
	}
}

// knownAs is a contact by the addresses that its node told this one. Where it told none,
// what a third says of it is passed on to nobody.
func (f *firstContact) knownAs(c contact.Contact) (contact.Contact, bool) {
	known := *f.known.Load()
	if i := slices.IndexFunc(known, func(o contact.Contact) bool { return o.Node == c.Node }); i >= 0 {
		return known[i], true
	}
	id, err := wire.PeerID(c.Node)
	if err != nil {
		return c, false
	}
	info := peer.AddrInfo{ID: id, Addrs: f.o.host.Peerstore().Addrs(id)}
	if f.o.keep != nil {
		info.Addrs = f.o.keep(info.Addrs)
	}
	return contactOf(info)
}

// askRole has a node without a neighbour ask for contacts. The built-in knows none but
// those that are tried anyway.
func (f *firstContact) askRole(ctx context.Context) {
	ask := f.role.Load()
	if ask == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, role.MaxWhole)
	defer cancel()
	list, who, err := (*ask)(ctx, contact.MaxContacts)
	if err != nil {
		return
	}
	if who == role.Builtin {
		list = nil // nor does what a tenant named outlast it
	}
	f.hear(contact.Named, list)
}

// newTo leaves out of a list a node of whom there is talk already.
func newTo(list []contact.Contact, node lease.Principal) []contact.Contact {
	return slices.DeleteFunc(slices.Clone(list), func(c contact.Contact) bool { return c.Node == node })
}
