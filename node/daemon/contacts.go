// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"croft/dht/contact"
	"croft/node/wire"
)

// given are the contacts of a configuration. An invitation in it that has lapsed
// meanwhile is no reason not to start.
func given(texts []string, log *slog.Logger) ([]contact.Contact, error) {
	var hold []string
	for _, text := range texts {
		switch _, err := Contacts([]string{text}, time.Now()); {
		case errors.Is(err, contact.ErrLapsed):
			log.Warn("not joining by an invitation", "err", err)
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		default:
			hold = append(hold, text)
		}
	}
	return Contacts(hold, time.Now())
}

// claimed are the addresses in an offer that this profile may dial.
func (o *overlay) claimed(addrs []string) (out []multiaddr.Multiaddr) {
	for _, s := range addrs {
		if a, err := multiaddr.NewMultiaddr(s); err == nil {
			out = append(out, o.dialable(a)...)
		}
	}
	return out
}

// contactOf is a peer as a contact: by at most four of its addresses, QUIC first
// and relays last.
func contactOf(info peer.AddrInfo) (c contact.Contact, ok bool) {
	p, err := wire.Principal(info.ID)
	if err != nil {
		return c, false
	}
	c.Node = p
	for _, a := range info.Addrs {
		if s, _, _ := strings.Cut(a.String(), "/p2p/"+info.ID.String()); len(s) <= contact.MaxAddr {
			c.Addrs = append(c.Addrs, s)
		}
	}
	slices.SortStableFunc(c.Addrs, func(a, b string) int { return rankOf(a) - rankOf(b) })
	c.Addrs = c.Addrs[:min(len(c.Addrs), contact.MaxAddrs)]
	return c, len(c.Addrs) > 0
}

func rankOf(addr string) int {
	switch {
	case strings.Contains(addr, wire.Circuit):
		return 2
	case strings.Contains(addr, "/quic-v1"):
		return 0
	}
	return 1
}

// infosOf are contacts as libp2p has them; what is no multiaddr is left out.
func infosOf(list []contact.Contact) (infos []peer.AddrInfo) {
	for _, c := range list {
		id, err := wire.PeerID(c.Node)
		if err != nil {
			continue
		}
		info := peer.AddrInfo{ID: id}
		for _, s := range c.Addrs {
			if a, err := multiaddr.NewMultiaddr(s); err == nil {
				info.Addrs = append(info.Addrs, a)
			}
		}
		if len(info.Addrs) > 0 {
			infos = append(infos, info)
		}
	}
	return infos
}

// Contacts reads what --join and join take: an invitation, or a multiaddr with the
// peer id of its node.
func Contacts(texts []string, now time.Time) (list []contact.Contact, err error) {
	for _, text := range texts {
		if contact.IsInvitation(text) {
			i, err := contact.ReadInvitation(text, now)
			if err != nil {
				return nil, err
			}
			list = append(list, i.Contacts...)
			continue
		}
		info, err := peer.AddrInfoFromString(text)
		if err != nil {
			return nil, fmt.Errorf("joining by %q: %w", text, err)
		}
		c, ok := contactOf(*info)
		if !ok {
			return nil, fmt.Errorf("joining by %q: it names no node of Croft's", text)
		}
		if at := slices.IndexFunc(list, func(o contact.Contact) bool { return o.Node == c.Node }); at >= 0 {
			list[at].Addrs = append(list[at].Addrs, c.Addrs...)
			list[at].Addrs = list[at].Addrs[:min(len(list[at].Addrs), contact.MaxAddrs)]
			continue
		}
		list = append(list, c)
	}
	return list, nil
}
