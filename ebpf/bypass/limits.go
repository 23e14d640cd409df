// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"time"

	"croft/ebpf"
)

const (
	// Pace is how many times its lease an attack sends, in octets or in packets,
	// whichever it has more of. MinOffered is what it must reach to count: a busy
	// machine may be slower than Pace, but then the suite says so.
	Pace       = 40
	MinOffered = 20

	// Window is how long the receiver counts, and Control how long it counts
	// with the guard detached: by then an attack that works has passed several
	// times what the lease allows.
	Window  = 3 * time.Second
	Control = 1 * time.Second

	// tries is how often an item runs at most, where the machine was too busy to
	// send MinOffered, or to show the control.
	tries = 3

	// sampling is the distance of two readings of the receiver's counters. The
	// contract is checked between any two that are leastWindow apart.
	sampling    = 100 * time.Millisecond
	leastWindow = time.Second

	// queued is how long the shaper may hold back a packet: its 70 kB take 280 ms
	// at the small lease's rate. By drained, a late timer included, the last one
	// that the guard let pass has left it.
	queued  = 300 * time.Millisecond
	drained = 500 * time.Millisecond

	// batch is how many packets one system call sends or reads.
	batch = 64
	// nap is how long a sender that is ahead of its pace rests.
	nap = time.Millisecond
	// backlog is what the receiver's socket holds, in bytes: 100 ms of the
	// fastest attack. What is lost all the same is counted as received.
	backlog = 16 << 20
	// snap is how much of a packet the receiver looks at: enough to see its
	// headers.
	snap = 256

	// maxSources is how many sources [Listen] tells apart: strangers can make up any
	// number.
	maxSources = 1024

	// claimTries is how often a tag is chosen that turns out to be somebody's, or whose
	// folder somebody who ends takes away meanwhile: that may happen many times in a row.
	claimTries = 256
	// teardown bounds the removal of a bench, also after Ctrl-C. A namespace that
	// died with its process takes the kernel up to seconds to clear.
	teardown = 30 * time.Second
	again    = 50 * time.Millisecond
)

// small is the lease that attacks try to exceed: so little that any machine can
// send many times as much, so much that a burst is not all of a window.
var small = ebpf.Way{Rate: 2_000_000, Burst: ebpf.MinBurst, Packets: 250, PacketBurst: ebpf.MinPacketBurst}

// wide is the lease of who only receives: it never decides.
var wide = ebpf.Way{Rate: 100e9, Burst: ebpf.MaxBurst, Packets: 100e6, PacketBurst: 100e6}
