// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

func armoured(t testing.TB) (chain [][]byte, text string) {
	chain = leasetest.Draw(t, "cap(n1 cpu=4 memory=1GiB) -> t0(alice) -> t3(bob cpu=2)").Last().Chain()
	return chain, string(lease.Armour(chain))
}

func TestArmourSurvivesMail(t *testing.T) {
	chain, text := armoured(t)
	join := strings.NewReplacer("\n", "").Replace
	lines := func(text, head, tail string) string {
		var b strings.Builder
		for line := range strings.Lines(text) {
			b.WriteString(head + strings.TrimSuffix(line, "\n") + tail)
		}
		return b.String()
	}
	for name, mail := range map[string]string{
		"as it is":           text,
		"with words around":  "Dear Bob,\nhere it is.\n\n" + text + "-- \nAlice > > |\n",
		"CRLF":               lines(text, "", "\r\n"),
		"CR":                 lines(text, "", "\r"),
		"quoted":             lines(text, "> ", "\n"),
		"quoted twice":       lines(text, "> >> ", "\n"),
		"quoted with bars":   lines(text, " | ", "\n"),
		"indented":           lines(text, "\t   ", "  \n"),
		"spaced":             lines(text, "\u00a0", "\n\n"),
		"one line":           lines(text, "", " "),
		"with no space":      join(text),
		"wrapped at 50":      wrap(text, 50),
		"wrapped and quoted": lines(wrap(text, 31), ">", "\r\n"),
	} {
		got, err := lease.ParseArmour([]byte(mail))
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], chain) {
			t.Errorf("%s: got %d chains, %v", name, len(got), err)
		}
	}
	if got, err := lease.ParseArmour([]byte(text + "and\n" + text)); err != nil || len(got) != 2 {
		t.Errorf("two: got %d, %v", len(got), err)
	}
}

func wrap(text string, at int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		for ; len(line) > at && !strings.HasPrefix(line, "-"); line = line[at:] {
			b.WriteString(line[:at] + "\n")
		}
		b.WriteString(line)
	}
	return b.String()
}

func TestArmourRefuses(t *testing.T) {
	_, text := armoured(t)
	block := func(payload []byte) string {
		return "-----BEGIN CROFT TICKET-----\n" + base64.StdEncoding.EncodeToString(payload) + "\n-----END CROFT TICKET-----\n"
	}
	encoded := func(v any) string {
		b, err := lease.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		return block(b)
	}
	half := len(text) / 2
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":              {"", lease.ErrSyntax},
		"no block":             {"Dear Bob", lease.ErrSyntax},
		"a key":                {"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", lease.ErrSyntax},
		"no end":               {text[:half], lease.ErrSyntax},
		"begun twice":          {text[:half] + text, lease.ErrSyntax},
		"the second is cut":    {text + text[:half], lease.ErrSyntax},
		"a line is missing":    {text[:29+65] + text[29+130:], lease.ErrSyntax},
		"words inside":         {text[:half] + "!" + text[half:], lease.ErrSyntax},
		"empty":                {block(nil), lease.ErrSyntax},
		"no statement":         {block([]byte{0x80}), lease.ErrSyntax},
		"not a list":           {block([]byte{0x41, 0}), lease.ErrSyntax},
		"a longer head":        {block([]byte{0x98, 1, 0x41, 0}), lease.ErrNotCanonical},
		"no end to the list":   {block([]byte{0x9f, 0x41, 0, 0xff}), lease.ErrSyntax},
		"something after":      {block([]byte{0x81, 0x41, 0, 0}), lease.ErrSyntax},
		"too many statements":  {encoded(make([][]byte, lease.MaxDepth+2)), lease.ErrDepth},
		"a statement too long": {encoded([][]byte{make([]byte, lease.MaxStatement+1)}), lease.ErrTooBig},
		"a chain too long":     {encoded([][]byte{make([]byte, 2*lease.MaxChain)}), lease.ErrTooBig},
		"a text too long":      {text + strings.Repeat(" ", lease.MaxArmour), lease.ErrTooBig},
	} {
		if got, err := lease.ParseArmour([]byte(c.text)); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: got %d chains, %v, want %v", name, len(got), err, c.want)
		}
	}
	full := make([][]byte, lease.MaxDepth+1)
	for i := range full {
		full[i] = make([]byte, lease.MaxStatement)
	}
	if got, err := lease.ParseArmour(lease.Armour(full)); err != nil || !reflect.DeepEqual(got[0], full) {
		t.Errorf("the longest chain: %v", err)
	}
	if got := len(lease.Armour(full)); got*40 > lease.MaxArmour {
		t.Errorf("a text of %d bytes holds fewer than 40 blocks of %d", lease.MaxArmour, got)
	}
}

func FuzzParseArmour(f *testing.F) {
	_, text := armoured(f)
	f.Add([]byte(text))
	f.Add([]byte("> " + strings.ReplaceAll(text, "\n", "\r\n> ")))
	f.Add([]byte(text[:len(text)/2]))
	f.Add([]byte(fmt.Sprintf("-----BEGIN CROFT TICKET-----%s-----END CROFT TICKET-----", "gUEA")))
	f.Fuzz(func(t *testing.T, b []byte) {
		chains, err := lease.ParseArmour(b)
		if err != nil {
			return
		}
		var again []byte
		for _, c := range chains {
			again = append(again, lease.Armour(c)...)
		}
		if got, err := lease.ParseArmour(again); err != nil || !reflect.DeepEqual(got, chains) {
			t.Errorf("does not read back: %v", err)
		}
	})
}
