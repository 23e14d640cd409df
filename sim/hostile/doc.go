// SPDX-License-Identifier: Apache-2.0

// Package hostile is nodes that break the rules, each a core of its own that takes
// the place of an honest one. It has the wire and nothing else: it gets what is sent
// to its node, sends what it likes to whom it likes, and signs with keys of its own.
// What it knew before it turned, who its neighbours are and whose tickets it holds
// comes with [Config]; its accomplices are a [Gang], which shares what they know and
// the keys that they made up.
//
//	core := hostile.New(hostile.Config{Kind: hostile.Equivocate, …})
//	effects := core.Step(now, hostile.Heard{From: neighbour, Topic: hostile.Offers, Bytes: b})
//
// Where a kind has no manner of its own, it does as others do, so that nobody
// drops it for anything but what it is about:
//
//	overissue     grants every wish, and promises out of its tickets twice what they hold
//	false-offers  offers ten times what it has, elsewhere, and lies about distances
//	equivocate    tells one half of its neighbours something else than the other
//	replay        says again what it once heard, offers, suspicions and wishes of others
//	flood         garbage, offers of made-up nodes, pulls and registrations without end
//	eclipse       stands near keys and in meshes with many ids, and keeps everything back
//
// Nothing here reads a clock or draws without a seed. A Gang and its cores are for
// one goroutine.
package hostile
