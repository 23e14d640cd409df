// SPDX-License-Identifier: Apache-2.0

package store

import "time"

const (
	// MaxRecord is the size in bytes of one record. An epoch of ebpf.MaxFlows
	// rows takes under 24 MiB; what is longer is not ours.
	MaxRecord = 64 << 20

	// DefaultBudget is the disk space in bytes of everything that is kept.
	DefaultBudget = 1 << 30

	// DefaultRetention is how long rows are kept.
	DefaultRetention = 30 * 24 * time.Hour

	// DefaultSpan is the time of one segment.
	DefaultSpan = 5 * time.Minute

	// DefaultReserve is the disk space in bytes that is set aside beforehand:
	// two days of a node that records a hundred million rows a month.
	DefaultReserve = 64 << 20

	// slack is how far a row may lie outside of its sliver's tenure: the clocks
	// by which the two are dated are read one after the other.
	slack = time.Minute

	// maxSeries is how many makings of the guard's tables are told apart: one a
	// boot. The oldest is forgotten first.
	maxSeries = 64

	// minSegments is how many segments at least share the budget, so that
	// dropping one is a small part of what there is. openRow is what a row takes
	// in an open segment, in bytes, at most.
	minSegments = 8
	openRow     = 96

	// blockRows is how many rows are compressed together: what a question reads
	// at least of a segment that has what it looks for, about 6 kB. Twice as many
	// would save 3 % of the disk and read a half more.
	blockRows = 512

	// tailSize is how much of a closed segment's end is read at first: with an
	// index of a usual size all that says whether there is anything to read.
	tailSize = 4 << 10

	// maxSection bounds a part of a closed segment once it is unpacked: the
	// tenures of a node that gave each of its places away anew every second.
	maxSection = 128 << 20

	// manyTenures is how many records of tenures that ended long ago are worth
	// writing the file anew.
	manyTenures = 1024

	// maxAlarms is the number of alarms that are listed, the newest.
	maxAlarms = 1000

	// patience is how long the lock is waited for, tried every retry: a process
	// that was killed while it started a program leaves it to the child, for up to
	// 0.4 s on a busy machine, until that one has become its program.
	patience = 3 * time.Second
	retry    = 20 * time.Millisecond
)
