// SPDX-License-Identifier: Apache-2.0

package store

import "time"

const (
	// MaxRecord is the size in bytes of one record. An epoch of ebpf.MaxFlows
	// rows takes under 24 MiB; what is longer is not ours.
	MaxRecord = 64 << 20

	// DefaultBudget is the disk space in bytes of all segments.
	DefaultBudget = 1 << 30

	// DefaultRetention is how long rows are kept.
	DefaultRetention = 30 * 24 * time.Hour

	// DefaultSpan is the time after which a segment is followed by another: a
	// question reads whole segments, and retention drops them.
	DefaultSpan = 10 * time.Minute

	// slack is how far a row may lie outside of its sliver's tenure: the clocks
	// by which the two are dated are read one after the other.
	slack = time.Minute

	// maxSeries is how many makings of the guard's tables are told apart: one a
	// boot. The oldest is forgotten first.
	maxSeries = 64

	// minSegments is how many segments at least share the budget, so that
	// dropping one is a small part of what there is.
	minSegments = 8
)
