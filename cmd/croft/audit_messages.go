// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/api"
)

func (a *app) auditMessages() *cobra.Command {
	var node bool
	c := &cobra.Command{
		Use: "messages [SLICE]", Short: "What those who got packets had to say about them", Args: cobra.MaximumNArgs(1),
		Long: `Ask the nodes of a slice for the messages that were left about its packets. Each says
when it came, from which network, and which packet it is about; whether its sender showed
that the packet went to him; and his text, for which nobody vouches. A node keeps a
message for 14 days, and tells nobody whether it was read. With --node, those about all
slices on the node behind the socket, for its owner.`,
		Example: "  croft audit messages web\n  croft audit messages --node",
		RunE: func(cmd *cobra.Command, args []string) error {
			if node == (len(args) > 0) {
				return usage("name one of them", "either a slice or --node")
			}
			if node {
				list, err := a.way().Messages(cmd.Context())
				if err != nil {
					return err
				}
				return a.printMessages(list)
			}
			t, err := a.target(cmd.Context(), args[0], lease.VerbAudit)
			if err != nil {
				return err
			}
			var mu sync.Mutex
			var all []api.Message
			out := a.group(cmd.Context(), oneSliver(t), func(ctx context.Context, n remote) error {
				ctx, cancel := context.WithTimeout(ctx, callLimit)
				defer cancel()
				list, err := n.Messages(ctx, t.Slice)
				mu.Lock()
				defer mu.Unlock()
				all = append(all, list...)
				return err
			})
			slices.SortStableFunc(all, func(x, y api.Message) int { return x.At.Compare(y.At) })
			if err := a.printMessages(all); err != nil {
				return err
			}
			return a.summary(out)
		},
	}
	c.Flags().BoolVar(&node, "node", false, "of all slices, on the node behind the socket")
	return c
}

// oneSliver is the target with one sliver of each node.
func oneSliver(t target) target {
	seen := map[lease.Principal]bool{}
	all := t.Slivers
	t.Slivers = nil
	for _, s := range all {
		if !seen[s.Node] {
			seen[s.Node] = true
			t.Slivers = append(t.Slivers, s)
		}
	}
	return t
}

func (a *app) printMessages(list []api.Message) error {
	if len(list) == 0 {
		a.say("no messages")
	}
	for _, m := range list {
		if err := a.print(m, func(w io.Writer) {
			from := "through another node"
			if m.From != "" {
				from = "from " + m.From
			}
			if m.Holder {
				from += ", which got the packet"
			}
			fmt.Fprintf(w, "%s  %s\n  about %s -> %s at %s, of %s\n", m.At.Local().Format(time.DateTime), printable(from), m.Src, m.Dst,
				m.About.Local().Format(time.DateTime), printable(m.Slice))
			for line := range strings.Lines(m.Text) {
				fmt.Fprintf(w, "  | %s\n", printable(strings.TrimSuffix(line, "\n")))
			}
		}); err != nil {
			return err
		}
	}
	return nil
}
