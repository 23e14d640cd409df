// SPDX-License-Identifier: Apache-2.0

package purse_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A mutant is a purse with one rule broken: the same sources, but for a line.
type mutant struct {
	file  string
	edits []string // old, new, old, new …; each old stands in the file once
}

var mutants = map[string]mutant{
	"slot check off":                  {"weight.go", []string{"closed |= 1 << c.slot", ""}},
	"degree not budgeted":             {"weight.go", []string{"return c.ticket.Degree", "return lease.MinDegree"}},
	"redeem uncounted":                {"weight.go", []string{"if c.term.Covers(at) {", "if c.term.Covers(at) && c.ticket != nil {"}},
	"latest instead of largest":       {"weight.go", []string{"l.rset.Max(s)", "s"}},
	"degree above the parent's":       {"weight.go", []string{"w.degree > t.Degree", "false"}},
	"degree below 100":                {"purse.go", []string{"in.Degree < lease.MinDegree", "false", "lease.Seal(st, p.key)", "lease.SealAs(lease.Domain, st, p.key)"}},
	"only the wish's first instant":   {"weight.go", []string{"w.term.Covers(c.term.From)", "false"}},
	"no floor":                        {"weight.go", []string{"w.term.From < p.floor", "false"}},
	"expiry off by one":               {"book.go", []string{"ended := c.term.Until <= p.floor", "ended := c.term.Until <= p.floor+1"}},
	"released before it is durable":   {"purse.go", []string{"p.release(ref, p.requests[q])\n", "p.release(ref, p.requests[q])\n\tn := len(p.out)\n\tp.out[n-1], p.out[n-2] = p.out[n-2], p.out[n-1]\n"}},
	"released and never written down": {"purse.go", []string{"\tp.out = append(p.out, f)", "\tif f.K != FactSigned {\n\t\tp.out = append(p.out, f)\n\t}"}},
	"a restored purse signs on":       {"weight.go", []string{"p.restored != 0", "false"}},
	"a restored purse signs more":     {"weight.go", []string{"w.rset.Within(c.rset) && ", ""}},
	"a snapshot forgets the floor":    {"purse.go", []string{"facts := []Fact{{K: FactFloor, At: p.floor}}", "facts := []Fact{}"}},
}

// Every rule is needed: without it the adversary finds a proof.
func TestMutantsAreProvable(t *testing.T) {
	if testing.Short() {
		t.Skip("builds each mutant")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go tool to build mutants with")
	}
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c := exec.CommandContext(ctx, tool, "test", "-overlay", m.overlay(t), "-count=1", "-vet=off", "-ldflags=-s -w",
				"-run", "^TestNoHonestPurseIsProvable$", ".")
			c.Env = append(os.Environ(), "CROFT_HISTORIES=2000")
			out, err := c.CombinedOutput()
			switch text := string(out); {
			case err == nil:
				t.Errorf("lives:\n%s", text)
			case strings.Contains(text, "build failed"):
				t.Errorf("is no program:\n%s", text)
			default:
				for line := range strings.Lines(text) { // how it was caught
					if strings.Contains(line, "history ") || strings.HasPrefix(line, "panic: ") {
						t.Log(strings.TrimSpace(line))
						break
					}
				}
			}
		})
	}
}

// overlay writes the mutant beside its sources, for go's -overlay.
func (m mutant) overlay(t *testing.T) string {
	b, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i := 0; i < len(m.edits); i += 2 {
		if n := strings.Count(text, m.edits[i]); n != 1 {
			t.Fatalf("%q stands %d times in %s", m.edits[i], n, m.file)
		}
		text = strings.Replace(text, m.edits[i], m.edits[i+1], 1)
	}
	from, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), m.file)
	list, err := json.Marshal(map[string]map[string]string{"Replace": {from: to}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, []byte(text))
	write(t, to+".json", list)
	return to + ".json"
}

func write(t *testing.T, path string, b []byte) {
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
