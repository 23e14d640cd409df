// SPDX-License-Identifier: Apache-2.0

// Package binomial sells the units of one node more often than there are, and sees
// how often somebody is refused: real tickets, passed on by real purses, are redeemed
// at a real ledger, and what comes of it is held against the law.
//
// An agent has K units at some degree and gives degree × K tickets of one unit. In
// each trial every holder redeems with probability p, in random order. How many do is
// binomial, so the law of three figures is known exactly: the probability that
// anybody is refused, the share of the redeems that is, and the share of the units
// that is leased.
//
//	r, err := binomial.Run(binomial.Config{Units: 10, Degree: 150, Redeem: 0.5, Trials: 400, Seed: 1})
//	fmt.Println(r.Used(), r.Law().Used(), r.Sigma())
//
// The same configuration gives the same trials. Nothing is shared between two runs.
package binomial
