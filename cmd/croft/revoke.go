// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/api"
)

// revoked says when a lease ends, and for what reason.
type revoked struct {
	Lease  lease.ID `json:"lease"`
	Ends   int64    `json:"ends"`
	Reason string   `json:"reason,omitempty"`
}

func (a *app) leaseRevoke() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "revoke LEASE", Short: "End a lease on the node behind the socket, after its grace", Args: cobra.ExactArgs(1),
		Long: "End a lease on your own node by a signed revoke that its holder can show. It takes effect after the grace that the lease states; the sliver runs until then. LEASE is an id, or its beginning as `croft lease books` prints it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(reason) > lease.MaxText {
				return usage("say it shorter", "a reason of %d bytes, limit %d", len(reason), lease.MaxText)
			}
			books, err := a.way().Books(cmd.Context())
			if err != nil {
				return err
			}
			id, err := pick(books, args[0])
			if err != nil {
				return err
			}
			answer, err := a.way().Revoke(cmd.Context(), id, reason)
			if err != nil {
				return err
			}
			if answer.Refusal != nil {
				return answer.Refusal
			}
			end, err := lease.Open(answer.Statements[0])
			if err != nil {
				return err
			}
			st, ok := end.Statement.(*lease.Revoke)
			if !ok {
				return fmt.Errorf("the node answered with a %s", end.Kind())
			}
			return a.print(revoked{st.Claim, st.At, st.Reason}, func(w io.Writer) {
				if st.Claim != id {
					fmt.Fprintf(w, "lease %s passes over to %s, which ends at %s\n", id.Short(), st.Claim.Short(), soon(st.At))
					return
				}
				fmt.Fprintf(w, "lease %s ends at %s\n", id.Short(), soon(st.At))
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "what its holder reads; it is signed")
	return c
}

// pick finds the one claim whose id begins so.
func pick(books []api.Claim, begins string) (lease.ID, error) {
	var found []lease.ID
	for _, c := range books {
		if strings.HasPrefix(c.Lease.String(), begins) && !slices.Contains(found, c.Lease) {
			found = append(found, c.Lease)
		}
	}
	switch {
	case begins == "" || len(found) == 0:
		return lease.ID{}, fail(exitNothing, "`croft lease books` prints them", "no lease %q on this node", begins)
	case len(found) > 1:
		return lease.ID{}, usage("give more of the id", "%d leases begin with %q", len(found), begins)
	}
	return found[0], nil
}
