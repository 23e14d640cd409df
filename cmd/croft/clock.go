// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"croft/node/api"
)

func (a *app) clock() *cobra.Command {
	c := &cobra.Command{
		Use: "clock", Short: "The time by which your node judges terms", Args: cobra.NoArgs,
		Long: "A node judges terms by its machine's clock as it was when the daemon started, carried on by the boot clock: setting the clock moves no lease. When the two are more than 5 s apart nothing new is granted until they agree again, or until you say which is right: see `croft clock accept`.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.way().Clock(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(c, func(w io.Writer) { printClock(w, c) })
		},
	}
	c.AddCommand(a.clockAccept())
	return c
}

func (a *app) clockAccept() *cobra.Command {
	return &cobra.Command{
		Use: "accept", Short: "Judge terms by the machine's clock as it is set now", Args: cobra.NoArgs,
		Long: "Judge terms by the machine's clock as it is set now. If it was set forwards, leases whose terms have passed end at once. If it was set backwards, the node's time stands still until the clock has caught up: no lease begins twice, and those that run, run longer.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.way().AcceptClock(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(c, func(w io.Writer) { printClock(w, c) })
		},
	}
}

func printClock(w io.Writer, c api.Clock) {
	fmt.Fprintf(w, "leases   %s\nmachine  %s\n", c.Ledger.UTC().Format(time.RFC3339), c.Wall.UTC().Format(time.RFC3339))
	if step := time.Duration(c.Step * float64(time.Second)).Round(time.Millisecond); c.Barred {
		fmt.Fprintf(w, "The machine's clock is %s from the time of the leases: nothing new is granted. If it is right, type `croft clock accept`.\n", step)
	}
}
