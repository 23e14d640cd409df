// SPDX-License-Identifier: Apache-2.0

package main

import (
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
	var rset string
	c := &cobra.Command{
		Use: "renew SLICE", Short: "Have a slice run on, longer or with other limits", Args: cobra.ExactArgs(1),
		Long: "Lease every sliver's share anew, in place: the program runs on, and its limits change while it does. A node that refuses keeps the old lease.",
		RunE: func(cmd *cobra.Command, args []string) error {
			rec, err := a.slice(args[0])
			if err != nil {
				return err
			}
			key, err := a.mine()
			if err != nil {
				return err
			}
			var set lease.RSet
			if rset != "" && len(rec.Slivers) > 0 { // what is not named is as it was
				set = rec.Slivers[0].RSet
			}
			if set, err = set.With(rset); err != nil {
				return badAmounts("rset", rset, err)
			}
			m, err := slice.NewRenewal(rec, time.Now().Add(term).Unix(), set, key, rand.Reader)
			if err != nil {
				return err
			}
			done, err := a.driver(key, nil).drive(cmd.Context(), m)
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
		},
	}
	c.Flags().DurationVar(&term, "for", time.Hour, "how long from now")
	c.Flags().StringVar(&rset, "rset", "", "other limits: egress.rate=10mbit,…")
	return c
}
