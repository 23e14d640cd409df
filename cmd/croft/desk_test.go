// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/lease/leasetest"
	"croft/shim"
)

// A service that is told to end is answered until it has.
func TestADeskOutlastsItsService(t *testing.T) {
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	a := &app{socket: filepath.Join(dir, "none"), in: strings.NewReader(""), out: io.Discard, err: io.Discard}
	over := make(chan error, 1)
	go func() {
		over <- a.atDesk(ctx, leasetest.Key("alice"), "web", []string{"sh", "-c", `trap 'touch told; until [ -e go ]; do sleep 0.02; done; exit 0' TERM
			cd "$0" && echo "$CROFT_SOCKET" >at.new && mv at.new at && while :; do sleep 0.02; done`, dir})
	}()
	there := func(name string) string {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for limit := time.After(30 * time.Second); ; {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
				return strings.TrimSpace(string(b))
			}
			select {
			case <-tick.C:
			case err := <-over:
				t.Fatalf("it ended before %s: %v", name, err)
			case <-limit:
				t.Fatalf("no %s", name)
			}
		}
	}
	node := shim.At(there("at"))
	stop()
	there("told")
	if l, err := node.Lease(t.Context()); err != nil || l.State != "active" {
		t.Errorf("%+v, %v", l, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
}
