// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
)

func (a *app) slicePublish() *cobra.Command {
	var term time.Duration
	c := &cobra.Command{
		Use: "publish SLICE", Short: "Sign a slice's next record, and tell it to its nodes and the DHT", Args: cobra.ExactArgs(1),
		Long: `Sign a slice's next record: which grants stand, and the nodes on which its slivers
are now. Whoever holds a grant finds the slivers by it. "@" is all your slices, on
whose record your devices stand.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			label, err := ownLabel(args[0])
			if err != nil {
				return err
			}
			key, err := a.mine()
			if err != nil {
				return err
			}
			p, err := a.publish(cmd.Context(), key, label, term, func(*published, uint64) error { return nil })
			if err != nil {
				return err
			}
			return a.printSpread(a.tell(cmd.Context(), key, p))
		},
	}
	c.Flags().DurationVar(&term, "for", recordTerm, "how long the record says so; never shorter than before")
	return c
}

// ownLabel reads the name of one's own slice, or "@" for all.
func ownLabel(name string) (string, error) {
	if name == allSlices {
		return "", nil
	}
	label, owner, foreign := strings.Cut(name, "@")
	if err := lease.CheckLabel(label); err != nil {
		return "", usage("", "slice: %w", err)
	}
	if foreign && owner != "you" {
		return "", usage("only its owner can do that", "%s is not your slice", name)
	}
	return label, nil
}

// printSpread tells who heard. A node that did not is no failure: the record is
// signed and counts, and that node learns it from the DHT.
func (a *app) printSpread(s spread) error {
	err := a.print(s, func(w io.Writer) {
		dht := "on the DHT"
		if !s.DHT {
			dht = "not on the DHT"
		}
		fmt.Fprintf(w, "record %d told to %d of %d nodes, %s\n", s.Sequence, s.Told, s.Nodes, dht)
	})
	if err == nil && !s.DHT && s.Told < s.Nodes {
		return fail(exitPartial, "try `croft slice publish` again", "%d nodes did not hear it", s.Nodes-s.Told)
	}
	return err
}
