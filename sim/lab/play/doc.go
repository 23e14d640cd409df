// SPDX-License-Identifier: Apache-2.0

// Package play plays a scenario with real daemons: each a process in a network
// namespace of its own (package lab), at the places of the scenario's profile, in
// real time. It is the third world beside the simulated ones, in which nothing is
// modelled but distance.
//
//	report, err := play.Run(ctx, scn, play.Options{Lab: lab.Config{Croft: "/usr/bin/croft", …}})
//
// A slice is begun, renewed and stopped, and speaks, by the binary itself, as
// people would. Everything is measured from outside: who knows which offer is asked of
// each node's socket again and again, bytes are counted by its network card, and
// at the end the journals are held against package oracle. What a lab cannot do
// is refused by name before anything is made ([report.ErrCannot]); the root that
// it needs is asked for by package lab.
//
// Run uses goroutines of its own and returns when all have ended and nothing of
// the lab is left.
package play
