// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"net/netip"
	"testing"
)

// Those found are found still, unless somebody nearer is met whom no network's share
// leaves out.
func TestStill(t *testing.T) {
	at := func(distance byte, network byte) Contact {
		return Contact{Key{distance}, Groups([]netip.Addr{netip.AddrFrom4([4]byte{10, network, 0, 1})})}
	}
	var found []Contact // of the networks 0 and 1 as many as may be
	for i, network := range []byte{0, 0, 1, 1, 2, 3, 4, 5} {
		found = append(found, at(byte(2*i+10), network))
	}
	for _, c := range []struct {
		name string
		met  []Contact
		want bool
	}{
		{"nobody else", nil, true},
		{"themselves", found, true},
		{"one that is nearer", []Contact{at(21, 9)}, false},
		{"one that is farther", []Contact{at(90, 9)}, true},
		{"one of a network that has its share", []Contact{at(21, 0)}, true},
		{"one of such a network before the others of it", []Contact{at(9, 0)}, false},
		{"both", []Contact{at(21, 0), at(23, 9)}, false},
	} {
		if got := Still(Key{}, found, c.met); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
	if Still(Key{}, nil, nil) {
		t.Error("nobody is found still")
	}
}
