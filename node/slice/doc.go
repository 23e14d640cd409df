// SPDX-License-Identifier: Apache-2.0

// Package slice is the researcher's side of a slice: pure machines that hold,
// commit, activate and watch what was found, and that renew and stop what runs.
// They do no I/O: an owner feeds them what nodes answered and does what they return.
//
//	            candidates, in order of liking
//	ask N ──────▶ held? ──no──▶ ask the next
//	                │ N holds in hand
//	commit N ───▶ leased? ─no─▶ close everything: "held but none kept"
//	                │ all N
//	keep the record; only now
//	activate N ─▶ running? ─no▶ close everything
//	                │ all N
//	              done
//
// A gang is all or nothing without anybody in the middle: a hold falls by its
// node's clock unless committed, a lease unless activated, and nothing is
// activated before everything is committed. So a researcher who dies at any
// moment leaves nothing running that was not whole. With Plan.Partial what can be
// had is kept. Every hold and lease is verified against what was asked before
// it counts.
//
//	run, err := slice.New(plan, key, rand.Reader)
//	for _, effect := range run.Step(now, slice.Start{}) { … }
//
// A candidate with a ticket is not asked but redeemed from: the machine says what
// to draw ([DrawTicket]), the purse signs and remembers it, and the redeem goes
// out under its chain ([AskHold]). A renewal draws in the slot of the lease that
// it replaces.
//
// [Run], [Renewal] and [Stop] have the shape of every core: Step and NextWake.
// They are not safe for concurrent use.
package slice
