// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// refused are objects that no node takes, and what of the reason must be told. Those
// by which the kernel's verifier stumbles are in [verified].
var refused = map[string]string{
	"long":      "instructions, at most 4096",
	"loop":      "it goes back",
	"function":  "a call of a function",
	"helper":    "helper 79 is not allowed",
	"redirect":  "helper 23 is not allowed",
	"rewrite":   "helper 9 is not allowed",
	"mark":      "it writes to the packet's fields",
	"later":     "it writes to the packet's fields",
	"calls":     "is of type ProgramArray",
	"tells":     "is of type RingBuf",
	"large":     "bytes together, at most",
	"wide":      "values to 1024",
	"pinned":    "wants to be pinned",
	"elsewhere": "want cgroup_skb/egress or cgroup_skb/ingress",
	"twice":     "two programs",
}

func objectOf(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".o")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRefused(t *testing.T) {
	for name, why := range refused {
		if err := Check(objectOf(t, name)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v; want %q", name, err, why)
		}
	}
	for name, b := range map[string][]byte{
		"nothing":   nil,
		"no object": []byte("#!/bin/sh"),
		"too much":  append(objectOf(t, "none"), make([]byte, MaxObject)...),
		"cut":       objectOf(t, "odd")[:300],
	} {
		if err := Check(b); !errors.Is(err, ErrProgram) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"none", "odd", "worst", "overwrite", "beyond", "leak"} { // the last three the kernel refuses
		if err := Check(objectOf(t, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The objects in the repository are what the sources compile to.
func TestObjectsAreFresh(t *testing.T) {
	if _, err := exec.LookPath("clang-14"); err != nil {
		if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
			t.Fatal("CROFT_REQUIRE_ROOT=1, and clang-14 is missing")
		}
		t.Skip("needs clang-14")
	}
	dir := t.TempDir()
	if out, err := exec.Command("sh", "testdata/compile.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	fresh, err := filepath.Glob(filepath.Join(dir, "*.o"))
	if err != nil || len(fresh) == 0 {
		t.Fatalf("%d objects, %v", len(fresh), err)
	}
	have, err := filepath.Glob("testdata/*.o")
	if err != nil || len(have) != len(fresh) {
		t.Errorf("%d objects, their source has %d: run go generate ./ebpf/verdict", len(have), len(fresh))
	}
	for _, f := range fresh {
		want, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile("testdata/" + filepath.Base(f)); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s is not what its source compiles to: run go generate ./ebpf/verdict", filepath.Base(f))
		}
	}
}

// Whatever is called an object is read or refused, and what is read keeps the bounds.
func FuzzObject(f *testing.F) {
	for _, name := range []string{"none", "odd", "leak", "function", "large", "twice"} {
		f.Add(objectOf(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := read(b)
		if err != nil {
			if !errors.Is(err, ErrProgram) {
				t.Fatal(err)
			}
			return
		}
		for name, m := range o.maps {
			if m.ValueSize > MaxValue || uint64(m.MaxEntries)*uint64(m.ValueSize) > MaxMapBytes || len(o.maps) > MaxMaps {
				t.Fatalf("%d maps, %s of %d values of %d bytes", len(o.maps), name, m.MaxEntries, m.ValueSize)
			}
		}
		for _, code := range o.code {
			if code != nil && (code.Size() > 8*MaxInstructions || screen(code) != nil) {
				t.Fatalf("%d bytes of instructions", code.Size())
			}
		}
	})
}
