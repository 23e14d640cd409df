// SPDX-License-Identifier: Apache-2.0

// Package stack is the second world: scenarios played by whole daemons, in virtual
// time. Each node is one of package node/daemon on the real kad-dht and GossipSub,
// with our own protocols on them, and each slice is had as `croft run` has it, over
// Noise channels. Only what is below is replaced: the libp2p host ([lean]), the
// sandbox, the kernel's guard, and the disk below the journal.
//
//	stack.Enter(func() int {
//		report, err := stack.Run(ctx, scn, stack.Options{Dir: dir})
//		…
//		return 0
//	})
//
// Time is that of a testing/synctest bubble, which [Enter] makes in an ordinary
// program, and a test by itself. A run does not repeat itself: goroutines and maps
// have an order of their own. What is to be expected of aggregates is about one part
// in a hundred; exact replay is package world's.
//
// Run is called once in a bubble. docs/simulation.md says what is modelled.
package stack
