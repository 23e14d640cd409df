// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/slice"
)

func (a *app) renew() *cobra.Command {
	var term time.Duration
	var rset, bid string
	c := &cobra.Command{
		Use: "renew SLICE", Short: "Have a slice run on, longer or with other limits", Args: cobra.ExactArgs(1),
		Long: "Lease every sliver's share anew, in place: the program runs on, and its limits change while it does. A node that refuses keeps the old lease.",
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := a.target(cmd.Context(), args[0], lease.VerbRenew)
			if err != nil {
				return err
			}
			var set lease.RSet
			if rset != "" && len(t.Slivers) > 0 { // what is not named is as it was
				set = t.Slivers[0].RSet
			}
			if set, err = set.With(rset); err != nil {
				return badAmounts("rset", rset, err)
			}
			until := time.Now().Add(term).Unix()
			for _, rec := range t.rounds() {
				if err := a.renewAll(cmd.Context(), t, rec, until, set, bid); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().DurationVar(&term, "for", time.Hour, "how long from now")
	c.Flags().StringVar(&bid, "bid", "", "what to say to who allots the pool")
	c.Flags().StringVar(&rset, "rset", "", "other limits: egress.rate=10mbit,…")
	return c
}

// renewAll renews what a record names.
func (a *app) renewAll(ctx context.Context, t target, rec slice.Record, until int64, set lease.RSet, bid string) error {
	m, err := slice.NewRenewal(rec, until, set, t.key, rand.Reader)
	if err != nil {
		return err
	}
	m.Bid(bid)
	done, err := a.driver(t, nil).drive(ctx, m)
	if err != nil {
		return err
	}
	err = a.print(done.Record, func(w io.Writer) {
		for _, s := range done.Record.Slivers {
			fmt.Fprintf(w, "%s\tuntil %s\t%s\n", s.Name, clockTime(s.Until), s.RSet)
		}
	})
	if err != nil {
		return err
	}
	return a.told("renewing slice "+rec.Slice, done)
}
