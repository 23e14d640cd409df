// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestRootSuite(t *testing.T) {
	var names []string
	if v := os.Getenv("ITEMS"); v != "" {
		names = strings.Split(v, ",")
	}
	items, err := Select(names)
	if err != nil {
		t.Fatal(err)
	}
	err = Run(t.Context(), Config{Items: items, Benches: 6, Control: 500 * time.Millisecond}, func(r Result) {
		t.Logf("%-18s %-5s used %.2f offered %.0f control %.2f sent %v got %v of %v ctl %v %s", r.Item, r.Verdict, r.Used, r.Offered, r.Control, r.Sent, r.Received, r.Allowed, r.ControlReceived, r.Why)
		if err := r.Err(); err != nil && r.Verdict != Known {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
