// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"testing"
	"time"

	"croft/lease/offer"
)

// A node that left is known to have left, until its last offer would have lapsed anyway.
func TestWithdrawn(t *testing.T) {
	v, key := NewView(ViewConfig{}), keyOf("a")
	tell := func(sequence uint64, closed bool) {
		o, err := offer.Seal(&offer.Offer{Node: key.Principal(), Name: "a", Sequence: sequence, Made: noon.Unix(), Until: noon.Unix() + 600, Closed: closed}, key)
		if err != nil {
			t.Fatal(err)
		}
		v.Step(noon, Local{Bytes: o.Bytes})
	}
	tell(3, false)
	if v.Withdrawn(key.Principal(), 2) || v.Withdrawn(keyOf("b").Principal(), 1) {
		t.Error("somebody who is there has left")
	}
	tell(4, true)
	if !v.Withdrawn(key.Principal(), 3) || v.Withdrawn(key.Principal(), 5) {
		t.Error("an offer that was taken back is not known, or one that came later is")
	}
	v.Step(noon.Add(time.Hour), Tick{})
	if v.Withdrawn(key.Principal(), 3) {
		t.Error("it is known for ever")
	}
}
