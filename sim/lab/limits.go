// SPDX-License-Identifier: Apache-2.0

package lab

import "time"

const (
	// maxSites: the third byte of an address is the site, and one value is
	// outside's; more real daemons than this do not fit a machine anyway.
	maxSites = 64
	// maxNodes: what design and memory of one machine allow.
	maxNodes = 64
	// maxName: a lab's name is part of names that people type.
	maxName = 12
	// maxSocket: sun_path without its final zero.
	maxSocket = 107

	// maxFlight bounds the bytes that one ordered pair of sites keeps in
	// flight: 1.6 Gbit/s at 40 ms.
	maxFlight = 8 << 20
	// maxFlightAll bounds the relay's memory for packets.
	maxFlightAll = 256 << 20
	// uplinkQueue, in packets, is what a site sends while the relay does not
	// run: 40 ms of 100,000 packets a second.
	uplinkQueue = 4096
	// maxBurst is how many packets the relay reads from one uplink before it
	// looks at the others and at the clock.
	maxBurst = 64
	// maxOneWay: farther than any two places on Earth by any path in use,
	// short enough that a typing error is seen.
	maxOneWay = 10 * time.Second

	// maxStatus bounds what is read from a daemon's status route.
	maxStatus = 1 << 20
	// maxTail is how much of a log goes into an error.
	maxTail = 2 << 10

	readyTimeout = 60 * time.Second      // for one daemon to answer
	stopGrace    = 10 * time.Second      // between TERM and KILL
	downTimeout  = 60 * time.Second      // for an Up that failed to clean up
	pollEvery    = 25 * time.Millisecond // between two looks at a process or socket
	sweepRounds  = 20                    // passes over /proc until nothing is left to kill
)
