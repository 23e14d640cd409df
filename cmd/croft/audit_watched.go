// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"croft/ebpf/audit"
	"croft/node/api"
)

func (a *app) auditWatched() *cobra.Command {
	var proofs bool
	c := &cobra.Command{
		Use: "watched", Short: "The logs of other nodes that yours follows as a witness, and forks", Args: cobra.NoArgs,
		Long: `List the nodes whose log of packets the node behind the socket follows. It asks each for
its newest head once a segment, and for what shows that the log goes on from the head before:
  holds    it does
  silent   the node does not answer
  doubt    it answers, and does not show it
  fork     it has signed two logs: --proofs prints the proof, which anybody can verify
Forks of other nodes, of which others told yours, are in the list too, as fork (told).
Exit code 1 says that there is a fork.`,
		Example: "  croft audit watched\n  croft audit watched --proofs | croft audit verify -",
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.way().Watched(cmd.Context())
			if err != nil {
				return err
			}
			var forked []string
			for _, w := range list {
				if w.Fork == nil {
					continue
				}
				forked = append(forked, w.Node.Short())
				if proofs {
					p, err := audit.ReadProof(w.Fork)
					if err != nil {
						return err
					}
					if _, err := a.out.Write(audit.Armour(p)); err != nil {
						return err
					}
				}
			}
			if proofs {
				return nil
			}
			if len(list) == 0 {
				a.say("this node follows no log yet")
			}
			if err := printEach(a, list, "NODE\tNAME\tSTATE\tSEGMENTS\tFROM\tSEEN\tWHY", watchedRow); err != nil {
				return err
			}
			if len(forked) > 0 {
				return &failure{code: exitFailed, reason: "fork", hint: "`croft audit watched --proofs` prints the proofs",
					err: fmt.Errorf("%d nodes have signed two logs: %v", len(forked), forked)}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&proofs, "proofs", false, "print the proofs of forks, as text, and nothing else")
	return c
}

func watchedRow(w io.Writer, o api.Watched) {
	seen := "-"
	if o.Seen != nil {
		seen = o.Seen.Local().Format(time.DateTime)
	}
	state := o.State
	switch {
	case o.Follows:
	case o.First == 0:
		state += " (told)"
	default:
		state += " (before)"
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", o.Node.Short(), o.Name, state, o.Size, o.First, seen, o.Why)
}
