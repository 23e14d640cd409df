// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"croft/lease/leasetest"
)

// A verifier in another language, written from docs/protocol/claims.md alone,
// agrees with every vector. The tests above hold our own to the same vectors.
func TestSecondImplementation(t *testing.T) {
	out, err := leasetest.SecondVerifier(t, "..")
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("the second verifier disagrees: %v", err)
	}

	// A wrong verdict, a wrong reason and a wrong id are each noticed.
	dir := t.TempDir()
	wrong := `[{"name": "a", "note": "", "expect": "field", "rule": "S6"}, {"name": "b", "note": "", "expect": "ok", "id": ""},
		{"name": "c", "note": "", "expect": "syntax", "rule": "S3"}]`
	if err := os.WriteFile(filepath.Join(dir, "wrong.json"), []byte(wrong), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err = leasetest.SecondVerifier(t, "..", dir)
	if err == nil || !bytes.Contains(out, []byte("3 disagree")) || !bytes.Contains(out, []byte("wrong.json: b: want ok, got S1")) {
		t.Errorf("wrong vectors pass: %v\n%s", err, out)
	}
}
