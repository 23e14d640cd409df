// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/api"
)

// ticketFetch gets what a node's owner gives to this person by policy.
func (a *app) ticketFetch() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "fetch NODE", Short: "Get the tickets that a node has for you", Args: cobra.ExactArgs(1),
		Long: `Ask a node, by name or principal, for the tickets that it signed for you: what its
owner's policy gives to peers is there without anybody sending it. The chains are
checked and put into your purse: ` + "`croft run --ticket NAME`" + ` draws on them. With
--out DIR each is written to a file of its own instead, which ` + "`croft ticket keep`" + `
takes later or elsewhere.`,
		Example: "  croft ticket fetch uni-a/n1\n  croft ticket fetch uni-a/n1 -o tickets",
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := a.known()
			if err != nil {
				return err
			}
			if key == nil {
				return fail(exitNothing, "`croft key show` makes one: have tickets given to the principal that it prints", "you have no key, so nobody has a ticket for you")
			}
			at, err := a.nodeNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			node := a.way().Node(at.Node, key)
			defer node.Close()
			list, err := node.Tickets(cmd.Context())
			if err != nil {
				return err
			}
			for _, t := range list {
				if err := sound(t, at.Node, key.Principal()); err != nil {
					return fail(exitFailed, "tell the node's owner", "%s sent a ticket that does not hold: %w", args[0], err)
				}
			}
			if len(list) == 0 {
				return fail(exitNothing, "its owner gives them: in policy.toml, or with `croft ticket give`", "%s has no ticket for you", args[0])
			}
			out := make([]fetched, len(list))
			for i, t := range list {
				out[i].HeldTicket = t
				if dir != "" {
					out[i].File, err = writeFetched(t, dir)
				} else {
					_, err = a.keepTicket(cmd.Context(), key, rawTicket{t.Ticket.Short(), t.Chain})
				}
				if err != nil {
					return err
				}
			}
			return printEach(a, out, "TICKET\tFROM\tUNTIL\tDEGREE\tRSET\tIN", func(w io.Writer, t fetched) {
				if t.File == "" {
					t.File = "your purse"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", t.Ticket.Short(), day(t.From), day(t.Until), t.Degree, t.RSet, t.File)
			})
		},
	}
	c.Flags().StringVarP(&dir, "out", "o", "", "write them to files in this directory, and not into the purse")
	return c
}

// fetched is a ticket and where it is now.
type fetched struct {
	api.HeldTicket
	File string `json:"file,omitempty"` // without it, in the purse
}

// sound checks that a ticket is the node's, whole, and held by the one who asked.
func sound(t api.HeldTicket, node, holder lease.Principal) error {
	chain, err := lease.VerifyChain(t.Chain, node)
	if err != nil {
		return err
	}
	leaf := chain.Leaf()
	if ticket, ok := leaf.Statement.(*lease.Ticket); !ok || ticket.Holder != holder || leaf.ID != t.Ticket {
		return fmt.Errorf("%s %s: %w", leaf.Kind(), leaf.ID.Short(), lease.ErrNotHolder)
	}
	return nil
}

// writeFetched writes a ticket's file, unless it was fetched before.
func writeFetched(t api.HeldTicket, dir string) (string, error) {
	path := filepath.Join(dir, t.Ticket.Short()+".ticket")
	if exists(path) {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return path, writeNew(path, []byte(text(t.Chain)), 0o600)
}
