// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/slice"
)

func (a *app) stop() *cobra.Command {
	return &cobra.Command{
		Use: "stop SLICE…", Short: "End slices", Args: cobra.MinimumNArgs(1),
		Long: "End every lease of a slice by a signed close. What a node does not confirm stays on record, and ends with its lease.",
		RunE: func(cmd *cobra.Command, args []string) error {
			// First they are kept no more: what a keeper runs after its nodes are asked
			// would be in no record.
			if err := a.unkeepAll(cmd.Context(), args, false); err != nil {
				a.say("%s", plain(err)) // it is stopped all the same
			}
			var targets []target
			for _, name := range args {
				t, err := a.target(cmd.Context(), name, lease.VerbStop)
				if err != nil {
					return err
				}
				targets = append(targets, t)
			}
			for _, t := range targets {
				for _, rec := range t.rounds() {
					if err := a.stopAll(cmd.Context(), t, rec); err != nil {
						return err
					}
				}
			}
			return a.unkeepAll(cmd.Context(), args, true)
		},
	}
}

// stopAll ends what a record names.
func (a *app) stopAll(ctx context.Context, t target, rec slice.Record) error {
	m, err := slice.NewStop(rec, t.key)
	if err != nil {
		return err
	}
	done, err := a.driver(t, nil).drive(ctx, m)
	if err != nil {
		return err
	}
	if a.json {
		if err := a.print(stopped{rec.Slice, len(rec.Slivers) - len(done.Record.Slivers), len(done.Record.Slivers)}, nil); err != nil {
			return err
		}
	}
	return a.told("stopping slice "+rec.Slice, done)
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
