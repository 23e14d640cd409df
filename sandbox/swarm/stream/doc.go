// SPDX-License-Identifier: Apache-2.0

// Package stream carries pieces of blobs between nodes, over libp2p: a question and
// its answer are one stream of /croft/image/1.
//
// An [Exchange] serves what its [Store] holds for others, within a rate and a number
// of streams, and fetches what it does not hold as a swarm.Fetch decides:
//
//	x := stream.New(stream.Config{Host: h, Self: self, Store: store, Rate: 6.25e6})
//	err := x.Fetch(ctx, stream.Want{Digest: d, Size: size, Sums: sums, Named: nodes}, progress)
//
// A piece is judged before it is written, and counts once it is on disk. Connections
// through relays carry none. An Exchange is safe for concurrent use.
package stream
