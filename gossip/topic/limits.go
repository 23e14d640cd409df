// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"time"

	"croft/lease"
	"croft/lease/offer"
)

const (
	// MaxData is what one message carries, in bytes: a page of measurements. What
	// is larger has its own way between slivers.
	MaxData = 16 << 10

	// MaxMessage is the size in bytes of a signed message.
	MaxMessage = MaxData + lease.MaxAuthority + 512

	// MaxAge is how long a message is news. Those who subscribe later missed it.
	MaxAge = 2 * time.Minute

	// memory is how long a message is recognised: as long as its time allows that
	// it comes again.
	memory = MaxAge + offer.MaxSkew

	// lastMade bounds the time of a message, in milliseconds: that of statements.
	lastMade = 1<<53 - 1

	// MaxJoined is the number of topics that one node is subscribed to at once.
	MaxJoined = 64

	// authorRate and authorBurst are the bytes that one author may have passed on
	// on one topic, each second and at once; topicRate and topicBurst those of all
	// its authors together. A subscriber's uplink survives a topic on which anybody
	// may publish.
	authorRate, authorBurst = 16 << 10, 4 * MaxMessage
	topicRate, topicBurst   = 128 << 10, 16 * MaxMessage

	// maxAuthors is the number of authors of one topic that are told apart at once;
	// more find it crowded until others have been quiet for a while.
	maxAuthors = 1024

	// maxSeen is the number of messages of one topic that are recognised at once:
	// 400 bytes each at the topic's rate are 98,000 in memory. All take some 15 MB.
	maxSeen = 1 << 17

	// doubtRate is the number of authorities that are opened a second on one topic,
	// two signature checks each: strangers' keys are free.
	doubtRate = 50

	// recordAge is how old a record may be before a message has it looked up again,
	// and how long is between two look-ups of one slice.
	// For a message of somebody here, who waits, and after a look-up that found
	// nothing, localAge is enough.
	recordAge = 30 * time.Second
	localAge  = 3 * time.Second

	// MaxAttendance is the size in bytes of a signed attendance, and MaxAttendTerm
	// how long one holds, in seconds.
	MaxAttendance = 768
	MaxAttendTerm = 600

	// MaxAddrs is the number of addresses in an attendance, each of at most MaxAddr
	// bytes.
	MaxAddrs = 4
	MaxAddr  = 128

	// MaxMet is the number of subscribers that meet at one place, and maxPlaces the
	// number of places at one holder: 2 MiB. perNetwork is the share of a place that
	// one source network may have.
	MaxMet     = 32
	maxPlaces  = 4096
	perNetwork = MaxMet / 4
)
