// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A verifier in another language, written from docs/protocol/claims.md alone,
// agrees with every vector. The tests above hold our own to the same vectors.
func TestSecondImplementation(t *testing.T) {
	const python = "/usr/bin/python3" // the system's, which has the system's packages
	if out, err := exec.Command(python, "-c", "import cbor2, cryptography").CombinedOutput(); err != nil {
		if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
			t.Fatalf("python3 with python3-cbor2 and python3-cryptography (scripts/setup test): %v\n%s", err, out)
		}
		t.Skipf("needs python3 with python3-cbor2 and python3-cryptography: %v", err)
	}
	const check = "../docs/protocol/check/check.py"
	out, err := exec.Command(python, check).CombinedOutput()
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
	out, err = exec.Command(python, check, dir).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("3 disagree")) || !bytes.Contains(out, []byte("wrong.json: b: want ok, got S1")) {
		t.Errorf("wrong vectors pass: %v\n%s", err, out)
	}
}
