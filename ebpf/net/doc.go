// SPDX-License-Identifier: Apache-2.0

// Package net is the plumbing of a node's slivers: namespaces, veths, routes,
// address translation and the queues that shape a lease's rates. It decides
// nothing; which packets may pass is the guard's business (package ebpf).
//
//		 sliver's namespace         node's namespace              the daemon's namespace
//		 croft-<tag>-<place>        croft-<tag>                   ("the host")
//		┌──────────────────┐      ┌────────────────────────┐     ┌───────────────────────┐
//		│ eth0 198.19.x.y ─┼─veth─┼─ cs<place>             │     │                       │
//		└──────────────────┘      │   │ guard ─> ifb (HTB) │     │                       │
//		                          │   └ SNAT to its block ─┼─up──┼─ cr-<tag> masquerade ─┼─> world
//		                          └────────────────────────┘     └───────────────────────┘
//
//	  - A sliver leaves through a block of source ports that is its alone, and the
//	    host's masquerade keeps that port or drops the packet: who sent a packet
//	    is seen from outside by the port.
//	  - In comes what answers, and what goes to a public port that is leased.
//	  - From a sliver, shaping is on one IFB of the node, in the class that the
//	    guard sets as skb->priority; towards it, on the veth's host end.
//	  - Nothing is kept outside the kernel: Open and Add find what an earlier
//	    daemon left and repair it, and Destroy removes it in any state.
//
// In the host this package touches: the uplink cr-<tag>; one nft table
// croft-<tag> (see hostRules, which counts and explains its rules); and the
// per-interface forwarding switch of the uplink and of the interfaces with a
// default route. What it switched on is noted in the uplink's alias before, and
// switched off by Destroy.
//
//	n, err := slivernet.Open(ctx, slivernet.Config{Tag: tag})
//	at, err := n.Add(ctx, slivernet.Sliver{Name: name, Place: 3, Egress: 10e6})
//	err = guard.Attach(ctx, at.Guard, ebpf.Compile(lease, at.Addresses, ebpf.Conditions{Deadline: deadline}))
//	err = n.Up(ctx, name)
//
// All methods of [Network] may be called at once. One process at a time owns a tag.
package net
