// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/wire"
)

func (a *app) audit() *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Who sent a packet, and what a slice sent"}
	c.AddCommand(a.auditWho(), a.auditFlows(), a.auditExport(), a.auditCapture())
	return c
}

func (a *app) auditWho() *cobra.Command {
	var at, node string
	var within time.Duration
	c := &cobra.Command{
		Use:   "who SRC:PORT DST:PORT",
		Short: "Name the slice that sent a packet",
		Long: `Ask the node at the source address which slice held that source port and sent to
that destination, about an instant. The answer is what the node asserts from its
own record.`,
		Example: "  croft audit who 198.51.100.7:20117 203.0.113.9:443 --at 12:04:10\n  croft audit who '198.51.100.7:20117 -> 203.0.113.9:443'",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := api.WhoRequest{Within: within.Seconds()}
			var err error
			if q.Src, err = netip.ParseAddrPort(args[0]); err != nil {
				return usage("an address and port, such as 198.51.100.7:20117", "source %q: %w", args[0], err)
			}
			if q.Dst, err = netip.ParseAddrPort(args[1]); err != nil {
				return usage("an address and port, such as 203.0.113.9:443", "destination %q: %w", args[1], err)
			}
			if q.At, err = parseInstant(at, time.Now()); err != nil {
				return err
			}
			return a.who(cmd.Context(), q, node)
		},
	}
	c.Flags().StringVar(&at, "at", "now", "instant: 15:04:05 (today, local), RFC 3339, or now")
	c.Flags().DurationVar(&within, "within", 5*time.Second, "how far from the instant the packet may be")
	c.Flags().StringVar(&node, "node", "", "ask this node (name or principal) and no other")
	return c
}

// parseInstant reads "now", a time of today or RFC 3339.
func parseInstant(s string, now time.Time) (time.Time, error) {
	if s == "now" {
		return now, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation("15:04:05", s, time.Local)
	if err != nil {
		return t, usage("15:04:05, 2026-11-23T15:04:05Z or now", "--at %s is no instant", s)
	}
	y, m, d := now.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, time.Local), nil
}

// who asks every node that answers at the source address.
func (a *app) who(ctx context.Context, q api.WhoRequest, only string) error {
	key, err := a.asking()
	if err != nil {
		return err
	}
	nodes, err := a.nodesAt(ctx, q.Src.Addr(), only)
	if err != nil {
		return err
	}
	answers := make([]api.WhoAnswer, len(nodes))
	var g errgroup.Group
	for i, n := range nodes {
		g.Go(func() error {
			node := a.way().Node(n.Node, key)
			defer node.Close()
			var err error
			answers[i], err = node.Who(ctx, q)
			if err != nil {
				return fmt.Errorf("asking %s: %w", n.Display(), err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	exact := false
	for i, ans := range answers {
		exact = exact || ans.Verdict != "none"
		err := a.print(ans, func(w io.Writer) {
			fmt.Fprintf(w, "node %s asserts: %s\n", nodes[i].Display(), ans.Verdict)
			for _, s := range ans.Slices {
				fmt.Fprintf(w, "  %s\n", s)
			}
			for _, f := range ans.Flows {
				flowRow(w, f)
			}
		})
		if err != nil {
			return err
		}
	}
	if !exact {
		return fail(exitNothing, "try a wider --within", "no record of that packet")
	}
	return nil
}

// nodesAt finds the nodes whose address that is.
func (a *app) nodesAt(ctx context.Context, addr netip.Addr, only string) ([]offer.Offer, error) {
	if only != "" {
		o, err := a.nodeNamed(ctx, only)
		return []offer.Offer{o}, err
	}
	res, err := a.seek(ctx, offer.FindRequest{View: true})
	if err != nil {
		return nil, err
	}
	var at []offer.Offer
	for _, f := range res.Offers {
		for _, s := range f.Offer.Addrs {
			if ip, ok := wire.IP(s); ok && ip == addr {
				at = append(at, f.Offer)
				break
			}
		}
	}
	if len(at) == 0 {
		return nil, fail(exitNothing, "name the node with --node", "no known node is at %s", addr)
	}
	return at, nil
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
