// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"strings"
	"testing"
	"time"
)

// An expectation may compare with before; what cannot be compared is refused.
func TestSince(t *testing.T) {
	const run = "nodes 5\nend 1m\n"
	s, err := Parse(run + "expect lookup p95 <= 2x since 20s\n")
	if err != nil {
		t.Fatal(err)
	}
	e := s.Expects[0]
	if e.Value != 2 || e.Since != 20*time.Second || e.String() != "expect lookup p95 <= 2x since 20s" {
		t.Errorf("%+v prints as %s", e, e)
	}
	for text, want := range map[string]string{
		"expect lookup p95 <= 2x":                "since when?",
		"expect lookup p95 <= 2x after 20s":      "since when?",
		"expect lookup p95 <= 2s since 20s":      "how many times",
		"expect lookup p95 <= -2x since 20s":     "how many times",
		"expect lookup success >= 1x since 20s":  "is not compared",
		"expect lookup p95 <= 2x since tomorrow": "time is",
		"expect lookup p95 <= 2x since 1m":       "nothing after",
	} {
		if _, err := Parse(run + text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
