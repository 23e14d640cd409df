// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/api"
)

func (a *app) audit() *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Who sent a packet, and what a slice sent"}
	c.AddCommand(a.auditWho(), a.auditFlows(), a.auditVerify(), a.auditMessages(), a.auditWatched(), a.auditAlarms(), a.auditExport(), a.auditCapture())
	return c
}

func (a *app) auditFlows() *cobra.Command {
	var earlier bool
	c := &cobra.Command{
		Use: "flows SLICE", Short: "Every recorded flow of one of your slices", Args: cobra.ExactArgs(1),
		Long: `Ask the nodes of a slice for every flow of its slivers. A node records flows by the
slice's name: --earlier shows also those of the slices that had the name before.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := a.target(cmd.Context(), args[0], lease.VerbAudit)
			if err != nil {
				return err
			}
			var mu sync.Mutex
			var all []api.Flow
			out := a.group(cmd.Context(), t, func(ctx context.Context, n remote) error {
				ctx, cancel := context.WithTimeout(ctx, callLimit)
				defer cancel()
				flows, err := n.Flows(ctx, t.Slice)
				if !earlier {
					flows = slices.DeleteFunc(flows, func(f api.Flow) bool { return f.Sliver != n.Sliver.Sliver })
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, flows...)
				return err
			})
			slices.SortStableFunc(all, func(x, y api.Flow) int { return x.First.Compare(y.First) })
			if err := printEach(a, all, "SLIVER\tDIR\tPROTO\tFROM\tTO\tPACKETS\tBYTES\tFIRST\tLAST", flowRow); err != nil {
				return err
			}
			return a.summary(out)
		},
	}
	c.Flags().BoolVar(&earlier, "earlier", false, "also flows of earlier slices of that name, on the same nodes")
	return c
}

func flowRow(w io.Writer, f api.Flow) {
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", f.Sliver, f.Direction, f.Proto, endName(f.Src), endName(f.Dst), f.Packets, f.Bytes,
		f.First.Local().Format("15:04:05"), f.Last.Local().Format("15:04:05"))
}

// endName is an end of a flow; a row of many flows has none.
func endName(a netip.AddrPort) string {
	if !a.Addr().IsValid() {
		return "-"
	}
	return a.String()
}

// nodeNamed finds the node of that name; a principal is taken as it is.
func (a *app) nodeNamed(ctx context.Context, name string) (offer.Offer, error) {
	if p, err := lease.ParsePrincipal(name); err == nil {
		return offer.Offer{Node: p}, nil
	}
	res, err := a.seek(ctx, offer.FindRequest{View: true})
	if err != nil {
		return offer.Offer{}, err
	}
	var names []string
	for _, f := range res.Offers {
		if f.Offer.Name == name || f.Offer.Node.Short() == name {
			return f.Offer, nil
		}
		names = append(names, f.Offer.Name)
	}
	return offer.Offer{}, fail(exitNothing, didYouMean(name, names), "no node %q", name)
}
