// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/judge"
)

// docs/protocol/gossip.md has every reason for a verdict, and the sizes of a pull.
func TestVerdictsAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../docs/protocol/gossip.md")
	if err != nil {
		t.Fatal(err)
	}
	for judgement, reasons := range map[judge.Judgement][]judge.Reason{
		judge.Reject: {judge.TooBig, judge.Malformed, judge.NotCanonical, judge.Field, judge.Signature, judge.Unproven},
		judge.Ignore: {judge.Newer, judge.Certificate, judge.Expired, judge.Early, judge.Duplicate, judge.Superseded, judge.Equivocation, judge.TooOften, judge.Crowded, judge.Stranger, judge.Distant},
	} {
		for _, reason := range reasons {
			found := false
			for line := range strings.Lines(string(b)) {
				found = found || strings.HasPrefix(line, "| "+string(judgement)+" |") && strings.Contains(line, string(reason))
			}
			if !found {
				t.Errorf("docs/protocol/gossip.md does not say that %s is a reason to %s", reason, judgement)
			}
		}
	}
	for _, want := range []string{
		fmt.Sprintf("at most %d,%03d bytes", MaxPull/1000, MaxPull%1000),
		fmt.Sprintf("at most %d,%03d bytes", MaxPage/1000, MaxPage%1000),
		fmt.Sprintf("| %d bytes |", MaxNotice),
		fmt.Sprintf("| %s bytes |", thousands(lease.MaxProof)),
		fmt.Sprintf("at most %s bytes", thousands(MaxProofPage)),
		fmt.Sprintf("at most %s proofs", thousands(MaxProofs)),
		fmt.Sprintf("| %s bytes |", thousands(MaxFork)),
		fmt.Sprintf("A node keeps %d, for ever", MaxForks),
		fmt.Sprintf("%s bytes at once verified", thousands(ForkBurst)),
		fmt.Sprintf("at most %d against one principal", PerAccused),
		fmt.Sprintf("%s bytes at once and %s a second", thousands(ProofBurst), thousands(ProofRate)),
		fmt.Sprintf("%s and %s together", thousands(ProofBurstAll), thousands(ProofRateAll)),
		fmt.Sprintf("all together %s and %s beyond %s and %d for each", thousands(AnswerBurstAll), thousands(AnswerRateAll), thousands(AnswerBurstFirst), AnswerRateFirst),
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("docs/protocol/gossip.md does not say %q", want)
		}
	}
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
