// SPDX-License-Identifier: Apache-2.0

package leasetest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"croft/lease/judge"
)

// Vectors holds a file of vectors against those that a test makes, writes it anew
// first if rewrite, and returns what it has.
func Vectors[V any](t *testing.T, file string, rewrite bool, made []V) (list []V) {
	t.Helper()
	want, err := json.MarshalIndent(made, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if rewrite {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the vectors are not what the test makes: if the protocol changed on purpose, run with -rewrite")
	}
	if err := json.Unmarshal(got, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Errorf("%s has no vector", file)
	}
	return list
}

// Word is what a reader of bytes makes of an error, in the words of vectors.
func Word(err error) string {
	if err == nil {
		return "ok"
	}
	_, reason := judge.OfBytes(err, judge.Malformed)
	return string(reason)
}

// SecondVerifier has the verifier in another language, written from the pages of
// docs/protocol alone, judge folders of vectors, or with none those of package lease,
// from the root of the tree as seen by the test. It returns what that prints, and an
// error if it disagrees. Without its libraries the test is skipped, or fails where
// everything must be there.
func SecondVerifier(t *testing.T, root string, folders ...string) ([]byte, error) {
	t.Helper()
	const python = "/usr/bin/python3" // the system's, which has the system's packages
	if out, err := exec.Command(python, "-c", "import cbor2, cryptography").CombinedOutput(); err != nil {
		if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
			t.Fatalf("python3 with python3-cbor2 and python3-cryptography (scripts/setup test): %v\n%s", err, out)
		}
		t.Skipf("needs python3 with python3-cbor2 and python3-cryptography: %v", err)
	}
	return exec.Command(python, append([]string{root + "/docs/protocol/check/check.py"}, folders...)...).CombinedOutput()
}

// Agrees fails the test if the second verifier disagrees with testdata/vectors.
func Agrees(t *testing.T, root string) {
	t.Helper()
	out, err := SecondVerifier(t, root, "testdata/vectors")
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("the second verifier disagrees: %v", err)
	}
}
