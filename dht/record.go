// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"crypto/sha256"
	"fmt"
	"time"

	"croft/lease"
)

// RecordSpace is the name space of slice records among the DHT's values.
const RecordSpace = "slice"

// RecordKey is where on the DHT a slice's record is. The key says nothing of
// whose slice it is to one who does not know.
func RecordKey(owner lease.Principal, label string) string {
	h := sha256.New()
	h.Write([]byte(lease.SliceDomain))
	h.Write(owner[:])
	h.Write([]byte(label))
	return "/" + RecordSpace + "/" + string(h.Sum(nil))
}

// CheckRecord reports whether a value may be stored under a key, and be believed
// by who looks it up: rules R1, R2 and R4 of docs/protocol/slices.md.
func CheckRecord(now time.Time, key string, value []byte) error {
	r, err := lease.OpenSlice(value)
	switch {
	case err != nil:
		return err
	case RecordKey(r.Owner, r.Slice) != key:
		return fmt.Errorf("record of %q@%s under another key: %w", r.Slice, r.Owner.Short(), ErrRecordKey)
	case !r.Holds(now.Unix()):
		return fmt.Errorf("record of %q@%s: %w", r.Slice, r.Owner.Short(), lease.ErrLapsed)
	}
	return nil
}

// NewestRecord returns which of several values counts (rule R3), the first of
// equals. Values that are no records are passed over.
func NewestRecord(values [][]byte) (int, error) {
	best := -1
	var newest lease.OpenedSlice
	for i, v := range values {
		if r, err := lease.OpenSlice(v); err == nil && (best < 0 || r.Newer(newest)) {
			best, newest = i, r
		}
	}
	if best < 0 {
		return 0, fmt.Errorf("%d values, no record: %w", len(values), lease.ErrSyntax)
	}
	return best, nil
}
