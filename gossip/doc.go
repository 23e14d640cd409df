// SPDX-License-Identifier: Apache-2.0

// Package gossip decides what a node believes of the others and what it passes
// on. It tells and never decides about leases: with no gossip at all a node
// grants, keeps and ends leases right.
//
// A [View] holds the newest offer of each node: soft state with an expiry and a
// cap. Every message gets a verdict. Reject is for what is wrong for every
// honest node at any time, because it punishes whoever forwarded it; what is
// merely stale, early, superseded or too frequent is ignored, and counted.
// Two offers of one node under one sequence are an equivocation: the second is
// ignored and both are kept as evidence.
//
// [Pace] says when a node publishes: after a change of a tenth of anything, at
// most once in ten seconds, and every five minutes without any change. [Load] is
// what the overlay costs, and stretches these periods to keep it within a budget.
//
//	effects := view.Step(now, gossip.Received{Bytes: b, From: peer})
//	verdict := effects[0].(gossip.Verdict)
//
// A [Notice] says that a lease began or ended, and never whose. Nobody keeps it.
// [Intake] bounds what one neighbour can have all others look at and send.
//
// A [Proofs] keeps the proofs of broken promises. Each is verified before it is
// passed on, which is dear: what a stranger can make a node verify is bounded.
//
// What was missed is repaired by pull: a [PullRequest] carries a digest of the
// view, the [PullPage] that answers it names what differs, and [Pull] asks for what
// is newer. [Sources] holds the answers against one another, and has neighbours that
// leave offers out be asked last. [ProofPull] and [ProofPage] are for proofs.
//
// There is no clock and no goroutine here: time comes in with every input, and
// NextWake says when it matters next. No machine is safe for concurrent use.
package gossip
