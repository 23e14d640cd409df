// SPDX-License-Identifier: Apache-2.0

package world

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// long is an id, a principal or a digest; a reader needs its beginning.
var long = regexp.MustCompile(`\b[a-z2-7]{52}\b|\b[0-9a-f]{64}\b|\\?"[^" ]{300,}"`)

// TestTranscript plays small scenarios and holds their histories, without the
// copies of offers. -rewrite writes them anew.
func TestTranscript(t *testing.T) {
	datadriven.RunTest(t, "testdata/partition.txt", func(t *testing.T, d *datadriven.TestData) string {
		var history bytes.Buffer
		r, err := Run(t.Context(), read(t, d.Input), Options{Trace: &history})
		if err != nil {
			return err.Error()
		}
		var out strings.Builder
		for line := range strings.Lines(history.String()) {
			at, rest, _ := strings.Cut(line, " ")
			who, what, _ := strings.Cut(rest, " ")
			if what = strings.TrimSpace(what); strings.HasPrefix(what, "offer ") || strings.HasPrefix(what, "pulled ") || strings.HasSuffix(what, "> changed") {
				continue
			}
			ns, err := strconv.ParseInt(at, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			what = long.ReplaceAllStringFunc(what, func(s string) string { return s[:8] })
			if len(what) > 160 {
				what = what[:160] + "…"
			}
			fmt.Fprintf(&out, "%7.3f %2s  %s\n", time.Duration(ns).Seconds(), who, what)
		}
		for _, e := range r.Expects {
			fmt.Fprintf(&out, "%s: %v\n", e.Expect, e.OK)
		}
		return out.String()
	})
}
