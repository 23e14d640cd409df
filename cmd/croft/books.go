// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/api"
)

func (a *app) lease() *cobra.Command {
	c := &cobra.Command{Use: "lease", Short: "Read leases, and your node's books"}
	c.AddCommand(a.leaseBooks(), a.leaseCalendar(), a.leaseRevoke(), a.show("show BASE64|TICKET", "Print a lease's statements, checked"))
	return c
}

// shown is a statement as people and programs read it.
type shown struct {
	ID        lease.ID        `json:"id"`
	Kind      string          `json:"kind"`
	By        lease.Principal `json:"by"`
	Statement lease.Statement `json:"statement"`
	Bytes     int             `json:"bytes"`
}

func (a *app) show(use, short string) *cobra.Command {
	var armour bool
	c := &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		Long: short + ": signatures and fields, offline, with no daemon. The argument is a ticket (" + ticketArg + ") or one signed statement in base64.",
		RunE: func(cmd *cobra.Command, args []string) error {
			opened, err := a.openAny(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if armour {
				return a.printText(opened)
			}
			list := make([]shown, len(opened))
			for i, o := range opened {
				list[i] = shown{o.ID, o.Kind().String(), o.By(), o.Statement, len(o.Signed.Bytes())}
			}
			return printEach(a, list, "ID\tKIND\tSIGNED BY\tBYTES\tSAYS", func(w io.Writer, s shown) {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", s.ID.Short(), s.Kind, s.By.Short(), s.Bytes, says(s.Statement))
			})
		},
	}
	c.Flags().BoolVar(&armour, "text", false, "print it as text that can be mailed")
	return c
}

// openAny opens one statement in base64, or those of one ticket.
func (a *app) openAny(ctx context.Context, arg string) ([]lease.Opened, error) {
	if b, err := base64.StdEncoding.DecodeString(arg); err == nil && len(b) > 8 && !exists(arg) {
		o, err := lease.Open(b)
		if err == nil {
			return []lease.Opened{o}, nil
		}
		if !isName(arg) {
			return nil, usage("a ticket, or a signed statement in base64", "%w", err)
		}
	}
	raw, err := a.tickets(ctx, arg)
	if err != nil {
		return nil, err
	}
	var opened []lease.Opened
	for _, r := range raw {
		for i, s := range r.chain {
			o, err := lease.Open(s)
			if err != nil {
				return nil, because(err, usage("`croft ticket verify` draws it; ask its issuer for it again", "%s, statement %d: %w", r.name, i+1, err))
			}
			opened = append(opened, o)
		}
	}
	return opened, nil
}

// says puts a claim in a line.
func says(st lease.Statement) string {
	switch s := st.(type) {
	case *lease.Capacity:
		return fmt.Sprintf("tranche %d: %s %s degree %d", s.Tranche, s.RSet, s.Term(), s.Degree)
	case *lease.Ticket:
		return fmt.Sprintf("to %s, slot %d: %s %s degree %d", s.Holder.Short(), s.Slot, s.RSet, s.Term(), s.Degree)
	case *lease.Hold:
		return fmt.Sprintf("to %s: %s %s", s.Holder.Short(), s.RSet, s.Term())
	case *lease.Lease:
		return fmt.Sprintf("to %s for %s: %s %s, grace %d s", s.Holder.Short(), s.Slice, s.RSet, s.Term(), s.Grace)
	case *lease.Close:
		return fmt.Sprintf("ends %s at %s: %s", s.Claim.Short(), day(s.At), s.Reason)
	case *lease.Revoke:
		return fmt.Sprintf("ends %s at %s, said at %s: %s", s.Claim.Short(), day(s.At), day(s.Said), s.Reason)
	case *lease.Reject:
		return fmt.Sprintf("refuses %s at %s: %s:%s %s", s.Parent.Short(), day(s.At), s.Sort, s.Reason, s.Text)
	}
	return ""
}

func (a *app) leaseBooks() *cobra.Command {
	return &cobra.Command{
		Use: "books", Short: "Every hold and lease on the node behind the socket", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			books, err := a.way().Books(cmd.Context())
			if err != nil {
				return err
			}
			if len(books) == 0 {
				a.say("nothing is booked on this node")
			}
			return printEach(a, books, "LEASE\tSTATE\tHOLDER\tSLICE\tPOOL\tFROM\tUNTIL\tRSET", func(w io.Writer, c api.Claim) {
				ends := c.Until
				if c.Ends != 0 {
					ends = c.Ends
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Lease.Short(), c.State, c.Holder.Short(), c.Slice, c.Pool,
					soon(c.From), soon(ends), c.RSet)
			})
		},
	}
}
