// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/role"
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
			req := offer.FindRequest{Query: strings.Join(args, " "), View: view == "on", Explain: explain}
			q, err := readQuery(req.Query)
			if err != nil {
				return err
			}
			res, err := a.printFound(cmd.Context(), req, q)
			if err != nil {
				return err
			}
			return a.endOfFound(res, explain)
		},
	}
	c.Flags().StringVar(&view, "view", "on", "on: what gossip brought first; off: the DHT alone")
	c.Flags().BoolVar(&explain, "explain", false, "say how many nodes each constraint removed")
	return c
}

// printFound prints nodes: as they are found, unless an order, or --json, wants all at
// once.
func (a *app) printFound(ctx context.Context, req offer.FindRequest, q offer.Query) (offer.Result, error) {
	if a.json {
		res, err := a.way().Find(ctx, req)
		if err != nil {
			return res, err
		}
		return res, a.print(res, nil)
	}
	if q.Ordered() {
		res, err := a.way().Find(ctx, req)
		if err != nil {
			return res, err
		}
		head, way := slices.Clone(foundHead), q.AsksRTT()
		if way {
			head = slices.Insert(head, whereColumn, "RTT")
		}
		return res, printEach(a, res.Offers, strings.Join(head, "\t"), func(w io.Writer, f offer.Found) {
			row := foundRow(f)
			if way {
				row = slices.Insert(row, whereColumn, rtt(f))
			}
			fmt.Fprintln(w, strings.Join(row, "\t"))
		})
	}
	t := growing{to: a.out, wide: []int{14, 9, 5, 7, 7, 7, 20, 0}}
	told := 0
	res, err := a.way().Seek(ctx, req, func(f offer.Found) error {
		if told++; told == 1 {
			if err := t.row(foundHead); err != nil {
				return err
			}
		}
		return t.row(foundRow(f))
	})
	res.Offers = make([]offer.Found, told) // only their number matters from here on
	return res, err
}

const whereColumn = 6

var foundHead = []string{"NODE", "PRINCIPAL", "CPU", "MEMORY", "DISK", "OUT", "WHERE", "SOURCE"}

func foundRow(f offer.Found) []string {
	o := &f.Offer
	free := o.FreeIn(lease.PoolCommons)
	return []string{o.Display(), o.Node.Short(), strconv.FormatUint(free[lease.CPU], 10), lease.Memory.Format(free[lease.Memory]),
		lease.Disk.Format(free[lease.Disk]), lease.EgressRate.Format(free[lease.EgressRate]), where(o.Attributes),
		fmt.Sprintf("%s, %s old", f.Source, left(max(int64(f.Age.Seconds()), 1)))}
}

// seek asks the way in, and turns a bad query into a usage error.
func (a *app) seek(ctx context.Context, req offer.FindRequest) (offer.Result, error) {
	if _, err := readQuery(req.Query); err != nil {
		return offer.Result{}, err
	}
	return a.way().Find(ctx, req)
}

func readQuery(query string) (offer.Query, error) {
	q, err := offer.ParseQuery(query)
	var at *offer.ParseError
	switch {
	case errors.As(err, &at):
		return q, usage(caret(query, at.Column), "%w", err)
	case err != nil:
		return q, usage("`croft help find` has the language", "%w", err)
	}
	return q, nil
}

// checkQuery is readQuery for who has more to add to the query.
func checkQuery(query string) error {
	_, err := readQuery(query)
	return err
}

// caret shows where in a query the mistake is.
func caret(query string, column int) string {
	return query + "\n             " + strings.Repeat(" ", max(column-1, 0)) + "^"
}

// endOfFound says what there is besides what was printed, and why.
func (a *app) endOfFound(res offer.Result, explain bool) error {
	if res.Instead != "" {
		a.say("%s: %s answered instead", printable(res.Instead), role.Tenant(res.Tenant).Short())
	} else if t := role.Tenant(res.Tenant); t != role.Builtin && t != "" && !a.json {
		a.say("answered by %s", t.Short())
	}
	if explain || res.Matched == 0 {
		a.explain(res)
	} else if res.More {
		a.say("the first %d; more with a higher limit", len(res.Offers))
	} else if len(res.Offers) < res.Matched {
		a.say("%d of %d matches; all of them with a higher limit", len(res.Offers), res.Matched)
	}
	if res.Missed != "" {
		a.say("there may be more: %s", res.Missed)
	}
	if explain && res.Matched > 0 && res.Nearest != "" {
		a.say("%s", res.Nearest)
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
