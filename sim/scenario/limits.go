// SPDX-License-Identifier: Apache-2.0

package scenario

import "time"

const (
	// MaxFile, MaxLines and MaxSteps bound what is read: a scenario is for people.
	MaxFile  = 64 << 10
	MaxLines = 1000
	MaxSteps = 500

	// MaxMistakes is how many are told at once: a screen.
	MaxMistakes = 20

	// MaxNodes is the largest network that any world plays; bytesPerNode is what a
	// node takes there at the least, keys, books and a small view, so that a larger
	// number can be refused with the reason.
	MaxNodes     = 200_000
	bytesPerNode = 40 << 10

	// MaxLength bounds the virtual time of one scenario, and so every instant and
	// duration in it: the longest lease.
	MaxLength = 90 * 24 * time.Hour
)
