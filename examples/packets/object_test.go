// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The object in the repository is what the source compiles to.
func TestObjectIsFresh(t *testing.T) {
	const object = "bpf/calm.o"
	have, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("clang-14"); err != nil {
		if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
			t.Fatal("CROFT_REQUIRE_ROOT=1, and clang-14 is missing")
		}
		t.Skip("needs clang-14")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bpf"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"main.go", "bpf/calm.bpf.c"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	generate := exec.Command("go", "generate", "main.go")
	generate.Dir = dir
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(dir, object))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is not what its source compiles to: run go generate ./examples/packets", object)
	}
}
