// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"croft/gossip/alive"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
)

// What was said of a node about which nobody answers any more goes on for as long as an
// answer counts; of one against which nothing speaks any more it ends at once.
func TestVerdictsOutlastAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v diagnoses
		n1, n2 := leasetest.Who("n1"), leasetest.Who("n2")
		stands := func(when string, one, two health) {
			t.Helper()
			if a, b := v.of(&offer.Offer{Node: n1, Sequence: 5}).Health, v.of(&offer.Offer{Node: n2, Sequence: 5}).Health; a != one || b != two {
				t.Errorf("%s: %s, %s", when, a, b)
			}
		}
		pass := func(d time.Duration) { <-time.After(d) }
		sequences := map[lease.Principal]uint64{n1: 5, n2: 5}
		v.put([]diagnosis{{Node: n1, Health: absent}, {Node: n2, Health: absent}}, sequences, nil)
		stands("answered", absent, absent)
		for range 2 {
			pass(judgeValid/2 - time.Second)
			v.put(nil, nil, []lease.Principal{n1})
		}
		stands("nobody answers about the first", absent, present)
		pass(2 * time.Second)
		stands("for too long", present, present)
	})
}

// What a measurement counts as is what gossip/alive takes the node for.
func TestTheNodesOwnCount(t *testing.T) {
	by := func(n int) (list []suspectedBy) { return make([]suspectedBy, n) }
	for _, c := range []struct {
		m    measurement
		want health
	}{
		{measurement{RTT: 1}, present}, {measurement{Missed: alive.Certain - 1}, present}, {measurement{Missed: alive.Certain}, absent},
		{measurement{Suspected: by(1)}, doubted}, {measurement{Suspected: by(alive.Sites - 1)}, doubted}, {measurement{Suspected: by(alive.Sites)}, absent},
	} {
		if got := c.m.counted(); got != c.want {
			t.Errorf("%+v: %s", c.m, got)
		}
	}
}

// suspects are so many of which this node is sure that they are gone.
func suspects(n int) (list []measurement) {
	for i := range n {
		m := measurement{Sequence: 5, Missed: alive.Certain}
		m.Node[0] = 1
		binary.BigEndian.PutUint32(m.Node[1:], uint32(i))
		list = append(list, m)
	}
	return list
}
