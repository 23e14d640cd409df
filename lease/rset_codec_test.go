// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"testing"
)

// The codec by itself: what a frame around it would refuse first is here too.
func TestRSetBytes(t *testing.T) {
	for digits, want := range map[string]error{
		"a0":                     nil,
		"a10001":                 nil,
		"a20001181801":           ErrUnknownResource, // the first is sound
		"a100":                   ErrSyntax,
		"a1":                     ErrSyntax,
		"":                       ErrSyntax,
		"a1000100":               ErrSyntax, // a byte too many
		"a100fb3ff0000000000000": ErrSyntax,
		"bf0001ff":               ErrSyntax,
		"a1001b0000000100000000": nil,
		"a1001b00000000ffffffff": ErrNotCanonical,
		"a1001a0000ffff":         ErrNotCanonical,
		"a10019ffff":             nil,
		"a1001900ff":             ErrNotCanonical,
		"a10018":                 ErrSyntax,
		"a10e01":                 ErrUnknownResource,
		"a1181801":               ErrUnknownResource,
		"a1000018":               ErrNotCanonical,
		"a1001bffffffffffffffff": nil,
		"a1001cffffffffffffffff": ErrSyntax,
	} {
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		var s RSet
		err = s.UnmarshalCBOR(b)
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%s: got %v, want %v", digits, err, want)
		}
		if err != nil && !s.IsZero() {
			t.Errorf("%s: half of it was read", digits)
		}
	}
}

func TestRSetJSON(t *testing.T) {
	s, err := ParseRSet("cpu=500 memory=1GiB egress.rate=5mbit")
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(s)
	if want := `{"cpu":500,"egress.rate":5000000,"memory":1073741824}`; err != nil || string(b) != want {
		t.Fatalf("got %s, %v, want %s", b, err, want)
	}
	var back RSet
	if err := json.Unmarshal(b, &back); err != nil || back != s {
		t.Errorf("got %v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"gpu":1}`), &back); !errors.Is(err, ErrUnknownResource) {
		t.Errorf("got %v", err)
	}
}
