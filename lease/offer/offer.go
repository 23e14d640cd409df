// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"strings"
	"time"

	"croft/lease"
)

// Domain separates signatures over offers from every other use of a key.
const Domain = "croft/offer/1\n"

// Offer is what one node says of itself until the next one.
type Offer struct {
	Node        lease.Principal `cbor:"1,keyasint" json:"node"`
	Sequence    uint64          `cbor:"2,keyasint" json:"sequence"`    // rises with every offer of the node; from 1
	Made        int64           `cbor:"3,keyasint" json:"made"`        // Unix seconds
	Until       int64           `cbor:"4,keyasint" json:"valid_until"` // Unix seconds, at most MaxValid after Made
	Name        string          `cbor:"5,keyasint,omitempty" json:"name,omitempty"`
	Site        lease.Principal `cbor:"6,keyasint,omitzero" json:"site,omitzero"`
	Certificate []byte          `cbor:"7,keyasint,omitempty" json:"certificate,omitempty"` // the site's signed word that the node is its own
	Attributes  Attributes      `cbor:"8,keyasint" json:"attributes"`
	Free        []Free          `cbor:"9,keyasint,omitempty" json:"free,omitempty"` // sorted by pool
	Total       lease.RSet      `cbor:"10,keyasint" json:"total"`
	Longest     int64           `cbor:"11,keyasint,omitempty" json:"longest_term,omitempty"` // seconds; 0 leases nothing
	Commons     lease.RSet      `cbor:"12,keyasint" json:"commons_limit"`                    // the most that one principal has of the commons
	Addrs       []string        `cbor:"13,keyasint,omitempty" json:"addrs,omitempty"`        // multiaddrs
	Uptime      int64           `cbor:"14,keyasint,omitempty" json:"uptime,omitempty"`       // seconds, measured by the node
	Closed      bool            `cbor:"15,keyasint,omitempty" json:"closed,omitempty"`       // the node leaves and offers nothing
	Coordinate  *Coordinate     `cbor:"16,keyasint,omitempty" json:"coordinate,omitempty"`   // measured by the node; nil: not yet
}

// Attributes are the node's claims about itself. Empty means not stated.
type Attributes struct {
	Country  string            `cbor:"1,keyasint,omitempty" json:"country,omitempty"` // ISO 3166-1 alpha-2
	Region   string            `cbor:"2,keyasint,omitempty" json:"region,omitempty"`
	City     string            `cbor:"3,keyasint,omitempty" json:"city,omitempty"`
	Position *Position         `cbor:"4,keyasint,omitempty" json:"position,omitempty"`
	AS       uint32            `cbor:"5,keyasint,omitempty" json:"as,omitempty"`
	Kernel   string            `cbor:"6,keyasint,omitempty" json:"kernel,omitempty"` // "6.1.0-31-amd64"
	Arch     string            `cbor:"7,keyasint,omitempty" json:"arch,omitempty"`   // as GOARCH
	Runtimes []string          `cbor:"8,keyasint,omitempty" json:"runtimes,omitempty"`
	Network  string            `cbor:"9,keyasint,omitempty" json:"network,omitempty"` // "public", "nat", "relayed"
	Labels   map[string]string `cbor:"10,keyasint,omitempty" json:"labels,omitempty"`
}

// Position is a place on earth in thousandths of a degree: about 100 m.
type Position struct {
	_   struct{} `cbor:",toarray"`
	Lat int32    `json:"lat"`
	Lon int32    `json:"lon"`
}

// Free is what one pool has left now.
type Free struct {
	_    struct{}   `cbor:",toarray"`
	Pool lease.Pool `json:"pool"`
	RSet lease.RSet `json:"rset"`
}

// FreeIn returns what is free in one pool.
func (o *Offer) FreeIn(pool lease.Pool) lease.RSet {
	for _, f := range o.Free {
		if f.Pool == pool {
			return f.RSet
		}
	}
	return lease.RSet{}
}

// SiteName returns the part of the display name before the slash. It is the
// node's claim; Site with its certificate is the proof.
func (o *Offer) SiteName() string {
	site, _, ok := strings.Cut(o.Name, "/")
	if !ok {
		return ""
	}
	return site
}

// Display returns the name that people see.
func (o *Offer) Display() string {
	if o.Name != "" {
		return o.Name
	}
	return o.Node.Short()
}

// Fresh returns nil while the offer holds, ErrExpired or ErrEarly otherwise.
// Honest nodes with differing clocks may disagree.
func (o *Offer) Fresh(now time.Time) error {
	switch {
	case now.Unix() >= o.Until:
		return ErrExpired
	case o.Made > now.Add(MaxSkew).Unix():
		return ErrEarly
	}
	return nil
}
