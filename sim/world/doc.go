// SPDX-License-Identifier: Apache-2.0

// Package world plays a scenario with the pure machines of Croft on one event
// loop, in virtual time: node.Core with its ledger and lifecycle, gossip.View and
// gossip.Pace, and node/slice, every statement signed and checked for real.
//
// Around them are models: wires with the distances of a profile, a mesh of random
// neighbours, a sandbox that starts and ends slivers and keeps their deadlines
// without the daemon, and a disk that loses what was not synced, cut at any byte.
//
//	s, err := scenario.Parse(text)
//	report, err := world.Run(ctx, s, world.Options{})
//
// The same scenario and seed give the same history, event by event: its SHA-256
// over every printed input and effect is in the report. After every step of a
// node package oracle holds its ledger to what it signed; every thousand steps all
// nodes are looked at. docs/simulation.md says what is left out; what a world
// cannot do it refuses before it starts ([ErrCannot]).
//
// A run uses one goroutine, the caller's.
package world
