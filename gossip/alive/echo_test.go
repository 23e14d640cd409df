// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"bytes"
	"errors"
	"testing"

	"croft/lease"
	"croft/lease/offer"
)

func TestEcho(t *testing.T) {
	most := &offer.Coordinate{Vector: [offer.Dimensions]int32{offer.MaxReach, -offer.MaxReach, offer.MaxReach, -offer.MaxReach}, Height: offer.MaxReach, Error: offer.MaxError}
	for _, e := range []Echo{{}, {Coordinate: most}, {Coordinate: &offer.Coordinate{Error: 1}}} {
		got, err := DecodeEcho(e.Encode())
		if err != nil || (got.Coordinate == nil) != (e.Coordinate == nil) || e.Coordinate != nil && *got.Coordinate != *e.Coordinate {
			t.Errorf("%+v reads as %+v, %v", e.Coordinate, got.Coordinate, err)
		}
	}
	if _, err := DecodeEcho(Echo{Coordinate: &offer.Coordinate{Height: -1, Error: 1}}.Encode()); !errors.Is(err, lease.ErrField) {
		t.Errorf("below the ground: %v", err)
	}
	if _, err := DecodeEcho(make([]byte, MaxEcho+1)); !errors.Is(err, lease.ErrTooBig) {
		t.Errorf("too big: %v", err)
	}
}

func FuzzEcho(f *testing.F) {
	f.Add(Echo{Coordinate: &offer.Coordinate{Height: 700, Error: 90}}.Encode())
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEcho(b)
		if err == nil && (!bytes.Equal(e.Encode(), b) || e.Coordinate != nil && e.Coordinate.Check() != nil) {
			t.Fatalf("%x reads as %+v", b, e.Coordinate)
		}
	})
}
