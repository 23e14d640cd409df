// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"croft/sim/market"
)

// An hour among four sites; one agent dies at minute 20. The rounds are seeds of
// what users want, the same for each degree.
const (
	hours = 5
	death = 20 * time.Minute
)

// agents plays hours in virtual time: how many of the wishes after the death are
// served when agents promise no more than there is, and when they promise more.
func (b *bench) agents(ctx context.Context) error {
	degrees := []uint16{100, 125, 150, 200}
	n := hours
	if b.quick {
		n = 1
	}
	results := make([][]market.Result, len(degrees))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2) // nothing is timed
	for i, degree := range degrees {
		results[i] = make([]market.Result, n)
		for seed := range n {
			g.Go(func() (err error) {
				if err := ctx.Err(); err != nil {
					return err
				}
				results[i][seed], err = market.Run(market.Config{Degree: degree, Seed: uint64(seed) + 1, Death: death, Dead: 1})
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("playing an hour: %w", err)
	}
	share := func(i int, of func(market.Result) float64) (s sample) {
		for _, r := range results[i] {
			s = append(s, 100*of(r))
		}
		return s
	}
	after := func(r market.Result) float64 { return r.After.Share() }
	before := func(r market.Result) float64 { return r.Before.Share() }
	orphan := func(r market.Result) float64 { return r.Orphan.Share() }
	refused := func(r market.Result) float64 {
		return float64(r.Whole.Refused["oversubscribed"]) / float64(r.Whole.Wishes)
	}
	used := func(r market.Result) float64 { return r.Used }
	b.add(plain("agents: wishes served before one dies, degree 100", "%", share(0, before), nil,
		"4 sites of 10 machines, 0.8 of them wished for at random, one hour of virtual time; the first of four agents dies at minute 20"))
	b.add(plain("  after it, degree 100", "%", share(0, after), nil, ""))
	for i, degree := range degrees[1:] {
		i++
		var g *goal
		if degree == 150 {
			g = atLeast(1.05)
		}
		note := ""
		if i == 1 {
			note = "oversubscribed: the user asked again for another node, up to four"
		}
		b.add(against(fmt.Sprintf("  after it, degree %d", degree), "%", share(i, after), "100", share(0, after), g, ""))
		b.add(against("    of the dead agent's users", "%", share(i, orphan), "100", share(0, orphan), nil, ""))
		b.add(plain("    refused by a node, per wish", "%", share(i, refused), nil, note))
		b.add(against("    leased of all there is", "%", share(i, used), "100", share(0, used), nil, ""))
	}
	return nil
}
