// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/offer"
)

func (a *app) find() *cobra.Command {
	var view string
	var explain bool
	c := &cobra.Command{
		Use:   "find [QUERY]",
		Short: "Find nodes by what they offer",
		Long: `Find nodes by what they offer. When nothing matches, the answer says how many nodes
each constraint removed, and the nearest miss.

` + queryHelp,
		Example: `  croft find
  croft find 'cpu>=1000 & memory>=1GiB & country!=DE'
  croft find 'label.ixp=yes order by -egress.rate limit 5' --explain`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if view != "on" && view != "off" {
				return usage("--view on asks what gossip brought first, --view off the DHT alone", "--view %s is neither on nor off", view)
			}
			res, err := a.seek(cmd.Context(), offer.FindRequest{Query: strings.Join(args, " "), View: view == "on"})
			if err != nil {
				return err
			}
			return a.showFound(res, explain, strings.Join(args, " "))
		},
	}
	c.Flags().StringVar(&view, "view", "on", "on: what gossip brought first; off: the DHT alone")
	c.Flags().BoolVar(&explain, "explain", false, "say how many nodes each constraint removed")
	return c
}

// seek asks the way in, and turns a bad query into a usage error.
func (a *app) seek(ctx context.Context, req offer.FindRequest) (offer.Result, error) {
	if err := checkQuery(req.Query); err != nil {
		return offer.Result{}, err
	}
	return a.way().Find(ctx, req)
}

func checkQuery(query string) error {
	_, err := offer.ParseQuery(query)
	var at *offer.ParseError
	switch {
	case errors.As(err, &at):
		return usage(caret(query, at.Column), "%w", err)
	case err != nil:
		return usage("`croft help find` has the language", "%w", err)
	}
	return nil
}

// caret shows where in a query the mistake is.
func caret(query string, column int) string {
	return query + "\n             " + strings.Repeat(" ", max(column-1, 0)) + "^"
}

func (a *app) showFound(res offer.Result, explain bool, query string) error {
	column, way := "", func(offer.Found) string { return "" }
	if q, err := offer.ParseQuery(query); err == nil && q.AsksRTT() {
		column, way = "\tRTT", func(f offer.Found) string { return "\t" + rtt(f) }
	}
	if a.json {
		if err := a.print(res, nil); err != nil {
			return err
		}
	} else if len(res.Offers) > 0 {
		err := printEach(a, res.Offers, "NODE\tPRINCIPAL\tCPU\tMEMORY\tDISK\tOUT"+column+"\tWHERE\tSOURCE", func(w io.Writer, f offer.Found) {
			o := &f.Offer
			free := o.FreeIn(lease.PoolCommons)
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s%s\t%s\t%s, %s old\n", o.Display(), o.Node.Short(), free[lease.CPU],
				lease.Memory.Format(free[lease.Memory]), lease.Disk.Format(free[lease.Disk]),
				lease.EgressRate.Format(free[lease.EgressRate]), way(f), where(o.Attributes), f.Source, left(max(int64(f.Age.Seconds()), 1)))
		})
		if err != nil {
			return err
		}
	}
	if explain || res.Matched == 0 {
		a.explain(res)
	} else if len(res.Offers) < res.Matched {
		a.say("%d of %d matches; all of them with a higher limit", len(res.Offers), res.Matched)
	}
	if res.Matched == 0 {
		return fail(exitNothing, res.Nearest, "no node matches, of %d known", res.Known)
	}
	return nil
}

// explain says of each constraint what it removed.
func (a *app) explain(res offer.Result) {
	a.say("%d known, %d match", res.Known, res.Matched)
	for _, r := range res.Removed {
		a.say("  %-28s removes %d (%d by itself)", r.Constraint, r.Count, r.Alone)
	}
}

// rtt is how far a node is: measured, or estimated from coordinates.
func rtt(f offer.Found) string {
	if f.RTT == 0 {
		return "-"
	}
	unit := time.Millisecond
	switch {
	case f.RTT < unit:
		unit = time.Microsecond
	case f.RTT < 10*unit:
		unit /= 10
	}
	s := f.RTT.Round(unit).String()
	if f.Estimated {
		return "~" + s
	}
	return s
}

func where(at offer.Attributes) string {
	var parts []string
	for _, s := range []string{at.Country, at.Region, at.City} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, " ")
}
