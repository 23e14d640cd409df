// SPDX-License-Identifier: Apache-2.0

package verdict

import "time"

const (
	// MaxObject is the size in bytes of an object: in base64, with its signature, it
	// fits into a line of the role protocol. A program of the most instructions has 32 KiB.
	MaxObject = 40 << 10

	// MaxInstructions is how many a program has in one direction, those of 16 bytes
	// counted as two. They go forward only, so this is also how many a packet costs.
	MaxInstructions = 4096

	// MaxCalls is how many calls of helpers a program has in one direction, and MaxValue
	// the bytes of a map's value, constants and variables too: a call may copy all of
	// it, so both together bound what calls cost a packet (the benchmark has it).
	MaxCalls = 64
	MaxValue = 1 << 10

	// MaxMaps is how many maps an object has, and MaxMapBytes what all of them take in
	// the kernel, on all processors together.
	MaxMaps     = 8
	MaxMapBytes = 1 << 20

	// MaxPrograms is how many objects are loaded at once: the holders of a role and as
	// many challengers; each costs every packet.
	MaxPrograms = 8

	// maxCounted is how many cgroups are counted of which packets were refused: four
	// for each sliver that the guard takes, as one that restarts has another.
	maxCounted = 4096

	// entryOverhead is what the kernel adds to an entry of a hash, in bytes: 48, and up
	// to two heads of lists of 16. mapOverhead is what it adds to a map.
	entryOverhead = 80
	mapOverhead   = 1 << 10

	// maxSections is how many sections of an object are read, and maxLog how much of
	// what the verifier says is told.
	maxSections = 64
	maxLog      = 160

	// loadLimit is how long an object may take to be read and verified: less than half
	// of what a tenant has for its answer. loaderCPU is the same in seconds of a
	// processor, for a loader whose daemon is gone. loaderData is how much memory of its
	// own it may take, in which that of the kernel's verifier is not.
	loadLimit  = 2 * time.Second
	loaderCPU  = 3
	loaderData = 512 << 20
)
