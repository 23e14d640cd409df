// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"croft/lease"
	"croft/lease/offer"
)

// Key is where a bucket lies in the space of Kademlia's keys.
type Key [sha256.Size]byte

func (k Key) String() string { return hex.EncodeToString(k[:]) }

// ParseKey reads 64 lower-case hex digits.
func ParseKey(s string) (k Key, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(k) || hex.EncodeToString(b) != s {
		return Key{}, fmt.Errorf("bucket key %.70q: want 64 hex digits: %w", s, lease.ErrSyntax)
	}
	return Key(b), nil
}

// Bucket is one quantised value of one attribute, or a part of such a bucket
// that split.
type Bucket struct {
	Attr, Value string
	Prefix      string // of a part: the bits, as 0 and 1, with which its nodes' principals begin
	Seat        int    // which of its places among the keys
}

// Every is the bucket of all offers, for queries that nothing else serves.
var Every = Bucket{Attr: "every", Value: "node"}

// Key returns the SHA-256 of the bucket's name. A part's has a domain of its own,
// for a value may look like another's prefix, and so has a later seat's.
func (b Bucket) Key() Key {
	if b.Seat > 0 {
		return seatKey(b.first().Key(), b.Seat)
	}
	name := b.Attr + "/" + b.Value
	if b.Prefix != "" {
		return sha256.Sum256([]byte("croft/part/1/" + b.Prefix + "/" + name))
	}
	return sha256.Sum256([]byte("croft/bucket/1/" + name))
}

func (b Bucket) String() string {
	if b.Seat > 0 {
		return fmt.Sprintf("%s at seat %d", b.first(), b.Seat)
	}
	if b.Prefix != "" {
		return b.Attr + "/" + b.Value + " of " + b.Prefix + "…"
	}
	return b.Attr + "/" + b.Value
}

// scale is how a resource is cut into classes: class 0 is less than four times
// base, class i from base × 4^i, the last has no end. Coarse steps keep an
// offer in its buckets while leases come and go.
type scale struct {
	base    uint64
	classes int
}

var scales = map[lease.Resource]scale{
	lease.CPU:    {250, 7},       // ¼, 1, 4, 16, 64, 256, 1024 cores
	lease.Memory: {128 << 20, 7}, // 128, 512 MiB, 2, 8, 32, 128, 512 GiB
}

// indexed lists the scaled resources in a fixed order.
var indexed = []lease.Resource{lease.CPU, lease.Memory}

func (s scale) class(v uint64) int {
	c := 0
	for v /= s.base; v >= 4 && c < s.classes-1; v /= 4 {
		c++
	}
	return c
}

func class(r lease.Resource, c int) Bucket { return Bucket{Attr: r.String(), Value: strconv.Itoa(c)} }

// Buckets returns where an offer belongs, without doubles. A closed offer
// belongs nowhere.
func Buckets(o *offer.Offer) []Bucket {
	if o.Closed {
		return nil
	}
	all := []Bucket{Every}
	free := o.FreeIn(lease.PoolCommons)
	for _, r := range indexed {
		all = append(all, class(r, scales[r].class(free[r])))
	}
	word := func(attr, value string) {
		if b := (Bucket{Attr: attr, Value: strings.ToLower(value)}); value != "" && !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	word("country", o.Attributes.Country)
	if o.Attributes.AS != 0 {
		word("as", strconv.FormatUint(uint64(o.Attributes.AS), 10))
	}
	if !o.Site.IsZero() {
		word("site", o.Site.String())
		word("site", o.Site.Short())
	}
	word("site", o.SiteName())
	labels := make([]string, 0, len(o.Attributes.Labels))
	for k := range o.Attributes.Labels {
		labels = append(labels, k)
	}
	slices.Sort(labels)
	for _, k := range labels {
		word("label."+k, o.Attributes.Labels[k])
	}
	return all
}

// Keys returns the keys of buckets.
func Keys(buckets []Bucket) []Key {
	keys := make([]Key, len(buckets))
	for i, b := range buckets {
		keys[i] = b.Key()
	}
	return keys
}
