// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"croft/lease/judge"
	"croft/lease/offer"
)

// docs/protocol/alive.md has the limits and reasons of this package.
func TestLimitsAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/protocol/alive.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(strings.Fields(string(b)), " ")
	seconds := func(d time.Duration) int { return int(d / time.Second) }
	for _, want := range []string{
		fmt.Sprintf("at most %d bytes", MaxSuspicion),
		fmt.Sprintf("`%s\\n`", strings.TrimSpace(Domain)),
		fmt.Sprintf("counts for %d s", seconds(Valid)),
		fmt.Sprintf("more than %d s ahead of now, or more than %d s ago", seconds(offer.MaxSkew), seconds(Valid+offer.MaxSkew)),
		fmt.Sprintf("each every %d s", seconds(Period)),
		fmt.Sprintf("not answered within %d s", seconds(Timeout)),
		fmt.Sprintf("again each %d s", seconds(Repeat)),
		fmt.Sprintf("less than %d s ago", seconds(Gap)),
		fmt.Sprintf("at most each %d s", seconds(RefuteGap)),
		fmt.Sprintf("up to %d s", seconds(MaxRefuteGap)),
		fmt.Sprintf("within %d s of it", seconds(Soon)),
		fmt.Sprintf("no say of that node for %d s, and for twice as long", seconds(Gap)),
		fmt.Sprintf("or to %d s while three sites or more have suspected the node, by whatever offer, in the last %d s", seconds(Gap<<agreedStrikes), seconds(Valid)),
		fmt.Sprintf("up to %d,%03d s", seconds(Gap<<maxStrikes)/1000, seconds(Gap<<maxStrikes)%1000),
		fmt.Sprintf("After %d,%03d s", seconds(Forgiven)/1000, seconds(Forgiven)%1000),
		fmt.Sprintf("probes each %d s", seconds(LostPeriod)),
		fmt.Sprintf("verified %d,%03d at once and %d each second", Burst/1000, Burst%1000, Rate),
		fmt.Sprintf("deterministic CBOR, ≤ %d bytes", MaxEcho),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/protocol/alive.md does not say %q", want)
		}
	}
	for _, reason := range []judge.Reason{judge.Early, judge.Expired, judge.Stranger, judge.Superseded, judge.Distant, judge.TooOften, judge.Crowded, judge.Duplicate,
		judge.Malformed, judge.NotCanonical, judge.TooBig, judge.Field, judge.Signature} {
		if !strings.Contains(page, string(reason)) {
			t.Errorf("docs/protocol/alive.md does not say %q", reason)
		}
	}
}
