// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"croft/lease"
)

func TestTogetherAgreesWithBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		free := make([]Vacant, rapid.IntRange(0, 5).Draw(t, "nodes"))
		for i := range free {
			free[i].Name = string(rune('a' + i))
			at := int64(0)
			for range rapid.IntRange(0, 4).Draw(t, "windows") {
				from := at + rapid.Int64Range(0, 8).Draw(t, "gap")
				at = from + rapid.Int64Range(1, 12).Draw(t, "seconds")
				free[i].Windows = append(free[i].Windows, lease.Term{From: from, Until: at})
			}
		}
		n, length := rapid.IntRange(1, 4).Draw(t, "n"), rapid.Int64Range(1, 9).Draw(t, "length")
		got := Together(n, length, free)
		for at := int64(-1); at < 90; at++ {
			var want []string
			for _, v := range free {
				if slices.ContainsFunc(v.Windows, func(w lease.Term) bool { return w.From <= at && at+length <= w.Until }) {
					want = append(want, v.Name)
				}
			}
			if len(want) < n {
				want = nil
			}
			var said []string
			for i, o := range got {
				if o.From > o.Last || i > 0 && got[i-1].Last >= o.From {
					t.Fatalf("openings out of order: %v", got)
				}
				if o.From <= at && at <= o.Last {
					said = o.Nodes
				}
			}
			if !slices.Equal(said, want) {
				t.Fatalf("at %d: got %v, want %v of %v", at, said, want, free)
			}
		}
	})
}
