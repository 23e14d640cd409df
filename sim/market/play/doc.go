// SPDX-License-Identifier: Apache-2.0

// Package play plays a scenario of trials, which has no network, and reports it in
// the words of every other world: tickets against the binomial law, agents that die,
// demand that grows towards a deadline.
//
//	r, err := play.Run(ctx, s, play.Options{})
//
// Every statement is signed and checked, and every lease is granted by a real ledger;
// nothing between them takes time or gets lost. The same scenario and seed give the
// same history, a line a case. Run may be called from several goroutines.
package play
