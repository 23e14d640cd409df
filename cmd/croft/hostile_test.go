// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
)

// What a stranger may call a ticket: verify and keep refuse each with a reason of
// its own, in bounded time, and the purse stays empty.
func TestHostileTickets(t *testing.T) {
	now := time.Now().Unix() - leasetest.Epoch
	drawing := func(s string) []byte {
		s = strings.Replace(s, "cap(", fmt.Sprintf("cap(n1 %ds..%ds ", now-60, now+86_400), 1)
		return lease.Armour(leasetest.Draw(t, s).Last().Chain())
	}
	good := leasetest.Draw(t, fmt.Sprintf("cap(n1 cpu=4 @150 %ds..%ds) -> t0(alice cpu=2)", now-60, now+86_400)).Last().Chain()
	deep := "cap(cpu=4)" + strings.Repeat(" -> t0(alice)", lease.MaxDepth)
	block := func(payload []byte) []byte {
		return []byte("-----BEGIN CROFT TICKET-----\n" + base64.StdEncoding.EncodeToString(payload) + "\n-----END CROFT TICKET-----\n")
	}
	whole, err := lease.Encode(good)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := lease.Open(good[1])
	if err != nil {
		t.Fatal(err)
	}
	other, err := lease.SealAs("croft/offer/1\n", leaf.Statement, leasetest.Key("n1"))
	if err != nil {
		t.Fatal(err)
	}
	itself := *leaf.Statement.(*lease.Ticket)
	itself.Parent = leaf.ID // as near as a statement comes to naming itself
	selfParented, err := lease.Seal(&itself, leasetest.Key("n1"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good[1])
	flipped[len(flipped)-1] ^= 1
	longer := bytes.Clone(good[1]) // the same value, one byte longer than it must be
	longer = append([]byte{0x98, 2}, longer[1:]...)

	for _, c := range []struct {
		name, reason string
		text         []byte
	}{
		{"garbage", "syntax", []byte("hello")},
		{"empty", "syntax", nil},
		{"cut in its text", "syntax", lease.Armour(good)[:200]},
		{"cut in its encoding", "syntax", block(whole[:len(whole)-9])},
		{"a list that is too long", "depth", lease.Armour(make([][]byte, lease.MaxDepth+2))},
		{"a statement that is too long", "too-big", lease.Armour([][]byte{make([]byte, lease.MaxStatement+1)})},
		{"a text that is too long", "too-big", bytes.Repeat([]byte(" "), lease.MaxArmour+1)},
		{"cut statement", "syntax", lease.Armour([][]byte{good[0], good[1][:50]})},
		{"non-canonical", "not-canonical", lease.Armour([][]byte{good[0], longer})},
		{"non-canonical list", "not-canonical", block(append([]byte{0x98, 2}, whole[1:]...))},
		{"flipped bit", "signature", lease.Armour([][]byte{good[0], flipped})},
		{"forged", "signature", drawing("cap(cpu=4) -> t0(alice sig=mallory)")},
		{"wrong domain", "signature", lease.Armour([][]byte{good[0], other.Bytes()})},
		{"self-parented", "chain", lease.Armour([][]byte{good[0], selfParented.Bytes()})},
		{"its own parent", "chain", lease.Armour([][]byte{good[1], good[1]})},
		{"cyclic", "chain", lease.Armour([][]byte{good[0], good[1], good[1]})},
		{"no capacity", "chain", lease.Armour(good[1:])},
		{"no parent", "field", drawing("cap(cpu=4) -> t0(alice parent=none)")},
		{"mixed nodes", "wrong-node", drawing("cap(cpu=4) -> t0(alice node=n2)")},
		{"not the holder's", "not-holder", drawing("cap(cpu=4) -> t0(bob) -> t0(alice by=n1)")},
		{"a redeem", "kind", drawing("cap(cpu=4) -> t0(alice) -> r0()")},
		{"a capacity", "kind", drawing("cap(cpu=4)")},
		{"a lease", "chain", drawing("cap(cpu=4) -> t0(alice) -> r0() -> lease()")},
		{"too deep", "depth", drawing(deep)},
		{"slot 64", "field", drawing("cap(cpu=4) -> t64(alice)")},
		{"degree below 100", "degree", drawing("cap(cpu=4 @150) -> t0(alice @99)")},
		{"degree of 65535", "degree", drawing("cap(cpu=4 @150) -> t0(alice @65535)")},
		{"degree above the parent's", "exceeds", drawing("cap(cpu=4 @150) -> t0(alice @151)")},
		{"more than the parent", "exceeds", drawing("cap(cpu=4) -> t0(alice cpu=5)")},
		{"another resource", "exceeds", drawing("cap(cpu=4) -> t0(alice memory=1)")},
		{"an amount above all bounds", "rset", drawing("cap(cpu=18446744073709551615) -> t0(alice)")},
		{"empty rset", "rset", drawing("cap(cpu=4) -> t0(alice rset=none)")},
		{"term of zero", "term", drawing("cap(cpu=4) -> t0(alice 1h..1h)")},
		{"term that ends before it begins", "term", drawing("cap(cpu=4) -> t0(alice 2h..1h)")},
		{"term of two hundred years", "term", drawing("cap(cpu=4) -> t0(alice 0h..1752000h)")},
		{"longer than the parent", "exceeds", drawing(fmt.Sprintf("cap(cpu=4) -> t0(alice %ds..%ds)", now, now+90_000))},
		{"ended", "ended", drawing(fmt.Sprintf("cap(cpu=4) -> t0(alice %ds..%ds)", now-50, now-40))},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := t.TempDir()
			write := func(name string, b []byte) string {
				path := filepath.Join(home, name)
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			key, err := leasetest.Key("alice").Marshal("", nil)
			if err != nil {
				t.Fatal(err)
			}
			write("key", key)
			file := write("ticket", c.text)
			for _, verb := range []string{"verify", "keep"} {
				var told bytes.Buffer
				code := Main(t.Context(), []string{"--home", home, "--json", "ticket", verb, file}, strings.NewReader(""), io.Discard, &told)
				var why trouble
				if err := json.Unmarshal(told.Bytes(), &why); err != nil {
					t.Fatalf("%s: %v\n%s", verb, err, &told)
				}
				if why.Reason != c.reason || code == exitOK || code == exitUsage && verb == "verify" {
					t.Errorf("%s: code %d, reason %q, want %q: %s", verb, code, why.Reason, c.reason, why.Error)
				}
			}
			var list bytes.Buffer
			if code := Main(t.Context(), []string{"--home", home, "ticket", "list"}, strings.NewReader(""), &list, io.Discard); code != exitOK || list.Len() > 0 {
				t.Errorf("code %d, the purse holds %s", code, &list)
			}
		})
	}
	if _, err := lease.VerifyChain(good, leasetest.Who("n1")); err != nil {
		t.Errorf("what all of these were made of: %v", err)
	}
}
