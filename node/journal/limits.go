// SPDX-License-Identifier: Apache-2.0

package journal

import "time"

const (
	// MaxRecord is the size in bytes of one record. The largest fact is an
	// activation with its program's arguments and environment, which the kernel
	// bounds at 128 KiB a string; a mebibyte leaves room.
	MaxRecord = 1 << 20

	// MaxBatch is the size in bytes of one frame's payload: what one fsync may
	// carry, and what a reader must be able to hold while it looks at one frame.
	MaxBatch = 4 << 20

	// DefaultBallast is the room in bytes that is set aside for closing records.
	// A close is under 700 bytes; this ends 5,000 leases and their slivers' places
	// one by one, more than one machine runs.
	DefaultBallast = 4 << 20

	// ballastStep is the least that the ballast gives up at a time, so that
	// other writers on the same disk do not get all of it at once.
	ballastStep = 64 << 10

	// patience is how long the lock is waited for, tried every retry. The kernel
	// lets go of it when its holder ends, but only nearly at once: it belongs to
	// the open file, and a process that was starting a program when it was killed
	// leaves that to the child, until the child has become its program and the
	// descriptor closes on exec. In a loop of processes that start programs all
	// the time and are killed, 21 of 186 left their lock so, for up to 0.4 s on a
	// busy machine.
	patience = 3 * time.Second
	retry    = 20 * time.Millisecond
)
