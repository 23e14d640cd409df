// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/sandbox"
)

func (a *app) logs() *cobra.Command {
	var opt sandbox.LogOptions
	var node string
	c := &cobra.Command{
		Use: "logs SLICE", Short: "What a slice's programs wrote, all slivers in one stream", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := a.target(cmd.Context(), args[0], lease.VerbLogs)
			if err != nil {
				return err
			}
			if t, err = only(t, node); err != nil {
				return err
			}
			var mu sync.Mutex
			return a.summary(a.group(cmd.Context(), t, func(ctx context.Context, n remote) error {
				out := &lines{mu: &mu, to: a.out, head: n.Name + " | "}
				switch {
				case a.json:
					out.node = n.Name
				case node != "":
					out.head = ""
				}
				err := n.Logs(ctx, n.Sliver.Sliver, opt, out)
				if ctx.Err() != nil {
					err = nil // Ctrl-C is how one stops to follow
				}
				if e := out.end(); err == nil {
					err = e
				}
				return err
			}))
		},
	}
	c.Flags().BoolVarP(&opt.Follow, "follow", "f", false, "go on until the sliver ends or Ctrl-C")
	c.Flags().IntVarP(&opt.Tail, "tail", "n", 0, "only the last so many records of each sliver (0: all)")
	c.Flags().StringVar(&node, "node", "", "only this node's sliver")
	return c
}
