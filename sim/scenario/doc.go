// SPDX-License-Identifier: Apache-2.0

// Package scenario is the language in which an experiment is written down: who
// joins, what happens when, and what must come of it. The same file is for every
// world, and a world refuses by name what it cannot do before it starts.
//
//	nodes 1000 profile=planetlab
//	join wave=50 every=1s
//	at 2m  slice ron nodes=250 where="cpu>=500" spread=site term=1h
//	at 5m  fault partition region=eu for=60s
//	expect delivery p99 <= 2s
//	expect safety                # the invariants of leases
//
// One command a line, # begins a comment. [Parse] returns every mistake with its
// line, its column and what was expected there. [Scenario.String] prints a form
// that parses to the same scenario: a failing run becomes a regression test by
// writing that down with the seed.
//
// Everything here is a pure value, safe for concurrent use while nobody writes.
package scenario
