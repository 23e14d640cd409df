// SPDX-License-Identifier: Apache-2.0

package dhttest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"croft/lease/offer"
)

// RunSplits checks a net of 13 nodes whose buckets hold two offers, freshly made
// for each property.
func RunSplits(t *testing.T, open func(t *testing.T, nodes, perBucket int) Net) {
	const nodes, perBucket = 13, 2
	for _, c := range []struct {
		name  string
		check func(t *testing.T, n Net)
	}{
		{"what a bucket does not hold is found in its parts", foundInParts},
		{"withdrawn from its part, an offer is gone", withdrawnFromParts},
		{"at half load the parts come back", partsComeBack},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t, open(t, nodes, perBucket)) })
	}
}

// all registers an offer of each of n nodes, two of three of them Swiss, and
// returns who is to be found everywhere, and who in Switzerland.
func all(t *testing.T, net Net, n int, sequence uint64) (everywhere, swiss []string) {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("n%02d", i)
		found := fmt.Sprintf("%s@%d", name, sequence)
		where := "DE"
		if i%3 > 0 {
			where = "CH"
			swiss = append(swiss, found)
		}
		everywhere = append(everywhere, found)
		register(t, net, i, Offer(t, net.Now(), name, sequence, country(where)))
	}
	return everywhere, swiss
}

func foundInParts(t *testing.T, n Net) {
	everywhere, swiss := all(t, n, 13, 1)
	for _, from := range []int{0, 6, 12} {
		expect(t, n, from, "", everywhere...)
		expect(t, n, from, "country=CH", swiss...)
		expect(t, n, from, "country=CH & cpu>=1000", swiss...)
	}
	everywhere, _ = all(t, n, 13, 2)
	expect(t, n, 5, "", everywhere...)
}

func withdrawnFromParts(t *testing.T, n Net) {
	everywhere, swiss := all(t, n, 13, 1)
	for i := 12; i >= 3; i -= 3 {
		name := fmt.Sprintf("n%02d", i)
		withdraw(t, n, i, Offer(t, n.Now(), name, 2, closed))
		gone := func(found string) bool { return found == name+"@1" }
		everywhere, swiss = slices.DeleteFunc(everywhere, gone), slices.DeleteFunc(swiss, gone)
	}
	expect(t, n, 2, "", everywhere...)
	expect(t, n, 2, "country=CH", swiss...)
}

func partsComeBack(t *testing.T, n Net) {
	all(t, n, 13, 1)
	n.Advance((offer.MaxValid - 60) * time.Second)
	few, _ := all(t, n, 1, 2)
	n.Advance(60 * time.Second) // the others have run out
	expect(t, n, 3, "", few...)
	few, _ = all(t, n, 2, 3)
	expect(t, n, 3, "", few...)
	n.Advance((offer.MaxValid - 1) * time.Second)
	expect(t, n, 3, "", few...)
}
