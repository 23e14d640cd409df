// SPDX-License-Identifier: Apache-2.0

package journal

import "errors"

var (
	// ErrPoisoned: a write or an fsync failed in a way that leaves unclear what
	// is durable. Drop what was built on this journal, open it anew, rebuild.
	ErrPoisoned = errors.New("journal must be reopened after a failed write")

	// ErrFull: the disk (or the quota) has no room; nothing was changed.
	ErrFull = errors.New("no room on disk for the journal")

	// ErrCorrupt: damage that no crash explains. Nothing was changed.
	ErrCorrupt = errors.New("journal is damaged")

	// ErrLocked: another process has this journal open.
	ErrLocked = errors.New("journal is in use by another process")

	// ErrMissing: no journal where one must be.
	ErrMissing = errors.New("no journal")

	// ErrTooBig: a record above MaxRecord, or a call above MaxBatch.
	ErrTooBig = errors.New("too big for the journal")

	// ErrVersion: written by a later version of this package.
	ErrVersion = errors.New("journal of an unknown version")

	// ErrClosed: used after Close.
	ErrClosed = errors.New("journal is closed")
)
