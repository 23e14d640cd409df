// SPDX-License-Identifier: Apache-2.0

package leasetest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A Mutant is a package with one rule broken, to show that a test would notice.
type Mutant struct {
	Name string
	File string // of the package
	// Edits are old, new, old, new and so on. Each old stands in the file once; in
	// new, asleep stands for "another mutant is awake, or none".
	Edits []string
}

// Mutants is a test binary with all mutants of a package in it.
type Mutants struct {
	t      *testing.T
	binary string
}

// BuildMutants builds the tests in the current directory with mutants of the
// package whose sources are in dir. The sources stay as they are: go's -overlay
// puts others in their place, in which each mutant sleeps unless the environment
// names it, so that one build serves all. Without a go tool, and in short tests,
// it skips.
func BuildMutants(t *testing.T, dir, name string, list []Mutant) *Mutants {
	t.Helper()
	tool, err := exec.LookPath("go")
	if err != nil || testing.Short() {
		t.Skip("builds mutants: needs the go tool, and time")
	}
	m := &Mutants{t, filepath.Join(t.TempDir(), "mutants.test")}
	replace, err := overlay(t.TempDir(), dir, name, list)
	if err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), tool, "test", "-c", "-overlay", replace, "-vet=off", "-ldflags=-s -w", "-o", m.binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building mutants: %v\n%s", err, out)
	}
	return m
}

// Run runs one test with the named mutant awake, "" for none, and returns what it
// printed and whether it failed.
func (m *Mutants) Run(test, awake string, env ...string) (string, error) {
	c := exec.CommandContext(m.t.Context(), m.binary, "-test.run", "^"+test+"$")
	c.Env = append(append(os.Environ(), env...), "CROFT_MUTANT="+awake)
	out, err := c.CombinedOutput()
	return string(out), err
}

// overlay writes the mutants' sources into to and returns the list for -overlay.
func overlay(to, dir, name string, list []Mutant) (string, error) {
	texts := map[string]string{"mutant.go": "package " + name + "\n\nimport \"os\"\n\nvar mutant = os.Getenv(\"CROFT_MUTANT\")\n"}
	for _, m := range list {
		if texts[m.File] == "" {
			b, err := os.ReadFile(filepath.Join(dir, m.File))
			if err != nil {
				return "", err
			}
			texts[m.File] = string(b)
		}
		for i := 0; i < len(m.Edits); i += 2 {
			old, text := m.Edits[i], texts[m.File]
			if n := strings.Count(text, old); n != 1 {
				return "", fmt.Errorf("%s: %q stands %d times in %s", m.Name, old, n, m.File)
			}
			woken := strings.ReplaceAll(m.Edits[i+1], "asleep", fmt.Sprintf("(mutant != %q)", m.Name))
			texts[m.File] = strings.Replace(text, old, woken, 1)
		}
	}
	replace := map[string]string{}
	for file, text := range texts {
		from, err := filepath.Abs(filepath.Join(dir, file))
		if err != nil {
			return "", err
		}
		replace[from] = filepath.Join(to, file)
		if err := os.WriteFile(replace[from], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(to, "overlay.json")
	return path, os.WriteFile(path, b, 0o600)
}
