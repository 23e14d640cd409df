// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"testing"

	"croft/dht"
)

// Who began the network joined nobody, and who came when there were few found few: as
// others come they too see where their tables are thin.
func TestTheFirstLookAroundToo(t *testing.T) {
	all := joined(t, dht.LookupClosest+4)
	for i, d := range all[:2] {
		if d.near != 0 {
			t.Fatalf("%d knows that there are others beyond %d bits", i, d.near)
		}
		wait(t, "the table has grown", func() bool { return d.Size() > dht.LookupClosest })
		d.regrown(t.Context())
		near, walks := d.near, d.Stats().Walks
		if near == 0 {
			t.Errorf("%d believes yet that it knows everybody", i)
		}
		if d.regrown(t.Context()); d.Stats().Walks != walks {
			t.Errorf("%d looks itself up again although nothing grew", i)
		}
	}
}
