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
