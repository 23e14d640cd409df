// SPDX-License-Identifier: Apache-2.0

package warden

import "time"

// Bounds of one warden and of those that talk to it.
const (
	// maxFrame is the size in bytes of one message: a command of
	// sandbox.MaxWords in which JSON escapes every byte, with room.
	maxFrame = 256 << 10

	// maxFiles is the number of descriptors that come with one message.
	maxFiles = 3

	// maxConns is the number of connections of one warden: the daemon's
	// watch and orders, and people's logs and commands.
	maxConns = 128

	// maxReaders is the number of those who read a log at once. With maxExecs it
	// leaves room for the daemon, which must never be kept from ending a sliver.
	maxReaders = 64

	// maxExecs is the number of commands in a sliver at once: each costs the
	// node a few descriptors and, while it starts, a runtime.
	maxExecs = 32

	// segmentSize and segments bound a log: 1 MiB of output is kept.
	segmentSize = 256 << 10
	segments    = 4

	// maxRecord is the longest line that is one record; longer ones are cut.
	maxRecord = 8 << 10

	// answerTime is how long a warden may take for what it answers from
	// memory, and how long it waits for a client that does not read.
	answerTime = 5 * time.Second

	// startTime bounds one start; the runtime itself takes well under a second.
	startTime = 60 * time.Second

	// killTime bounds the wait for killed processes. A process in an
	// uninterruptible wait can hold it up.
	killTime = 10 * time.Second

	// drainTime is how long output is awaited after a command's exit: what it
	// wrote is in the pipe by then, but a child may keep the pipe open.
	drainTime = 500 * time.Millisecond

	// goneTime bounds the command that is run when the sliver is gone.
	goneTime = 30 * time.Second
)
