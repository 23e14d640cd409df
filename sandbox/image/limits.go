// SPDX-License-Identifier: Apache-2.0

package image

import "time"

// Bounds on what a stranger's blob can make a node write, keep or loop over.
const (
	// MaxBlob is the size in bytes of one blob: larger than the images that
	// people publish, smaller than a small node's disk.
	MaxBlob = 8 << 30

	// MaxPiece is the size in bytes of one Append: a message.
	MaxPiece = 4 << 20

	// MaxPartial is the number of blobs that arrive at once, and StalePartial
	// the age at which GC drops one that nobody goes on with: each keeps its
	// whole size from others, so it is no longer than a broken line needs.
	MaxPartial   = 64
	StalePartial = time.Hour

	// sizeStands is how long nobody else may announce another size of a blob after some
	// of it came: a broken line takes seconds to be mended.
	sizeStands = time.Minute

	// MaxPrivate is the number of blobs that are not for others: as many as a node
	// with the most slivers runs.
	MaxPrivate = 4096

	// MinAge is how old a blob is before GC may drop it: the lease that it was
	// sent for may still be on the way.
	MinAge = 10 * time.Minute

	// MaxRoot is the size in bytes of an unpacked root: a small archive may
	// expand a thousandfold.
	MaxRoot = 16 << 30

	// MaxEntries is the number of files of a root: a Debian desktop has
	// 300,000.
	MaxEntries = 1 << 20

	// MaxName and MaxDepth bound one path: the kernel's PATH_MAX, and deeper
	// than any tree that people make.
	MaxName  = 4095
	MaxDepth = 128
)
