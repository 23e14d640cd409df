// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"
)

// needRoot skips a test that cannot run, or fails it where CI says that it must.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
		t.Fatal("CROFT_REQUIRE_ROOT=1, and this is not root")
	}
	t.Skip("needs root")
}

// testTag is a name that no other run has.
func testTag() string { return "t" + strings.ToLower(rand.Text()[:7]) }

// openGuard opens a guard that is gone after the test.
func openGuard(t testing.TB, cfg Config) *Guard {
	t.Helper()
	needRoot(t)
	if cfg.Tag == "" {
		cfg.Tag = testTag()
	}
	t.Cleanup(func() {
		if err := Destroy("", cfg.Tag); err != nil {
			t.Error(err)
		}
	})
	g, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}
