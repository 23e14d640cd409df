// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"strings"
	"testing"
)

// Of thirty daemons six have something to offer: the offers come to all, and are found
// by seeded tables.
func TestSeeded(t *testing.T) {
	r := play(t, `nodes 30 seeded=yes publishers=6
join wave=15 every=1s
at 10s find where="cpu>=1" count=3 view=off
at 11s slice web nodes=3 term=2m
end 25s
expect lookup success = 1
expect delivery share = 1
expect slice web running = 3
expect cpu share > 0
`)
	for _, c := range r.Counts {
		if c.What == "offers published" && (c.Count < 6 || c.Count > 12) { // those of the slice have news
			t.Errorf("%d offers were published", c.Count)
		}
	}
	notes := strings.Join(r.Foot.Notes, "\n")
	if !strings.Contains(notes, "routing tables were seeded") || strings.Contains(notes, " 0 taken") {
		t.Errorf("the foot says %q", notes)
	}
}

// Sites have networks of their own, and none has more hosts than it can.
func TestAddresses(t *testing.T) {
	var a addrs
	seen := map[string]bool{}
	for i := range 2 * lastHost {
		addr, err := a.next(7)
		if err != nil || seen[addr.String()] {
			t.Fatalf("address %d is %v, %v", i, addr, err)
		}
		seen[addr.String()] = true
	}
	if !seen["/ip4/198.18.7.254/udp/4001/quic-v1"] || !seen["/ip4/198.18.8.1/udp/4001/quic-v1"] {
		t.Error("a full network is not followed by the next")
	}
}
