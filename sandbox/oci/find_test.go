// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestNewEnough(t *testing.T) {
	for have, want := range map[string]bool{
		"1.2.8": true, "1.2.7": false, "1.1.5+ds1": false, "1.5.2": true, "2.0.0": true, "1.10.0": true, "": false, "1.3": true,
	} {
		if got := newEnough(have, MinVersion); got != want {
			t.Errorf("%q: %v", have, got)
		}
	}
}

func TestFindSaysWhatItSaw(t *testing.T) {
	old := filepath.Join(t.TempDir(), "runc")
	if err := os.WriteFile(old, []byte("#!/bin/sh\necho runc version 1.1.5\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "/nonexistent")
	if _, err := Find(context.Background(), "", old); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("an old runc: %v", err)
	}
}
