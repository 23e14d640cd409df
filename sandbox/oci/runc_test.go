// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A runtime that says why it fails, and leaves its log where it was told to.
func TestWhyARuntimeFailedIsSaidAndNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	path := filepath.Join(dir, "runtime")
	script := `#!/bin/sh
printf '{"level":"warning","msg":"never mind"}\n{"level":"error","msg":"no such container"}\n' >> "$4"
exit 1
`
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	err := Runc{Path: path, Root: dir}.Delete(t.Context(), "s-1")
	if err == nil || !strings.HasSuffix(err.Error(), "runtime delete: no such container") {
		t.Errorf("it failed with %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}
