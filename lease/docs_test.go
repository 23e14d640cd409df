// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/sign"
)

func document(t *testing.T, name string) string {
	b, err := os.ReadFile("../docs/protocol/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Every rule that a drawing cites is in the document, and every rule of the
// document, but for those about one statement, has a drawing that breaks it.
func TestRulesAreDocumentedAndBroken(t *testing.T) {
	var written []string
	for _, m := range regexp.MustCompile(`\*\*([SCAEDPF]\d+)\*\*`).FindAllStringSubmatch(document(t, "claims.md"), -1) {
		written = append(written, m[1])
	}
	broken := map[string]bool{
		"C1": true, // TestChainDepth: too long to draw
		"D4": true, // TestCapacityConflict: no child of anything
		"P1": true, // TestProofBytes: no proof to draw
	}
	cites := func(rule, drawing string, breaks bool) {
		if !slices.Contains(written, rule) {
			t.Errorf("%s is not in claims.md: %s", rule, drawing)
		}
		broken[rule] = broken[rule] || breaks
	}
	for _, c := range slices.Concat(chains, answers, ends, fillings) {
		cites(c.rule, c.drawing, c.verdict != "ok")
	}
	for _, c := range proofs {
		// A proof of dishonour that holds is what breaks the rule about refusals.
		cites(c.rule, c.drawing, c.verdict != "ok")
	}
	for _, c := range conflicts {
		cites(c.rule, c.drawing, c.kind != 0)
	}
	for _, rule := range written {
		if rule[0] != 'S' && !broken[rule] { // the hostile vectors break S
			t.Errorf("%s is broken by no drawing", rule)
		}
	}
}

// The grammar has the fields of the code, optional where the code leaves zeros out.
func TestGrammarIsTheCode(t *testing.T) {
	groups := regexp.MustCompile(`(?s)\n(\w+) = \{\n(.*?)\n\}`).FindAllStringSubmatch(document(t, "claims.cddl"), -1)
	field := regexp.MustCompile(`(\? )?(\d+) => `)
	grammar := map[string][]string{}
	for _, g := range groups {
		for _, f := range field.FindAllStringSubmatch(g[2], -1) {
			grammar[g[1]] = append(grammar[g[1]], f[1]+f[2])
		}
	}
	for _, st := range []lease.Statement{new(lease.Capacity), new(lease.Ticket), new(lease.Redeem), new(lease.Ask),
		new(lease.Hold), new(lease.Lease), new(lease.Close), new(lease.Revoke), new(lease.Reject), new(lease.Grant)} {
		code := fieldsOf(reflect.TypeOf(st).Elem())
		name := st.Kind().String()
		if !slices.Equal(grammar[name], code) {
			t.Errorf("%s: grammar %q, code %q", name, grammar[name], code)
		}
		number := regexp.MustCompile(fmt.Sprintf(`%s = \{\n  0 => %d,`, name, st.Kind()))
		if !number.MatchString(document(t, "claims.cddl")) {
			t.Errorf("%s is not kind %d in the grammar", name, st.Kind())
		}
		delete(grammar, name)
	}
	if !slices.Equal(grammar["site"], fieldsOf(reflect.TypeFor[sign.SiteCert]())) {
		t.Errorf("site: grammar %q", grammar["site"])
	}
	delete(grammar, "site")
	if len(grammar) != 0 {
		t.Errorf("the grammar has more: %v", grammar)
	}
}

// fieldsOf lists a struct's keys as the grammar writes them.
func fieldsOf(of reflect.Type) (keys []string) {
	for _, f := range reflect.VisibleFields(of) {
		key, options, _ := strings.Cut(f.Tag.Get("cbor"), ",")
		if strings.Contains(options, "omit") {
			key = "? " + key
		}
		keys = append(keys, key)
	}
	return keys
}

// Resources keep their numbers: the document's table is the code's.
func TestResourceNumbersAreDocumented(t *testing.T) {
	rows := regexp.MustCompile("(?m)^\\| (\\d+)(?:, (\\d+))? \\| `([a-z.]+)`(?:, `([a-z.]+)`)? \\|").FindAllStringSubmatch(document(t, "claims.md"), -1)
	var got []string
	for _, r := range rows {
		got = append(got, r[1]+" "+r[3])
		if r[2] != "" {
			got = append(got, r[2]+" "+r[4])
		}
	}
	var want []string
	for r := range lease.NumResources {
		want = append(want, fmt.Sprintf("%d %s", r, lease.Resource(r)))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The bounds that the document gives in bytes are those of the code.
func TestBoundsAreDocumented(t *testing.T) {
	text := document(t, "claims.md")
	for what, n := range map[string]int{"proof": lease.MaxProof, "filling": lease.MaxFilling, "conflict": lease.MaxConflict} {
		if digits := fmt.Sprintf("%d,%03d", n/1000, n%1000); !strings.Contains(text, digits) {
			t.Errorf("%s: claims.md does not say %s", what, digits)
		}
	}
}

// Every error has a word, no two are alike, and the document says those of proofs.
func TestEveryErrorHasAWord(t *testing.T) {
	code, err := os.ReadFile("errors.go")
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("code.go")
	if err != nil {
		t.Fatal(err)
	}
	text := document(t, "claims.md")
	words := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\s(Err\w+)\s+= errors\.New`).FindAllStringSubmatch(string(code), -1) {
		row := regexp.MustCompile(`\{"([a-z-]+)", ` + m[1] + `\}`).FindStringSubmatch(string(table))
		if row == nil {
			t.Errorf("code.go has no word for %s", m[1])
			continue
		}
		if other, taken := words[row[1]]; taken {
			t.Errorf("%s and %s are both %s", m[1], other, row[1])
		}
		if words[row[1]] = m[1]; regexp.MustCompile("^(proof|filling|off)-").MatchString(row[1]) && !strings.Contains(text, "`"+row[1]+"`") {
			t.Errorf("claims.md does not say %s", row[1])
		}
	}
	if len(words) < 30 {
		t.Errorf("found %d errors only", len(words))
	}
}
