// SPDX-License-Identifier: Apache-2.0

// Package kad routes by Kademlia: it wraps kad-dht on Croft's own protocol
// prefix, to find peers and to keep slice records: of each slice the newest
// that its owner signed. Other values and provider records are switched off; what
// else is kept at the peers closest to a key is the business of dht/index.
//
//	d, err := kad.New(host, kad.Config{Server: true})
//	n, err := d.Join(ctx, remembered, given)
//	peers, err := d.Closest(ctx, key[:], 8)
//	peers, cut, err = d.Homes(ctx, key[:], 8, peers)
//	record, err := d.Record(ctx, owner, "web")
//
// Walks are those of [dht.Lookup], over disjoint paths, with kad-dht's messages and
// routing table. No walk waits for a peer that is silent, nor for dialling one:
// requests go on in the background, bounded and counted (Stats), and what they show
// is learned when they end.
//
// A full node answers others (Server); a visitor only asks. The host is the
// caller's, here it is neither made nor closed. Methods are safe for concurrent
// use.
package kad
