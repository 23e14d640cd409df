// SPDX-License-Identifier: Apache-2.0

package wire

import "time"

const (
	// PipesPerPeer bounds the pipes that one way in may have open to us: it
	// speaks for many people, each with a handful of requests at once.
	PipesPerPeer = 64

	// PipesTotal bounds all pipes into a node. A pipe that waits costs about
	// 100 KiB of buffers and two goroutines.
	PipesTotal = 512

	// HandshakeTimeout bounds how long a pipe may be unproved: three messages
	// over half the world with lost packets, no more.
	HandshakeTimeout = 10 * time.Second

	// pulseTimeout is how long a connection may owe a ping: ten times around the
	// world, so that one lost packet sent again is no death.
	pulseTimeout = 3 * time.Second

	// DefaultConnections is how many connections a host keeps, unless told: a tenth
	// of what the table of a cheap home router holds. LeastConnections are enough
	// for the mesh of each topic and a few contacts for routing.
	DefaultConnections = 160
	LeastConnections   = 32
	MostConnections    = 4096

	// relaysWanted is by how many relays a node behind NAT is reached: when one
	// goes, the other is there. relayEvery is the least time between two searches
	// for more, relayBackoff how long one that refused is not asked again.
	relaysWanted = 2
	relayEvery   = 5 * time.Second
	relayBackoff = 5 * time.Minute

	// punchLimit is for one try to connect directly to whom a relay led: what does
	// not work in that time over half the world does not work. punchWait is how
	// long a new pipe waits for it before it goes through the relay.
	punchLimit = 5 * time.Second
	punchWait  = 3 * time.Second

	// circuitTime and circuitBytes (each way) bound one relayed connection: control
	// and a program now and then. circuitsPerPeer are those of one node at once.
	circuitTime     = time.Hour
	circuitBytes    = 64 << 20
	circuitsPerPeer = 32

	// MostRelayed is the number of nodes that one relay may carry for.
	MostRelayed = 1024

	// reservationTime is how long a relay keeps a place for a node that does not
	// ask again.
	reservationTime = 30 * time.Minute

	// reservationsPerIP: a household, not a whole carrier's address.
	reservationsPerIP = 8

	// relayBuffer and relayBurst, in bytes: what is read from a circuit at a time,
	// and what passes at once before the rate holds.
	relayBuffer = 16 << 10
	relayBurst  = 1 << 20

	// maxObservers is of how many others' word on our address is kept, the latest.
	maxObservers = 32

	// IdleTimeout ends a pipe on which nothing moves in either direction.
	IdleTimeout = 10 * time.Minute

	// NoIdle is for pipes of people who may wait: a log that says nothing for a
	// day is still followed. What bounds an idle pipe there is its target, which
	// drops a channel on which nothing is asked, and the transport, which finds
	// out when the other side is gone.
	NoIdle = time.Duration(-1)

	// overlayMemory (bytes) and overlayFiles (file descriptors) are what libp2p may
	// take of the machine: slivers and their owner need the rest.
	overlayMemory = 256 << 20
	overlayFiles  = 1024

	// closeTimeout bounds how long Close waits to mark the end.
	closeTimeout = 2 * time.Second

	// maxPiece is the number of payload bytes in one piece of a channel. With
	// its two-byte head and the MAC it fits into one Noise message.
	maxPiece = 16 << 10

	// maxMetered is the number of protocols that bytes are counted by: a host speaks
	// some twenty.
	maxMetered = 64

	// backlog is the number of proved channels that wait for Accept; further
	// ones wait inside their own bound, PipesTotal.
	backlog = 16
)
