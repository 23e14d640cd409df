// SPDX-License-Identifier: Apache-2.0

// Package role says which management jobs of a node can be handed over, and to
// whom, without doing any of them.
//
// A [Role] is a job behind at most five calls. A call is a question, its answer
// a decision: only the node acts on it, after verifying it. A [Tenant] fills a
// role: what is built in, or a slice, some sliver of which dialled the node's
// socket. A [Succession] is the machine of one role on one node:
//
//	            Try              Promote, or the owner's rule
//	somebody ────────▶ challenger ───────────────────▶ incumbent
//	                    │ asked as well, answers        │ asked first; behind it the
//	                    │ compared and thrown away      │ earlier holders, then builtin
//	                    └──Drop──▶ nobody ◀──Demote─────┘
//
// A request goes to the incumbent; after an error, silence or absence to the next
// of the chain, within the same request. Who failed is passed over for a while,
// which doubles. Nobody's answer is given that was asked as a challenger.
//
//	s := role.New(role.Config{Role: role.Discovery(), Builtin: true})
//	s.Step(now, role.Ask{ID: 1, Call: "find", Own: true}) // → put 1 to builtin
//
// What was decided for good, who is tried and who holds the role, comes as facts,
// before all other effects of a step; [Succession.Restore] takes them back.
// [ParseReply] and its like read and write the lines that travel between a node
// and a tenant: docs/roles.
//
// A Succession is for one goroutine; everything else is a pure function.
package role
