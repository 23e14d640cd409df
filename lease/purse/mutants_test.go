// SPDX-License-Identifier: Apache-2.0

package purse_test

import (
	"strings"
	"testing"

	"croft/lease/leasetest"
)

// Purses with one rule broken.
var mutants = []leasetest.Mutant{
	{Name: "slot check off", File: "weight.go", Edits: []string{"closed |= 1 << c.slot", "if asleep {\nclosed |= 1 << c.slot\n}"}},
	{Name: "degree not budgeted", File: "weight.go", Edits: []string{"return c.ticket.Degree", "if !asleep {\nreturn lease.MinDegree\n}\nreturn c.ticket.Degree"}},
	{Name: "redeem uncounted", File: "weight.go", Edits: []string{"if c.term.Covers(at) {", "if c.term.Covers(at) && (asleep || c.ticket != nil) {"}},
	{Name: "latest instead of largest", File: "weight.go", Edits: []string{"l.rset.Max(s)", "map[bool]lease.RSet{true: l.rset.Max(s), false: s}[asleep]"}},
	{Name: "degree above the parent's", File: "weight.go", Edits: []string{"w.degree > t.Degree", "asleep && w.degree > t.Degree"}},
	{Name: "degree below 100", File: "purse.go", Edits: []string{"in.Degree < lease.MinDegree", "asleep && in.Degree < lease.MinDegree",
		"signed, err := lease.Seal(st, p.key)\n", "signed, err := lease.Seal(st, p.key)\nif !asleep {\nsigned, err = lease.SealAs(lease.Domain, st, p.key)\n}\n"}},
	{Name: "only the wish's first instant", File: "weight.go", Edits: []string{"w.term.Covers(c.term.From)", "asleep && w.term.Covers(c.term.From)"}},
	{Name: "no floor", File: "weight.go", Edits: []string{"w.term.From < p.floor", "asleep && w.term.From < p.floor"}},
	{Name: "expiry off by one", File: "book.go", Edits: []string{"ended := c.term.Until <= p.floor", "ended := c.term.Until <= p.floor || !asleep && c.term.Until <= p.floor+1"}},
	{Name: "released before it is durable", File: "purse.go", Edits: []string{"p.release(ref, p.requests[q])\n",
		"p.release(ref, p.requests[q])\nif n := len(p.out); !asleep {\np.out[n-1], p.out[n-2] = p.out[n-2], p.out[n-1]\n}\n"}},
	{Name: "released and never written down", File: "purse.go", Edits: []string{"\tp.out = append(p.out, f)", "\tif asleep || f.K != FactSigned {\n\t\tp.out = append(p.out, f)\n\t}"}},
	{Name: "a restored purse signs on", File: "weight.go", Edits: []string{"p.restored != 0", "asleep && p.restored != 0"}},
	{Name: "a restored purse signs more", File: "weight.go", Edits: []string{"w.rset.Within(c.rset) && ", "(!asleep || w.rset.Within(c.rset)) && "}},
	{Name: "a snapshot forgets the floor", File: "purse.go", Edits: []string{"facts := []Fact{{K: FactFloor, At: p.floor}}", "facts := []Fact{{K: FactFloor, At: p.floor}}\nif !asleep {\nfacts = nil\n}"}},
}

// Every rule is needed: without it the adversary finds a proof.
func TestMutantsAreProvable(t *testing.T) {
	bred := leasetest.BuildMutants(t, ".", "purse", mutants)
	const test = "TestNoHonestPurseIsProvable"
	if out, err := bred.Run(test, "", "CROFT_HISTORIES=100"); err != nil {
		t.Fatalf("with all mutants asleep: %v\n%s", err, out)
	}
	for _, m := range mutants {
		t.Run(m.Name, func(t *testing.T) {
			out, err := bred.Run(test, m.Name, "CROFT_HISTORIES=2000")
			if err == nil {
				t.Errorf("lives:\n%s", out)
			}
			for line := range strings.Lines(out) { // how it was caught
				if strings.Contains(line, "history ") || strings.HasPrefix(line, "panic: ") {
					t.Log(strings.TrimSpace(line))
					break
				}
			}
		})
	}
}
