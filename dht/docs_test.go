// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// docs/protocol/index.md has every status with its number, and our bounds.
func TestIndexIsDocumented(t *testing.T) {
	b, err := os.ReadFile("../docs/protocol/index.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), "\n", " ")
	var want []string
	for s := Stored; s <= Unknown; s++ {
		want = append(want, fmt.Sprintf("| %d %s |", s, s))
	}
	want = append(want,
		fmt.Sprintf("A request is at most %s bytes, a response at most %s.", thousands(MaxRequest), thousands(MaxResponse)),
		fmt.Sprintf("%d offers are there", MaxEntries), thousands(MaxHeld)+" entries in all",
		fmt.Sprintf("REGISTER: 1 to %d;", MaxBuckets), fmt.Sprintf("LIST: ≤ %d;", PageEntries),
		fmt.Sprintf("has %d of them", PerSite), fmt.Sprintf("%d of one node", MaxPlaces), fmt.Sprintf("1 ≤ d ≤ %d", MaxDepth),
		fmt.Sprintf("until it has %d or fewer", MaxEntries/2), fmt.Sprintf("shown more than %d offers", MaxEntries/2),
		fmt.Sprintf("A quorum is %d,", quorum), Bucket{Attr: "country", Value: "ch"}.Key().String(),
		Bucket{Attr: "country", Value: "ch", Prefix: "0110"}.Key().String())
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("docs/protocol/index.md does not say %q", w)
		}
	}
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}
