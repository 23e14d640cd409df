// SPDX-License-Identifier: Apache-2.0

package wires

import "time"

const (
	// Routers on the way have other traffic: a message waits there for up to a fiftieth
	// of the way (its divisor is queues) and queueLeast.
	queues     = 50
	queueLeast = 20 * time.Microsecond

	// probe is what a connection waits beyond a round trip before it sends again what
	// nobody acknowledged: QUIC's probe timeout, as wide as it is on a way that varies.
	probe = 200 * time.Millisecond
	// maxTries is how often a packet is sent again before its connection is given up;
	// by then some twenty seconds have passed, near the idle time of a connection.
	maxTries = 6
)
