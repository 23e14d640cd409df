// SPDX-License-Identifier: Apache-2.0

// Package agent is a site's online hand: it holds tickets on the nodes of its own
// site and of its peers, splits them for its people as they ask, passes a share of
// its own on to its peers, and keeps an account of who gave how much to whom.
//
// An agent has a key of its own and owns no machine. Nodes give it tickets by
// their policy; the purse (package lease/purse) says what may still be signed
// under them, and signs. With the degree that the node granted, more is promised
// than there is: what is free anywhere can be used by anybody's people, also when
// its agent is dead; at times a node refuses, and the person is sent elsewhere.
//
//	a := agent.New(cfg, purse)
//	for _, e := range a.Step(now, agent.Wish{Ref: 1, By: ann, RSet: r, Term: t}) {
//		switch e := e.(type) {
//		case agent.Fetch:   // ask a node for what it gives; tell Came or Failed
//		case agent.Sign:    // have the purse do it, durably; tell Signed or Declined
//		case agent.Deliver: // bring a ticket to a peer
//		case agent.Answer:  // to who asked
//		}
//	}
//
// Nothing is remembered but the account: what was signed is in the purse, and the
// agent reads it there. So an agent may be stopped, or die, at any time. It is a
// machine: no clock, no goroutine; not safe for concurrent use.
package agent
