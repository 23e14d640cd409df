// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"croft/dht/contact"
	"croft/node/api"
	"croft/node/daemon"
)

func (a *app) invite() *cobra.Command {
	lasts := contact.InvitedFor
	c := &cobra.Command{
		Use: "invite", Short: "Print a line by which others join the network", Args: cobra.NoArgs,
		Long: `Print an invitation: one word of text, with the addresses of this node, if it can
be reached, and of some others that it knows. Whoever has it joins by
croft up --join INVITATION, also when this node is gone by then. It gives no
rights: anybody may join, and it only says where.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if lasts < time.Second || lasts > contact.MaxInvitedFor {
				return usage("", "--for %s: want 1s to %s", lasts, contact.MaxInvitedFor)
			}
			i, err := a.way().Invitation(cmd.Context(), lasts)
			if err != nil {
				return err
			}
			a.say("by %d nodes, until %s", len(i.Nodes), i.Until.UTC().Format(time.RFC3339))
			return a.print(i, func(w io.Writer) { fmt.Fprintln(w, i.Text) })
		},
	}
	c.Flags().DurationVar(&lasts, "for", lasts, "how long it holds")
	return c
}

// checkJoin refuses what is typed after --join and leads nowhere.
func checkJoin(texts []string) error {
	_, err := daemon.Contacts(texts, time.Now())
	switch {
	case errors.Is(err, contact.ErrLapsed):
		return usage("ask for a new one: `croft invite` prints it", "%w", err)
	case errors.Is(err, contact.ErrInvitation):
		return usage("copy all of the line that `croft invite` printed", "%w", err)
	case err != nil:
		return usage("such as /ip4/192.0.2.7/udp/4001/quic-v1/p2p/12D3Koo…, or a line that `croft invite` printed", "%w", err)
	}
	return nil
}

// showReach says how others reach a node, and what it carries for those whom
// nobody can.
func showReach(w io.Writer, r api.Reach) {
	fmt.Fprintf(w, "reachable\t%s\n", r)
	if c := r.Carried; c != nil {
		fmt.Fprintf(w, "relays\t%d nodes, %d connections, %s today\n", c.Nodes, c.Circuits, octets(c.Today))
	}
}
