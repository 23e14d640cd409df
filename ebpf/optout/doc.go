// SPDX-License-Identifier: Apache-2.0

// Package optout keeps the addresses that asked to be left alone: no sliver of
// any node sends to them.
//
// Whoever can complete a TCP handshake from an address speaks for it. Three
// nodes, of three sites and three networks, each sign an [Attestation] that they
// saw one; the three together are an [Entry], which everybody can check, and
// which ends by itself after at most seven days. Which nodes may attest for an
// address is not the asker's choice: networks are ranked by a hash of network,
// address and day, and the first eight count ([Chosen]). So who wants to silence
// somebody else's address needs nodes in the networks that the hash names.
//
// A [Set] holds the entries that this node accepts, in the bounds of limits.go:
//
//	effects := set.Step(now, optout.Known{Nodes: nodes})      // who may attest
//	effects = set.Step(now, optout.Received{Bytes: b, From: neighbour})
//	verdict := effects[0].(optout.Verdict)
//	guard.SetOptOut(ctx, set.Addrs())
//
// What differs between honest views is ignored, never held against the neighbour
// that passed it on; what is wrong for everybody is rejected.
//
// There is no clock and no goroutine here: time comes in with every input, and
// NextWake says when it matters next. A Set is not safe for concurrent use.
package optout
