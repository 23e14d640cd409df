// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/slice"
)

// maxAsked bounds how many nodes are asked when they are free.
const maxAsked = 256

func (a *app) when() *cobra.Command {
	var f runFlags
	var within time.Duration
	var limit int
	c := &cobra.Command{
		Use:   "when [flags]",
		Short: "Ask when nodes are free",
		Long: `Ask every node that matches when it would reserve such a share, and print the earliest
times at which enough of them would. Nothing is held: croft reserve takes it. Where
there is no such time, what each node would refuse it for is printed.`,
		Example: `  croft when -n 3 --for 2h
  croft when -n 2 --where 'country!=DE' --rset cpu=1000 --for 30m --within 48h`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if within < 0 || limit < 1 {
				return usage("such as --within 48h --limit 5", "--within %s and --limit %d leave nothing to look for", within, limit)
			}
			return a.whenFree(cmd.Context(), f, within, limit)
		},
	}
	c.Flags().IntVarP(&f.nodes, "nodes", "n", 1, "number of nodes")
	c.Flags().StringVar(&f.where, "where", "", "which nodes: a query (croft help find)")
	c.Flags().StringVar(&f.rset, "rset", "", "more, less or nothing of a resource: cpu=500,memory=256MiB,disk=0")
	c.Flags().DurationVar(&f.term, "for", time.Hour, "for how long")
	c.Flags().DurationVar(&within, "within", 7*24*time.Hour, "how far ahead to look")
	c.Flags().IntVar(&limit, "limit", 5, "how many times to print")
	c.Flags().BoolVar(&f.alone, "exclusive", false, "nobody else is to be in the nodes' pools meanwhile")
	c.Flags().StringVar(&f.pool, "pool", string(lease.PoolCalendar), "pool to reserve from")
	c.Flags().StringVar(&f.view, "view", "on", "off: discover by the DHT alone")
	return c
}

func (a *app) whenFree(ctx context.Context, f runFlags, within time.Duration, limit int) error {
	now := time.Now()
	if err := checkQuery(f.where); err != nil {
		return err
	}
	wish, err := f.wish(now, nil)
	if err != nil {
		return err
	}
	key, err := a.asking()
	if err != nil {
		return err
	}
	res, err := a.seek(ctx, offer.FindRequest{Query: narrowed(f.where, "pool="+f.pool), View: f.view != "off", Enough: maxAsked})
	if err != nil {
		return err
	}
	if res.Matched == 0 {
		a.explain(res)
		return fail(exitNothing, res.Nearest, "no node matches, of %d known", res.Known)
	}
	length := int64(f.term.Seconds())
	req := api.VacancyRequest{Pool: f.pool, RSet: wish.RSet, Exclusive: f.alone, Length: length,
		From: now.Unix(), Until: now.Add(within).Unix()}
	found := res.Offers[:min(len(res.Offers), maxAsked)]
	free := make([]slice.Vacant, len(found))
	out := make([]outcome, len(found))
	no := make([]*api.Refusal, len(found))
	slots := make(chan struct{}, groupLimit)
	var wg sync.WaitGroup
	for i, o := range found {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, callLimit)
			defer cancel()
			n := a.way().Node(o.Offer.Node, key)
			defer n.Close()
			said, err := n.Vacancies(ctx, req)
			free[i] = slice.Vacant{Name: o.Offer.Display(), Windows: said.Windows}
			out[i], no[i] = outcome{o.Offer.Display(), err}, said.Refusal
		})
	}
	wg.Wait()
	answered := 0
	for _, o := range out { // who does not answer is not free, as far as we know
		if o.err != nil {
			a.say("%s: %s", o.name, plain(o.err))
			continue
		}
		answered++
	}
	openings := slice.Together(f.nodes, length, free)
	if len(openings) == 0 {
		for _, line := range whyNot(free, no) {
			a.say("%s", line)
		}
		return fail(exitNothing, "fewer nodes, a smaller --rset, a shorter --for or a longer --within", "%s for %s within %s (%d answered)",
			together(f.nodes), short(f.term), short(within), answered)
	}
	openings = openings[:min(len(openings), limit)]
	err = printEach(a, openings, "BEGIN FROM\tTO\tNODES", func(w io.Writer, o slice.Opening) {
		fmt.Fprintf(w, "%s\t%s\t%s\n", dateTime(o.From), dateTime(o.Last), strings.Join(o.Nodes, " "))
	})
	if err != nil {
		return err
	}
	a.say("next: %s", f.reserveLine(openings[0].From))
	return nil
}

// maxWhy bounds the reasons that are printed.
const maxWhy = 8

// whyNot says which nodes have no room, and why: those with one reason in one
// line, in the order in which they were found.
func whyNot(free []slice.Vacant, no []*api.Refusal) (lines []string) {
	nodes, why := map[string][]string{}, []string{}
	for i, r := range no {
		if r == nil {
			continue
		}
		text := r.Error()
		if nodes[text] == nil {
			why = append(why, text)
		}
		nodes[text] = append(nodes[text], free[i].Name)
	}
	for _, text := range why[:min(len(why), maxWhy)] {
		names := nodes[text]
		line := strings.Join(names[:min(len(names), maxWhy)], " ")
		if more := len(names) - maxWhy; more > 0 {
			line += fmt.Sprintf(" and %d more", more)
		}
		lines = append(lines, line+": "+text)
	}
	if more := len(why) - maxWhy; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more reasons", more))
	}
	return lines
}

func together(n int) string {
	if n == 1 {
		return "no such node is free"
	}
	return fmt.Sprintf("%d such nodes are not free together", n)
}

// reserveLine is the command that takes what was asked for. What is free at once
// needs no --at, which would be past when the line is typed.
func (f runFlags) reserveLine(from int64) string {
	line := fmt.Sprintf("croft reserve -n %d", f.nodes)
	if time.Until(time.Unix(from, 0)) > 0 {
		line += fmt.Sprintf(" --at '%s'", time.Unix(from, 0).Local().Format("2006-01-02 15:04:05"))
	}
	line += " --for " + short(f.term)
	if f.where != "" {
		line += " --where '" + strings.ReplaceAll(f.where, "'", `'\''`) + "'"
	}
	if f.rset != "" {
		line += " --rset '" + strings.ReplaceAll(f.rset, "'", `'\''`) + "'"
	}
	if f.pool != string(lease.PoolCalendar) {
		line += " --pool " + f.pool
	}
	if f.alone {
		line += " --exclusive"
	}
	return line
}

// short prints a span as people type it: 1h, not 1h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
