// SPDX-License-Identifier: Apache-2.0

package audit

import "time"

const (
	// MaxRows bounds the rows of one answer: what one message carries. An
	// answer that was cut says so.
	MaxRows = 4096

	// MaxWithin bounds a question's uncertainty of time, so that it cannot ask
	// for everything.
	MaxWithin = time.Hour

	// MaxTenure is the size in bytes of an encoded tenure: names, and the most
	// ports that a lease has.
	MaxTenure = 1024

	// MaxTenures is how many tenures a node keeps at once: every place given
	// away anew each minute for a week, with 64 places.
	MaxTenures = 1 << 20

	// MaxHead is the size in bytes of a signed head. One takes under 170.
	MaxHead = 256

	// MaxSegments bounds the log of one node: one segment a second for 34,000
	// years, and sums stay far from 64 bits.
	MaxSegments = 1 << 40
)

const (
	// MaxLeaf is the size in bytes of one leaf: a tenure's, the largest.
	MaxLeaf = MaxTenure + 16

	// MaxLeaves bounds a segment: an epoch of ebpf.MaxFlows rows on top of
	// MaxSegmentRows, and every tenure that a node keeps, with room to spare.
	MaxLeaves = 1 << 22

	// MaxSegmentRows is after how many rows a segment is closed before its time:
	// one in memory takes 60 MB while it is written.
	MaxSegmentRows = 1 << 19

	// MaxSegment is the size in bytes of a leaf of the log. One takes under 90.
	MaxSegment = 128

	// MaxOpenings is how many leaves of a segment one proof opens: the rows of a
	// connection, both ways over a minute, and a tenure.
	MaxOpenings = 32

	// MaxProof is the size in bytes of a proof: the leaves, and for each a hash
	// for every level of two trees.
	MaxProof = 96 << 10

	// MaxProofText is the size in bytes of a text in which proofs are looked for.
	MaxProofText = 1 << 20

	// maxPath is the number of levels of a log of MaxSegments.
	maxPath = 40

	// maxSliver is the length in bytes of a sliver's name in a record.
	maxSliver = 64

	// maxReasons bounds the drop reasons of an epoch: what the kernel's maps have
	// room for.
	maxReasons = 32

	// maxAlarm is the length in bytes of an alarm's text.
	maxAlarm = 400
)

const (
	// clockJump is a step of the clock that no loop of ours explains: rows are not
	// thrown away by such a clock until it has run on for as long.
	clockJump = time.Hour

	// backwards is how far the clock may go back within a segment: what time
	// daemons slew, not what they step.
	backwards = time.Minute
)

const (
	// SightingTerm is how long a sighting shows anything: an asker needs seconds,
	// who waits for a node to commit needs minutes, and an address may be another's
	// tomorrow.
	SightingTerm = 10 * time.Minute

	// MaxSighting is the size in bytes of one as it travels: it takes under 180.
	MaxSighting = 192

	// MaxSightings is how many are looked at in one question, each of which costs a
	// signature: three, of which some may not count. MaxSightingText is the size in
	// bytes of the text that they are in.
	MaxSightings    = 8
	MaxSightingText = 4 << 10

	// MaxWithheld bounds the slices that an answer counts without naming them: no
	// node has more places in an hour.
	MaxWithheld = 1 << 16
)

const (
	// MaxMessage is the size in bytes of a message: who, what and where to write to.
	MaxMessage = 1000

	// MaxMessages is how many a node keeps, some 1.3 MB; MaxMessagesSlice those to one
	// slice, which somebody will read; MaxMessagesNetwork those of one network, and
	// MaxMessagesElsewhere those of all who asked through other nodes.
	MaxMessages          = 1024
	MaxMessagesSlice     = 16
	MaxMessagesNetwork   = 8
	MaxMessagesElsewhere = 64

	// MessageTerm is how long a message is kept.
	MessageTerm = 14 * 24 * time.Hour
)

// MaxRead bounds the bytes that are read from the disk for one question: half a
// month's worth of looking for one address. An answer that was cut there says so.
const MaxRead = 64 << 20
