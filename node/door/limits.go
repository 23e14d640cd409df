// SPDX-License-Identifier: Apache-2.0

package door

import "time"

// Bounds on what a sliver can make the node hold or do through its socket.
const (
	// maxConns is the number of connections of one sliver: one for each role that it
	// may serve, and some to ask by.
	maxConns = 8

	// maxOpen is the number of connections of all slivers: each holds two buffers of a
	// line, 64 MiB together.
	maxOpen = 512

	// acceptPause is how long a door rests after it could not take a connection in,
	// mostly for want of descriptors.
	acceptPause = 100 * time.Millisecond

	// tellEvery is how often the log tells what a sliver does wrong, of each kind.
	tellEvery = time.Minute

	// dialRate and dialBurst bound how often in a second a sliver may dial: each costs
	// the node some memory and, for a moment, a goroutine.
	dialRate  = 20
	dialBurst = 2 * maxConns

	// firstByte is how long a connection may be silent before it says what it is, and
	// has for its first line.
	firstByte = 10 * time.Second

	// patience is how long the node waits for a sliver to read what is sent to it.
	patience = 10 * time.Second

	// maxWaiting is the number of lines that wait to be sent to a tenant: a question
	// and its end for each request in flight.
	maxWaiting = 128

	// maxLate is the number of requests taken back whose answers may still be on their
	// way: what a tenant has in flight twice over.
	maxLate = 128
)
