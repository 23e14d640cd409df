// SPDX-License-Identifier: Apache-2.0

package store

import "errors"

var (
	// ErrDiskFull: the record was not written; what was durable still is, and
	// the next call may work.
	ErrDiskFull = errors.New("no disk space for audit records")
	// ErrPoisoned: the disk failed in a way that leaves unclear what is
	// durable. The next Turn opens the store again.
	ErrPoisoned = errors.New("audit store failed, it must be opened again")
	// ErrCorrupt: bytes that were durable changed.
	ErrCorrupt = errors.New("audit record is corrupt")
	// ErrSyntax: bytes that are no record.
	ErrSyntax = errors.New("malformed audit record")
	// ErrInUse: another process has the directory open.
	ErrInUse = errors.New("audit store is in use")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("audit store is closed")
	// ErrNotYet: the segment is not under a signed head yet; later it is.
	ErrNotYet = errors.New("segment is not closed and signed yet")
	// ErrGone: retention took the rows. Their leaf of the log is still there.
	ErrGone = errors.New("rows are no longer kept")
)
