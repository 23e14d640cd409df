// SPDX-License-Identifier: Apache-2.0

// Package swarm decides from whom a node fetches which piece of a blob, so that
// many nodes do not pull from one uplink.
//
// A blob is cut into pieces of [PieceSize] bytes, the same for everybody. Its
// [Sums], SHA-256 of each, let a piece be judged on its own, and so be passed on
// before the rest has come. They come from whoever wants the blob run, or are a
// holder's word; what counts in the end is the digest of the whole.
//
//	named ──ask──▶ asked ──told──▶ holder ──pull──▶ … ──all pieces──▶ Whole
//	  ▲               │ no, busy, silent │ line broke
//	  └──── rests ◀───┴──────────────────┘      lied: out for good
//
// A [Fetch] is the machine of one blob on one node. It asks at most [MaxHolders] at
// once, takes the rarest pieces first, and asks another for a piece that is late:
//
//	f := swarm.New(swarm.Config{Digest: d, Size: size, Sums: sums})
//	f.Step(now, swarm.Named{Nodes: holders}) // → ask 3kq… · ask 7fa…
//
// Who lies is found at once where the sums come from whoever wants the blob. Where
// they are a holder's word, bytes that contradict them make their sender rest, and
// if all that they describe turns out to be another blob, it is that holder who lied.
//
// A Fetch is for one goroutine; everything else is a pure function. The adapter is
// package stream.
package swarm
