// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/api"
)

func (a *app) view() *cobra.Command {
	return &cobra.Command{
		Use: "view", Short: "What this node knows of the others by gossip", Args: cobra.NoArgs,
		Long: `Show the view of the node behind the socket: for each node the newest offer, from which
neighbour and how it came, how old it is and when it lapses. Two nodes whose views have
the same digest know the same. A visitor keeps no view.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := a.way().View(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.print(v, nil)
			}
			c := v.Counts
			fmt.Fprintf(a.out, "%d of at most %d nodes: %d by gossip, %d by pull, %d own; %d have left; digest %s\n",
				len(v.Nodes), v.Capacity, c.Gossip, c.Pull, c.Own, c.Left, v.Digest)
			names := map[lease.Principal]string{}
			for _, n := range v.Nodes {
				names[n.Node] = n.Name
			}
			now := v.At.Unix()
			return printEach(a, v.Nodes, "NODE\tPRINCIPAL\tSOURCE\tFROM\tAGE\tLAPSES IN\tSEQUENCE", func(w io.Writer, n api.ViewedNode) {
				from := "-"
				if !n.From.IsZero() {
					from = called(names[n.From], n.From)
				}
				lapses := left(n.Until - now)
				if n.Left {
					lapses += ", left"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", called(n.Name, n.Node), n.Node.Short(), n.Source, from,
					left(max(now-n.Made, 1)), lapses, n.Sequence)
			})
		},
	}
}

func called(name string, node lease.Principal) string {
	if name == "" {
		return node.Short()
	}
	return printable(name)
}
