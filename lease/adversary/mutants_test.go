// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A mutant is a ledger with one rule broken. The sources stay as they are: go's
// -overlay puts files with all mutants in their place, each asleep unless the
// environment names it, so that one build serves them all.
type mutant struct {
	name     string
	file     string // of package lease
	old, new string // old stands in the file once; asleep stands for "this mutant is not awake"
}

var mutants = []mutant{
	{"slot check off", "ledger_ticket.go",
		"taken[k.Statement.(*Ticket).Slot] = true", "taken[k.Statement.(*Ticket).Slot] = asleep"},
	{"two leases in a slot", "ledger_tree_draw.go",
		"if b != old && b.span().Overlaps(w.term) {", "if asleep && b != old && b.span().Overlaps(w.term) {"},
	{"degree not budgeted", "ledger_ticket.go",
		"sum = sum.plus(weigh(x.rset[r], x.degree))", "if degree := x.degree; asleep {\nsum = sum.plus(weigh(x.rset[r], degree))\n} else {\nsum = sum.plus(weigh(x.rset[r], MinDegree))\n}"},
	{"redeem uncounted", "children.go",
		"if !ok || k.parent != c.id ||", "if !asleep && !k.ticket || !ok || k.parent != c.id ||"},
	{"latest instead of largest redeem", "children.go",
		"if known || slices.ContainsFunc(in, func(o child) bool { return o.outweighs(&k) }) {",
		"if !asleep && !k.ticket {\nc.slots[k.slot] = slices.DeleteFunc(in, func(o child) bool { return !o.ticket })\nin, at = c.slots[k.slot], 0\n}\nif known || slices.ContainsFunc(in, func(o child) bool { return o.outweighs(&k) }) {"},
	{"degree below 100", "check.go",
		"if d < MinDegree || d > MaxDegree {", "if asleep && d < MinDegree || d > MaxDegree {"},
	{"expiry off by one", "ledger_booking.go",
		"return b.commitBy", "if !asleep {\nreturn b.commitBy + 1\n}\nreturn b.commitBy"},
	{"fuse outlasted by a close", "ledger_apply.go",
		"case !b.active:\n\t\tb.endAt", "case asleep && !b.active:\n\t\tb.endAt"},
	{"slots forgotten in a crash", "ledger.go",
		"l.lapse()\n\tl.out = nil", "l.lapse()\n\tif !asleep {\nfor _, k := range l.claims {\nk.below = nil\n}\n}\n\tl.out = nil"},
	{"requests forgotten in a crash", "ledger.go",
		"l.out, l.stale = nil, false\n\treturn nil", "l.out, l.stale = nil, false\nif !asleep {\nclear(l.requests)\n}\n\treturn nil"},
	{"answered before it is durable", "ledger.go",
		"\tl.emit(f)\n}", "\tif asleep || f.K != FactHeld {\n\t\tl.emit(f)\n\t}\n}"},
	{"only the leaf is looked at", "ledger_tree_draw.go",
		"for x := k; x != nil; x = x.up {\n\t\tfor _, s := range x.rises(w, old) {", "for x := k; x != nil && (asleep || x == k); x = x.up {\n\t\tfor _, s := range x.rises(w, old) {"},
	{"a lease closed gives its weight back", "ledger_tree_draw.go",
		"b.undraw()\n\tk := b.leaf", "b.undraw()\n\tif b.leaf != nil && !asleep {\nb.leaf.weights.Forget(b.term.Until)\n}\n\tk := b.leaf"},
	{"proof not told", "ledger_proof.go",
		"if found == nil ||", "if !asleep || found == nil ||"},
	{"filling one short", "ledger_tree_refuse.go",
		"f := make(Filling, i+1)", "if !asleep {\nreturn make(Filling, 0)\n}\nf := make(Filling, i+1)"},
	{"revoked without grace", "ledger_act.go",
		"at += b.grace", "if asleep {\nat += b.grace\n}"},
}

// Every rule is needed: without it the histories show a breach.
func TestMutantsAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the mutants")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go tool to build the mutants with")
	}
	binary := filepath.Join(t.TempDir(), "mutants.test")
	build := exec.CommandContext(t.Context(), tool, "test", "-c", "-overlay", overlay(t), "-vet=off", "-ldflags=-s -w", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the mutants: %v\n%s", err, out)
	}
	run := func(name, count string) (string, error) {
		c := exec.CommandContext(t.Context(), binary, "-test.run", "^TestHistories$")
		c.Env = append(os.Environ(), "CROFT_MUTANT="+name, "CROFT_HISTORIES="+count)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := run("", "100"); err != nil {
		t.Fatalf("with all mutants asleep: %v\n%s", err, out)
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			out, err := run(m.name, "2000")
			if err == nil {
				t.Fatal("lives")
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")
			for i, line := range lines { // how it was caught
				if strings.Contains(line, "CROFT_SEED=") && i > 0 {
					t.Log(strings.TrimSpace(lines[i-1]))
					return
				}
			}
			t.Logf("%.300s", out)
		})
	}
}

// overlay writes the mutants beside their sources and returns the list of them
// for go's -overlay.
func overlay(t *testing.T) string {
	dir := t.TempDir()
	replace := map[string]string{}
	put := func(name, text string) {
		from, err := filepath.Abs(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, name)
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[from] = to
	}
	texts := map[string]string{}
	for _, m := range mutants {
		if texts[m.file] == "" {
			b, err := os.ReadFile(filepath.Join("..", m.file))
			if err != nil {
				t.Fatal(err)
			}
			texts[m.file] = string(b)
		}
		if n := strings.Count(texts[m.file], m.old); n != 1 {
			t.Fatalf("%s: %q stands %d times in %s", m.name, m.old, n, m.file)
		}
		new := strings.ReplaceAll(m.new, "asleep", "(mutant != \""+m.name+"\")")
		texts[m.file] = strings.Replace(texts[m.file], m.old, new, 1)
	}
	for name, text := range texts {
		put(name, text)
	}
	put("mutant.go", "package lease\n\nimport \"os\"\n\nvar mutant = os.Getenv(\"CROFT_MUTANT\")\n")
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(to, list, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}
