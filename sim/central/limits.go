// SPDX-License-Identifier: Apache-2.0

package central

import (
	"time"

	"croft/lease/offer"
)

const (
	// Republish is how often a node says its offer, as by gossip.
	Republish = 5 * time.Minute

	// Page is how many offers an answer holds unless its query says otherwise.
	Page = 20

	// Timeout is when a server that is silent is given up: as long as a look-up on the
	// DHT may take.
	Timeout = 2 * time.Second

	// Header is what a request and an answer cost beside what they carry, in bytes:
	// QUIC's and IP's headers, the fields of the message.
	Header = 96

	// Handshake is what a connection costs each way, in bytes: QUIC's first packets
	// are padded to that.
	Handshake = 1200

	// maxEvents bounds what a workload may come to: a gigabyte.
	maxEvents = 10_000_000
)

// warm is how long servers hear offers before the first query: everybody has said
// theirs.
const warm = Republish

// lapse is how long an offer is kept at most, whatever it says.
const lapse = offer.MaxValid * time.Second

// DefaultCost is one core of the machine of docs/bench.md, rounded up: an Ed25519
// verification and its decoding, a request read and an answer of a page written,
// an offer matched by three constraints.
var DefaultCost = Cost{Update: 150 * time.Microsecond, Query: 300 * time.Microsecond, Look: 2 * time.Microsecond}
