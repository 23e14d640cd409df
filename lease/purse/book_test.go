// SPDX-License-Identifier: Apache-2.0

package purse

import (
	"testing"

	"croft/lease"
)

// Sums and products that do not fit into 64 bits.
func TestExceedsInLargeNumbers(t *testing.T) {
	amount := func(v uint64) (s lease.RSet) { s[lease.Memory] = v; return s }
	for _, c := range []struct {
		slots  int
		each   uint64
		limit  uint64
		degree uint16
		want   bool
	}{
		{64, lease.MaxAmount, lease.MaxAmount, 6400, false},
		{64, lease.MaxAmount, lease.MaxAmount, 6399, true},
		{64, lease.MaxAmount, lease.MaxAmount - 1, 6400, true},
		{16, lease.MaxAmount, lease.MaxAmount, 1600, false}, // the sum is 2^64
		{16, lease.MaxAmount, lease.MaxAmount, 1599, true},
		{2, 3, 4, 150, false},
		{2, 3, 4, 149, true}, // nothing is rounded
		{3, 1, 3, 100, false},
	} {
		weight := make([]load, c.slots)
		for i := range weight {
			weight[i] = load{amount(c.each), lease.MinDegree}
		}
		if _, got := exceeds(weight, amount(c.limit), c.degree); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
		left := room(weight, int(lease.Memory), c.limit, c.degree)
		if _, over := exceeds(append(weight, load{amount(left), lease.MinDegree}), amount(c.limit), c.degree); !c.want && over {
			t.Errorf("%+v: %d are left, and are too much", c, left)
		}
		if _, over := exceeds(append(weight, load{amount(left + 1), lease.MinDegree}), amount(c.limit), c.degree); !over && left < lease.MaxAmount {
			t.Errorf("%+v: %d are left, and one more is not too much", c, left)
		}
	}
}
