// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
)

func (a *app) keyDevice() *cobra.Command {
	c := &cobra.Command{Use: "device", Short: "Other keys of yours: a laptop, a machine that keeps your slices"}
	c.AddCommand(a.deviceAdd(), a.deviceList(), a.deviceImport())
	return c
}

func (a *app) deviceAdd() *cobra.Command {
	var verbs, out string
	var term time.Duration
	c := &cobra.Command{
		Use: "add PRINCIPAL", Short: "Let another key of yours act on all your slices", Args: cobra.ExactArgs(1),
		Long: `Sign a grant over every slice of yours, now and later. The device keeps the file with
` + "`croft key device import`" + ` and types LABEL@OWNER. A key that is lost is taken back with
` + "`croft slice revoke @ PRINCIPAL`" + `; tickets are not granted: give the device its own.`,
		Example: "  croft key device add laptop.pub --for 2160h --out laptop.grant",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.give(cmd.Context(), "", args[0], verbs, term, out)
		},
	}
	c.Flags().StringVar(&verbs, "verbs", "all", "what it may do: run,renew,stop,logs,exec,audit,publish")
	c.Flags().DurationVar(&term, "for", 90*24*time.Hour, "for how long")
	c.Flags().StringVar(&out, "out", "", "file to write (default: stdout)")
	return c
}

// deviceRow is a device of one's own, or whose device this key is.
type deviceRow struct {
	ID     lease.ID        `json:"id"`
	Owner  lease.Principal `json:"owner"`
	Holder lease.Principal `json:"holder"`
	Verbs  lease.Verbs     `json:"verbs"`
	Until  int64           `json:"until"`
}

func (a *app) deviceList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Your devices, and whose device this key is", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			key, err := a.known()
			if err != nil {
				return err
			}
			p, err := a.published("")
			if err != nil {
				return err
			}
			var rows []deviceRow
			list, ids := p.standing(time.Now().Unix())
			for i, g := range list {
				rows = append(rows, deviceRow{ids[i], g.Issuer, g.Holder, g.Verbs, g.Until})
			}
			for _, g := range a.held() {
				if g.Slice == "" && g.Holder == principalOf(key) {
					rows = append(rows, deviceRow{g.ID, g.Issuer, g.Holder, g.Verbs, g.Until})
				}
			}
			if len(rows) == 0 {
				a.say("no devices; `croft key device add` makes another key one of yours")
			}
			return printEach(a, rows, "GRANT\tOWNER\tDEVICE\tMAY\tLEFT", func(w io.Writer, r deviceRow) {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.ID.Short(), r.Owner.Short(), r.Holder.Short(), r.Verbs, left(r.Until-time.Now().Unix()))
			})
		},
	}
}

func (a *app) deviceImport() *cobra.Command {
	return &cobra.Command{
		Use: "import FILE", Short: "Keep the grant that makes this key a device of another's", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.take(args[0], true) },
	}
}
