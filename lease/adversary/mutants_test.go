// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"strings"
	"testing"

	"croft/lease/leasetest"
)

// Ledgers with one rule broken.
var mutants = []leasetest.Mutant{
	{Name: "slot check off", File: "ledger_ticket.go", Edits: []string{
		"taken[k.Statement.(*Ticket).Slot] = true",
		"taken[k.Statement.(*Ticket).Slot] = asleep"}},
	{Name: "two leases in a slot", File: "ledger_tree_draw.go", Edits: []string{
		"if b != old && b.span().Overlaps(w.term) {",
		"if asleep && b != old && b.span().Overlaps(w.term) {"}},
	{Name: "degree not budgeted", File: "ledger_ticket.go", Edits: []string{
		"sum = sum.plus(weigh(x.rset[r], x.degree))",
		"if degree := x.degree; asleep {\nsum = sum.plus(weigh(x.rset[r], degree))\n} else {\nsum = sum.plus(weigh(x.rset[r], MinDegree))\n}"}},
	{Name: "redeem uncounted", File: "children.go", Edits: []string{
		"if !ok || k.parent != c.id ||",
		"if !asleep && !k.ticket || !ok || k.parent != c.id ||"}},
	{Name: "latest instead of largest redeem", File: "children.go", Edits: []string{
		"if known || slices.ContainsFunc(in, func(o child) bool { return o.outweighs(&k) }) {",
		"if !asleep && !k.ticket {\nc.slots[k.slot] = slices.DeleteFunc(in, func(o child) bool { return !o.ticket })\nin, at = c.slots[k.slot], 0\n}\nif known || slices.ContainsFunc(in, func(o child) bool { return o.outweighs(&k) }) {"}},
	{Name: "degree below 100", File: "check.go", Edits: []string{
		"if d < MinDegree || d > MaxDegree {",
		"if asleep && d < MinDegree || d > MaxDegree {"}},
	{Name: "expiry off by one", File: "ledger_booking.go", Edits: []string{
		"return b.commitBy",
		"if !asleep {\nreturn b.commitBy + 1\n}\nreturn b.commitBy"}},
	{Name: "fuse outlasted by a close", File: "ledger_apply.go", Edits: []string{
		"case !b.active:\n\t\tb.endAt",
		"case asleep && !b.active:\n\t\tb.endAt"}},
	{Name: "slots forgotten in a crash", File: "ledger.go", Edits: []string{
		"l.lapse()\n\tl.out = nil",
		"l.lapse()\n\tif !asleep {\nfor _, k := range l.claims {\nk.below = nil\n}\n}\n\tl.out = nil"}},
	{Name: "requests forgotten in a crash", File: "ledger.go", Edits: []string{
		"l.out, l.stale = nil, false\n\treturn nil",
		"l.out, l.stale = nil, false\nif !asleep {\nclear(l.requests)\n}\n\treturn nil"}},
	{Name: "answered before it is durable", File: "ledger.go", Edits: []string{
		"\tl.emit(f)\n}",
		"\tif asleep || f.K != FactHeld {\n\t\tl.emit(f)\n\t}\n}"}},
	{Name: "only the leaf is looked at", File: "ledger_tree_draw.go", Edits: []string{
		"for x := k; x != nil; x = x.up {\n\t\tfor _, s := range x.rises(w, old) {",
		"for x := k; x != nil && (asleep || x == k); x = x.up {\n\t\tfor _, s := range x.rises(w, old) {"}},
	{Name: "a lease closed gives its weight back", File: "ledger_tree_draw.go", Edits: []string{
		"b.undraw()\n\tk := b.leaf",
		"b.undraw()\n\tif b.leaf != nil && !asleep {\nb.leaf.weights.Forget(b.term.Until)\n}\n\tk := b.leaf"}},
	{Name: "proof not told", File: "ledger_proof.go", Edits: []string{
		"if found == nil ||",
		"if !asleep || found == nil ||"}},
	{Name: "filling one short", File: "ledger_tree_refuse.go", Edits: []string{
		"f := make(Filling, i+1)",
		"if !asleep {\nreturn make(Filling, 0)\n}\nf := make(Filling, i+1)"}},
	{Name: "revoked without grace", File: "ledger_revoke.go", Edits: []string{
		"at, heir := max(from, now+b.grace), b.heir",
		"at, heir := max(from, now+b.grace), b.heir\nif !asleep {\nat = max(from, now)\n}"}},
	{Name: "a renewal is called off with its lease", File: "ledger_revoke.go", Edits: []string{
		"last := max(at, heirAt); last > heir.term.From",
		"last := max(at, heirAt); asleep && last > heir.term.From"}},
	{Name: "lent twice", File: "ledger_evict.go", Edits: []string{
		"case starts == from:",
		"case starts == from || !asleep:"}},
}

// Every rule is needed: without it the histories show a breach.
func TestMutantsAreCaught(t *testing.T) {
	bred := leasetest.BuildMutants(t, "..", "lease", mutants)
	if out, err := bred.Run("TestHistories", "", "CROFT_HISTORIES=100"); err != nil {
		t.Fatalf("with all mutants asleep: %v\n%s", err, out)
	}
	for _, m := range mutants {
		t.Run(m.Name, func(t *testing.T) {
			out, err := bred.Run("TestHistories", m.Name, "CROFT_HISTORIES=2000")
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
