// SPDX-License-Identifier: Apache-2.0

// Package policy reads what a node's owner wants and works out what that means
// for one machine: how much is leased at all, in which pools, by which
// mechanism, to whom, and what peers are always given.
//
// A policy is a TOML text. Reading it ([Read]) finds every mistake with line and
// column; compiling it ([Base.Compile]) resolves names, shares and defaults, and
// joins the community policies that the owner follows:
//
//	own, err := policy.Read("policy.toml", text)
//	doc, err := policy.Open(signed)                      // a community's
//	p, err := policy.NewBase(measured).Compile(own, doc.Source)
//	ledger.Step(now, lease.Rules{Pools: p.Rules(), Refused: p.Barred(), …})
//
// For each setting the first text that makes it wins: the owner's, then the
// followed ones in the order of listing, then the defaults. A followed policy can
// only fill what the owner leaves open, so it never makes the owner's invalid.
// The sums of the pools never exceed the capacity, whatever is accepted.
//
// Everything here is values: nothing is kept, no file is read, no clock is
// looked at. A Source and a Policy do not change and may be shared.
package policy
