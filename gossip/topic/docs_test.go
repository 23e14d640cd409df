// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"croft/lease/offer"
)

// docs/protocol/topics.md has the limits of this package.
func TestLimitsAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/protocol/topics.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(strings.Fields(string(b)), " ")
	thousands := func(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }
	for _, want := range []string{
		fmt.Sprintf("at most %s bytes", thousands(MaxMessage)),
		fmt.Sprintf("at most %d s ago and %d s ahead", MaxAge/time.Second, offer.MaxSkew/time.Second),
		fmt.Sprintf("remembered for %d s, %s of a topic", memory/time.Second, thousands(maxSeen)),
		fmt.Sprintf("%s bytes at once and %s a second", thousands(authorBurst), thousands(authorRate)),
		fmt.Sprintf("all authors together %s and %s", thousands(topicBurst), thousands(topicRate)),
		fmt.Sprintf("%d authorities a second", doubtRate),
		fmt.Sprintf("made at most %d s ahead, and not over", offer.MaxSkew/time.Second),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/protocol/topics.md does not say %q", want)
		}
	}
}
