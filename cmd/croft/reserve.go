// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/slice"
)

func (a *app) reserve() *cobra.Command {
	var f runFlags
	var at string
	c := &cobra.Command{
		Use:   "reserve [flags]",
		Short: "Lease shares of nodes for a time to come",
		Long: `Find nodes and reserve a share of each for a time to come: all of them, or none.
The leases wait for the term to begin and some minutes longer; croft run
--reservation NAME then has a program run on them. croft when says when nodes are free.`,
		Example: `  croft when -n 3 --for 2h
  croft reserve -n 3 --at 18:30 --for 2h --name evening
  croft reserve --exclusive --at '2026-05-04 09:00' --for 1h
  croft run --reservation evening ./probe`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.pool == string(lease.PoolSharp) || f.pool == string(lease.PoolShare) {
				return usage("croft run --ticket, croft run --weight", "pool %s reserves nothing", f.pool)
			}
			if f.bid != "" && !cmd.Flags().Changed("pool") {
				return usage("a pool of nodes whose owners have it allotted", "--bid needs --pool")
			}
			return a.reserveSlice(cmd.Context(), f, at)
		},
	}
	c.Flags().IntVarP(&f.nodes, "nodes", "n", 1, "number of nodes")
	c.Flags().StringVar(&f.where, "where", "", "which nodes: a query (croft help find)")
	c.Flags().StringVar(&f.limits, "cap", "", "rate and packets, each way: 5mbit,2kpps; down/up: 5mbit/1mbit")
	c.Flags().StringVar(&f.rset, "rset", "", "more, less or nothing of a resource: cpu=500,memory=256MiB,disk=0")
	c.Flags().Uint16Var(&f.fanOut, "fan-out", 0, "to how many distinct addresses a sliver may open flows in a minute (1 to 1024; default: the node's, or the ticket's)")
	c.Flags().StringVar(&f.name, "name", "", "the slice's name (default: s- and 4 hex digits)")
	c.Flags().StringVar(&at, "at", "now", "when it begins: +2h, 18:30, '2026-05-04 09:00'")
	c.Flags().DurationVar(&f.term, "for", time.Hour, "how long")
	c.Flags().BoolVar(&f.alone, "exclusive", false, "nobody else is to be in the nodes' pools meanwhile")
	c.Flags().StringVar(&f.pool, "pool", string(lease.PoolCalendar), "pool to reserve from")
	c.Flags().StringVar(&f.bid, "bid", "", "what to say to who allots --pool, such as a price: up to 200 bytes, signed with the ask")
	c.Flags().StringArrayVar(&f.ports, "port", nil, "public port to forward: 5201/tcp, 8080:80/tcp (may be repeated)")
	c.Flags().BoolVar(&f.partial, "partial", false, "fewer nodes are better than none")
	c.Flags().StringVar(&f.view, "view", "on", "off: discover by the DHT alone")
	return c
}

func (a *app) reserveSlice(ctx context.Context, f runFlags, at string) error {
	now := time.Now()
	if err := checkQuery(f.where); err != nil {
		return err
	}
	from, err := parseAt(at, now)
	if err != nil {
		return err
	}
	if from.Before(now.Add(-time.Minute)) {
		return usage("", "--at %s is past", dateTime(from.Unix()))
	}
	wish, err := f.wish(from, nil)
	if err != nil {
		return err
	}
	label, err := a.newLabel(f.name, now)
	if err != nil {
		return err
	}
	key, err := a.mine()
	if err != nil {
		return err
	}
	plan := slice.Plan{Label: label, Want: f.nodes, Partial: f.partial, Wish: wish, Reserve: true}
	if err := a.seekCandidates(ctx, f, &plan); err != nil {
		return err
	}
	m, err := slice.New(plan, key, rand.Reader)
	if err != nil {
		return usage("", "%w", err)
	}
	done, err := a.driver(target{key: key}, nil).drive(ctx, m)
	if err != nil {
		return err
	}
	a.whys(done)
	if len(done.Record.Slivers) > 0 {
		err := a.print(done.Record, func(w io.Writer) {
			for _, s := range done.Record.Slivers {
				fmt.Fprintf(w, "%s\t%s\tfrom %s\tuntil %s\n", label, s.Name, dateTime(s.From), dateTime(s.Until))
			}
		})
		if err != nil {
			return err
		}
		a.say("next, from %s on: croft run --reservation %s PROGRAM", dateTime(wish.Term.From), label)
	}
	return outcomeError("reserving slice "+label, done)
}

// launch has a program run on what was reserved.
func (a *app) launch(ctx context.Context, f runFlags, args []string) error {
	rec, err := a.slice(f.reservation)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, s := range rec.Slivers {
		switch {
		case s.From > now.Unix():
			return fail(exitNothing, "come back then", "slice %s begins on %s at %s", rec.Slice, s.Name, dateTime(s.From))
		case s.Until <= now.Unix():
			return fail(exitNothing, "", "slice %s ended on %s at %s", rec.Slice, s.Name, dateTime(s.Until))
		}
	}
	p, err := openProgram(args[0], args[1:])
	if err != nil {
		return err
	}
	defer p.close()
	p.private = f.private
	text, err := json.Marshal(p.Program)
	if err != nil {
		return err
	}
	key, err := a.mine()
	if err != nil {
		return err
	}
	m, err := slice.NewLaunch(rec, text, f.partial, key)
	if err != nil {
		return usage("", "%w", err)
	}
	d := a.driver(target{key: key}, p)
	d.began = now
	done, err := d.drive(ctx, m)
	if err != nil {
		return err
	}
	return a.ran(done, p.Program)
}
