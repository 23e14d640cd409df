// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"croft/node/slice"
)

func (a *app) stop() *cobra.Command {
	return &cobra.Command{
		Use: "stop SLICE…", Short: "End slices", Args: cobra.MinimumNArgs(1),
		Long: "End every lease of a slice by a signed close. What a node does not confirm stays on record, and ends with its lease.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var recs []slice.Record
			for _, name := range args {
				rec, err := a.slice(name)
				if err != nil {
					return err
				}
				recs = append(recs, rec)
			}
			key, err := a.mine()
			if err != nil {
				return err
			}
			for _, rec := range recs {
				m, err := slice.NewStop(rec, key)
				if err != nil {
					return err
				}
				done, err := a.driver(key, nil).drive(cmd.Context(), m)
				if err != nil {
					return err
				}
				if a.json {
					if err := a.print(stopped{rec.Slice, len(rec.Slivers) - len(done.Record.Slivers), len(done.Record.Slivers)}, nil); err != nil {
						return err
					}
				}
				if err := a.told("stopping slice "+rec.Slice, done); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

type stopped struct {
	Slice string `json:"slice"`
	Ended int    `json:"ended"`
	Left  int    `json:"left"`
}

// told tells why, and gives the outcome an exit code.
func (a *app) told(what string, done slice.Done) error {
	a.whys(done)
	return outcomeError(what, done)
}
