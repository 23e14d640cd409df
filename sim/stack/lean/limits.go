// SPDX-License-Identifier: Apache-2.0

package lean

import "time"

const (
	// window bounds the bytes of one direction of a stream that were written and not
	// read: QUIC's receive window is as large once it has grown. More than one message
	// of any of our protocols, or a lock held across a write could stop virtual time.
	window = 4 << 20

	// piece is how much of a write travels as one.
	piece = 64 << 10

	// overhead is what a piece takes beside its bytes: IP, UDP, QUIC and its seal.
	overhead = 70

	// DialTimeout is how long a dial waits for a first answer, and IdleTimeout how long
	// a connection lives that hears nothing, both as QUIC in go-libp2p has them; keepAlive
	// is how often something is heard of a quiet one.
	DialTimeout = 5 * time.Second
	IdleTimeout = 30 * time.Second
	keepAlive   = 15 * time.Second

	// tick is what arrivals are rounded to. Virtual time stands still while anything is to
	// be done, so that only what arrives at one instant is done on several cores at once.
	tick = time.Millisecond

	// negotiateTimeout bounds the choice of a stream's protocol, as in a basic host.
	negotiateTimeout = 10 * time.Second

	// QuietFor is how long a connection lasts that Peers and Conns do not tell of and that
	// nothing goes over. Kademlia has a goroutine wait at each that was asked over.
	QuietFor = 10 * time.Second

	// maxStreams bounds the streams that one end of a connection has open, as QUIC's
	// limit in go-libp2p does.
	maxStreams = 256

	// sweepPeers is the number of peers in a peerstore at which what has lapsed goes.
	sweepPeers = 512
)
