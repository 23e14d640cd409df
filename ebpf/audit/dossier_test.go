// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// asserted is what node says to who saw the packets of a segment of a book.
func asserted(t testing.TB, node string, segment int64, change func(*Assertion)) OpenedAssertion {
	t.Helper()
	q := Who{Src: netip.MustParseAddrPort("198.51.5.5:2500"), Dst: remote, At: (segment + 1) * 300 * second, Within: second}
	a := NewAssertion(leasetest.Who(node), q, Finding{Slices: []string{"a@x"}}, false, 0, 9000*second)
	if change != nil {
		change(&a)
	}
	o, err := SealAssertion(a, leasetest.Key(node))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func word(t testing.TB, b *book, witness string, size uint64) OpenedWitnessed {
	t.Helper()
	w, err := SealWitnessed(Witnessed{Witness: leasetest.Who(witness), Head: b.head(t, size).Bytes, First: 1, At: 9000 * second}, leasetest.Key(witness))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// judged has a dossier travel as text, as mail does it, before it is judged.
func judged(t testing.TB, d Dossier) Judgement {
	t.Helper()
	text := "See below.\n\n> " + strings.ReplaceAll(string(d.Text()), "\n", "\r\n> ")
	again, err := ParseDossier([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return again.Judge()
}

func TestDossierBearsOutAnAnswer(t *testing.T) {
	b := newBook(t, "n1", 1, 3, 9, 1, 4, 2)
	tenure := func(segment uint64) uint64 { return b.trees[segment].Size() - 1 }
	j := judged(t, Dossier{
		Answers: []OpenedAssertion{asserted(t, "n1", 1, nil)},
		Proofs:  []Proof{b.inclusion(t, 5, 1, 0, 1, tenure(1)), b.consistency(t, 2, 5), b.consistency(t, 4, 5)},
		Words:   []OpenedWitnessed{word(t, b, "w1", 5), word(t, b, "w2", 2), word(t, b, "w3", 4), word(t, b, "w4", 3), word(t, b, "w5", 1)},
	})
	a := j.Answers[0]
	if !j.Holds() || len(a.Unshown) > 0 || j.Verdict().String() != "exact" || len(a.Found.Answers[0].Rows) != 2 {
		t.Errorf("holds %t, answer %+v", j.Holds(), a)
	}
	// The heads of w1, w2 and w3 are tied to the proof's by what was brought, those
	// of w4 and w5 are not; and all but w5's were signed with segment 1 in them.
	for i, want := range []bool{true, true, true, false, false} {
		w := j.Words[i]
		if covers := slices.Equal(w.Covers, []uint64{1}); w.Joined != want || covers != want {
			t.Errorf("word %d: joined %t, covers %v, want %t", i+1, w.Joined, w.Covers, want)
		}
	}
}

func TestDossierFindsWhatDoesNotFit(t *testing.T) {
	b, other := newBook(t, "n1", 1, 3, 9, 1, 4, 2), newBook(t, "n1", 2, 3, 9, 1, 4, 2)
	tenure := b.trees[1].Size() - 1
	honest := Dossier{Answers: []OpenedAssertion{asserted(t, "n1", 1, nil)}, Proofs: []Proof{b.inclusion(t, 5, 1, 0, tenure)}}
	for name, c := range map[string]struct {
		change func(*Dossier)
		holds  bool
		shown  bool
		forks  int
	}{
		"nothing wrong":                 {func(*Dossier) {}, true, true, 0},
		"no proof":                      {func(d *Dossier) { d.Proofs = nil }, true, false, 0},
		"no tenure":                     {func(d *Dossier) { d.Proofs = []Proof{b.inclusion(t, 5, 1, 0)} }, true, false, 0},
		"rows of another time":          {func(d *Dossier) { d.Proofs = []Proof{b.inclusion(t, 5, 3, 0, b.trees[3].Size()-1)} }, true, false, 0},
		"another node's proof":          {func(d *Dossier) { d.Answers = []OpenedAssertion{asserted(t, "n2", 1, nil)} }, true, false, 0},
		"a proof that shows nothing":    {func(d *Dossier) { d.Proofs[0].(*Inclusion).Leaves[0].Salt[0]++ }, false, false, 0},
		"a witness saw another log":     {func(d *Dossier) { d.Words = []OpenedWitnessed{word(t, other, "w", 5)} }, false, true, 1},
		"a witness saw another, before": {func(d *Dossier) { d.Words = []OpenedWitnessed{word(t, other, "w", 4)} }, true, true, 0},
		"two contents of one segment":   {func(d *Dossier) { d.Proofs = append(d.Proofs, other.inclusion(t, 4, 1, 0)) }, false, true, 1},
		"the answer leaves a slice out": {func(d *Dossier) {
			d.Answers = []OpenedAssertion{asserted(t, "n1", 1, func(a *Assertion) { a.Slices = nil })}
		}, false, true, 0},
		"a fork": {func(d *Dossier) {
			f, _ := ForkOfHeads(b.head(t, 3), other.head(t, 3))
			d.Proofs = append(d.Proofs, f)
		}, false, true, 0}, // told by the proof itself
	} {
		d := Dossier{Answers: honest.Answers, Proofs: []Proof{b.inclusion(t, 5, 1, 0, tenure)}}
		c.change(&d)
		j := judged(t, d)
		if j.Holds() != c.holds || (len(j.Answers[0].Unshown) == 0) != c.shown || len(j.Forks) != c.forks {
			t.Errorf("%s: holds %t, unshown %v, %d forks, want %t %t %d", name, j.Holds(), j.Answers[0].Unshown, len(j.Forks), c.holds, c.shown, c.forks)
		}
		for _, f := range j.Forks {
			if _, err := VerifyProof(f.Bytes()); err != nil {
				t.Errorf("%s: the fork does not verify by itself: %v", name, err)
			}
		}
	}
}

// Behind a site's translator the port says nothing, and neither does the record of
// one node.
func TestVerdicts(t *testing.T) {
	said := func(nat bool, slices ...string) Assertion { return Assertion{NAT: nat, Slices: slices} }
	for _, c := range []struct {
		want    string
		answers []Assertion
	}{
		{"none", nil},
		{"none", []Assertion{said(false), said(true)}},
		{"exact", []Assertion{said(false, "a@x")}},
		{"exact", []Assertion{said(false, "a@x"), said(true)}},
		{"exact", []Assertion{said(false, "a@x"), said(false, "a@x")}},
		{"one of 2 slices", []Assertion{said(false, "a@x", "b@y")}},
		{"one of 2 slices", []Assertion{said(false, "b@y"), said(false, "a@x")}},
		{"not determinable: site NAT", []Assertion{said(true, "a@x")}},
		{"not determinable: site NAT", []Assertion{said(false, "a@x"), said(true, "b@y")}},
	} {
		if got := Combine(c.answers).String(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.answers, got, c.want)
		}
	}
	b := newBook(t, "n1", 1, 3)
	nat := asserted(t, "n1", 0, func(a *Assertion) {
		a.NAT, a.Src = true, EndpointOf(netip.MustParseAddrPort("198.51.5.5:61234")) // in nobody's block
	})
	j := judged(t, Dossier{Answers: []OpenedAssertion{nat}, Proofs: []Proof{b.inclusion(t, 1, 0, 0, b.trees[0].Size()-1)}})
	if len(j.Answers[0].Unshown) > 0 || j.Verdict().String() != "not determinable: site NAT" {
		t.Errorf("%+v", j.Answers[0])
	}
}

func TestAssertionsThatCannotBe(t *testing.T) {
	good := asserted(t, "n1", 1, nil)
	for name, change := range map[string]func(*Assertion){
		"names not in order": func(a *Assertion) { a.Slices = []string{"b", "a"} },
		"a name twice":       func(a *Assertion) { a.Slices = []string{"a", "a"} },
		"no source":          func(a *Assertion) { a.Src = Endpoint{Addr: []byte{}} },
		"no destination":     func(a *Assertion) { a.Dst = Endpoint{Addr: []byte{1, 2, 3}} },
		"a window of a day":  func(a *Assertion) { a.Within = 24 * 3600 * second },
		"never":              func(a *Assertion) { a.Made = 0 },
	} {
		bad := good.Assertion
		change(&bad)
		if _, err := SealAssertion(bad, leasetest.Key("n1")); !errors.Is(err, ErrField) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := SealAssertion(good.Assertion, leasetest.Key("n2")); !errors.Is(err, lease.ErrSignature) {
		t.Errorf("signed by another: %v", err)
	}
}

func FuzzParseDossier(f *testing.F) {
	b := newBook(f, "n1", 1, 3, 9)
	f.Add(Dossier{Answers: []OpenedAssertion{asserted(f, "n1", 1, nil)}, Proofs: []Proof{b.inclusion(f, 2, 1, 0), b.consistency(f, 1, 2)},
		Words: []OpenedWitnessed{word(f, b, "w", 2)}}.Text())
	f.Fuzz(func(t *testing.T, text []byte) {
		if d, err := ParseDossier(text); err == nil {
			d.Judge()
		}
	})
}

// An answer that counts slices without naming them is no contradiction to rows
// that name as many, and one to rows that name more.
func TestDossierWithNamesWithheld(t *testing.T) {
	b := newBook(t, "n1", 1, 3, 9, 1, 4, 2)
	tenure := b.trees[1].Size() - 1
	for withheld, holds := range map[int]bool{0: false, 1: true} {
		a := asserted(t, "n1", 1, func(a *Assertion) { a.Slices, a.Withheld = nil, withheld })
		j := judged(t, Dossier{Answers: []OpenedAssertion{a}, Proofs: []Proof{b.inclusion(t, 5, 1, 0, 1, tenure)}})
		if j.Holds() != holds {
			t.Errorf("%d withheld: holds %v, unsaid %v", withheld, j.Holds(), j.Answers[0].Unsaid)
		}
	}
}

func TestVerdictsWithNamesWithheld(t *testing.T) {
	for want, answers := range map[string][]Assertion{
		"none":                       {{}, {}},
		"exact":                      {{Withheld: 1}, {}},
		"one of 2 slices":            {{Withheld: 1, Slices: []string{"a@x"}}},
		"one of at most 2 slices":    {{Withheld: 1}, {Slices: []string{"a@x"}}},
		"one of at most 5 slices":    {{Withheld: 2}, {Withheld: 3}},
		"not determinable: site NAT": {{Withheld: 1, NAT: true}, {}},
	} {
		if got := Combine(answers).String(); got != want {
			t.Errorf("%+v: %s, want %s", answers, got, want)
		}
	}
	f := Finding{Slices: []string{"a@x", "b@y"}, Answers: []Answer{{Tenure: Tenure{Slice: "a@x"}}, {Tenure: Tenure{Slice: "b@y"}}}}
	only := f.Only(func(s string) bool { return s == "b@y" })
	if only.Withheld != 1 || len(only.Answers) != 1 || only.Answers[0].Tenure.Slice != "b@y" || len(f.Slices) != 2 || f.Answers[0].Tenure.Slice != "a@x" {
		t.Errorf("%+v of %+v", only, f)
	}
}
