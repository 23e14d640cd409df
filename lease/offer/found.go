// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"bytes"
	"slices"
	"time"
)

// Source says where an answer came from.
type Source string

const (
	View Source = "view" // the node's own picture, fed by gossip
	DHT  Source = "dht"  // the index on the overlay
)

// Found is one candidate with its origin. Bytes are the signed offer, so that
// whoever gets an answer can check it without trusting who gave it.
type Found struct {
	Offer  Offer         `json:"offer"`
	Bytes  []byte        `json:"signed"`
	Source Source        `json:"source"`
	Age    time.Duration `json:"age_ns"` // since the node made it

	// RTT is the round trip between seeker and node, 0 if nothing is known of it.
	RTT       time.Duration `json:"rtt_ns,omitempty"`
	Estimated bool          `json:"rtt_estimated,omitempty"` // from coordinates; else it was measured
}

// NewFound tells what was opened as an answer of one source.
func NewFound(o Opened, source Source, now time.Time) Found {
	return Found{Offer: o.Offer, Bytes: o.Bytes, Source: source, Age: age(&o.Offer, now)}
}

func age(o *Offer, now time.Time) time.Duration {
	return max(0, now.Sub(time.Unix(o.Made, 0)))
}

// Merge joins what several sources found: the newest offer of each node, the
// first source's where two have the same. Offers that have expired, and nodes
// that withdrew, fall out. The result is sorted by node.
func Merge(now time.Time, sources ...[]Found) []Found {
	var all []Found
	for _, s := range sources {
		all = append(all, s...)
	}
	slices.SortStableFunc(all, func(a, b Found) int {
		if c := bytes.Compare(a.Offer.Node[:], b.Offer.Node[:]); c != 0 {
			return c
		}
		switch { // newest first
		case a.Offer.Sequence > b.Offer.Sequence:
			return -1
		case a.Offer.Sequence < b.Offer.Sequence:
			return 1
		}
		return 0
	})
	all = slices.CompactFunc(all, func(a, b Found) bool { return a.Offer.Node == b.Offer.Node })
	return slices.DeleteFunc(all, func(f Found) bool { return f.Offer.Closed || f.Offer.Fresh(now) != nil })
}
