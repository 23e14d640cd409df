// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"croft/dht/contact"
	"croft/node/api"
	"croft/node/wire"
)

// ContactsProtocol is for those who are neighbours of one that routes for nobody,
// as all behind NAT are: asked on it, a node writes an invitation and closes.
const ContactsProtocol protocol.ID = "/croft/contacts/1"

// inviter is what makes invitations for this machine's people.
type inviter struct{ d *Daemon }

func (i inviter) Invite(ctx context.Context, lasts time.Duration) (api.Invitation, error) {
	if i.d.deps.Reach == nil {
		return api.Invitation{}, fmt.Errorf("inviting: %w", api.ErrUnreachable)
	}
	return i.d.deps.Reach.Invite(ctx, lasts)
}

// Invite names this node, if it can be reached, and some that it knows.
func (o *overlay) Invite(ctx context.Context, lasts time.Duration) (api.Invitation, error) {
	i, err := o.first.invitation(lasts, o.first.others(ctx, contact.MaxInvited))
	if err != nil {
		return api.Invitation{}, err
	}
	out := api.Invitation{Until: time.Unix(i.Until, 0)}
	for _, c := range i.Contacts {
		out.Nodes = append(out.Nodes, c.Node)
	}
	out.Text, err = i.Text()
	return out, err
}

func (f *firstContact) invitation(lasts time.Duration, others []contact.Contact) (contact.Invitation, error) {
	i := contact.Invitation{Until: time.Now().Add(min(lasts, contact.MaxInvitedFor)).Unix()}
	self, err := wire.Principal(f.o.host.ID())
	if err != nil {
		return i, err
	}
	if addrs := offerAddrs(f.o.Addrs()); len(addrs) > 0 && f.o.gossip != nil { // a visitor leads nowhere
		if slices.ContainsFunc(addrs, relayed) { // the others do not lead here from elsewhere
			addrs = slices.DeleteFunc(addrs, func(a string) bool { return !relayed(a) })
		}
		i.Contacts = append(i.Contacts, contact.Contact{Node: self, Addrs: addrs})
	}
	for _, c := range newTo(others, self) {
		if len(i.Contacts) < contact.MaxInvited {
			i.Contacts = append(i.Contacts, contact.Contact{Node: c.Node, Addrs: c.Addrs[:min(len(c.Addrs), 2)]})
		}
	}
	if len(i.Contacts) == 0 {
		return i, fmt.Errorf("%w: this node cannot be reached from elsewhere, and knows nobody who can", api.ErrUnreachable)
	}
	return i, nil
}

// answer tells a neighbour whom this node knows.
func (f *firstContact) answer(s network.Stream) {
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(contactsLimit))
	i, err := f.invitation(contactsHold, f.othersOfLate(f.o.ctx))
	if err == nil {
		var text string
		if text, err = i.Text(); err == nil {
			_, err = io.WriteString(s, text)
		}
	}
	if err != nil {
		s.Reset()
	}
}

// ask asks a neighbour whom it knows. What comes is a stranger's word: of its
// addresses those count that this profile dials.
func (f *firstContact) ask(ctx context.Context, id peer.ID) []contact.Contact {
	const why = "asking for contacts"
	ctx, cancel := context.WithTimeout(network.WithAllowLimitedConn(network.WithNoDial(ctx, why), why), contactsLimit)
	defer cancel()
	s, err := f.o.host.NewStream(ctx, id, ContactsProtocol)
	if err != nil {
		return nil
	}
	defer s.Reset()
	_ = s.SetDeadline(time.Now().Add(contactsLimit))
	text, err := io.ReadAll(io.LimitReader(s, contact.MaxInvitation+1))
	if err != nil {
		return nil
	}
	i, err := contact.ReadInvitation(string(text), time.Now())
	if err != nil {
		f.o.log.Debug("a neighbour told of no contacts", "peer", id, "err", err)
		return nil
	}
	var told []contact.Contact
	for _, info := range infosOf(i.Contacts) {
		if f.o.keep != nil {
			info.Addrs = f.o.keep(info.Addrs)
		}
		if c, ok := contactOf(info); ok && info.ID != id && info.ID != f.o.host.ID() {
			told = append(told, c)
		}
	}
	return told
}
