// SPDX-License-Identifier: Apache-2.0

package sandbox

import "time"

// Bounds on what a slice's owner can make a node read, keep or do.
const (
	// UIDs is the number of user ids of one sliver: the whole 16-bit range
	// that programs expect, and the alignment that newuidmap uses.
	UIDs = 1 << 16

	// FirstUID is where the range of place 0 starts: above the range that
	// systemd-homed and useradd's subuids (100000…) hand out by default.
	FirstUID = 1 << 20

	// MaxPlaces keeps the last range below 2^31, as some tools read uids as
	// signed numbers.
	MaxPlaces = 1 << 14

	// MaxArgs and MaxEnv bound the words of a program, MaxWord one of them,
	// MaxWords all together: a spec travels in a message and is journaled.
	MaxArgs  = 256
	MaxEnv   = 256
	MaxWord  = 8 << 10
	MaxWords = 32 << 10

	// MinDisk is the least writable layer, in bytes: ext4's own tables take
	// most of anything smaller.
	MinDisk = 4 << 20

	// MinMemory is the least memory, in bytes: the runtime's own start needs
	// more than a megabyte inside the sliver's cgroup.
	MinMemory = 6 << 20

	// MinCPU is the least share in thousandths of a core: the kernel takes no
	// quota under 1 ms in the period of 100 ms.
	MinCPU = 10

	// MinPids leaves room for the runtime's own threads at the start.
	MinPids = 8

	// MaxFiles is the number of open files of one process: what systemd gives.
	MaxFiles = 1 << 16

	// MaxRestarts bounds the restarts of one sliver; with the pause at its
	// longest that is a restart every MaxPause for most of a day.
	MaxRestarts = 1000

	// MinPause and MaxPause bound the wait before a restart; it doubles each
	// time. A program that ran for CalmAfter starts again at MinPause.
	MinPause  = 100 * time.Millisecond
	MaxPause  = 60 * time.Second
	CalmAfter = 30 * time.Second
)
