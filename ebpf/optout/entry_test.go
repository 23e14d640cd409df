// SPDX-License-Identifier: Apache-2.0

package optout_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"croft/ebpf/optout"
	"croft/lease"
	"croft/lease/judge"
	"croft/lease/leasetest"
)

func TestWhatCannotBeAttested(t *testing.T) {
	for _, addr := range []string{"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "169.254.1.1", "::", "::1", "ff02::1", "fe80::1%eth0", "fe80::1"} {
		if _, err := optout.Attest(netip.MustParseAddr(addr), noon, time.Hour, [16]byte{}, leasetest.Key("a1")); !errors.Is(err, optout.ErrAddress) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for _, term := range []time.Duration{0, -time.Hour, optout.MaxTerm*time.Second + time.Second} {
		if _, err := optout.Attest(target, noon, term, [16]byte{}, leasetest.Key("a1")); !errors.Is(err, lease.ErrField) {
			t.Errorf("%s: %v", term, err)
		}
	}
	a, err := optout.Attest(netip.MustParseAddr("::ffff:203.0.113.9"), noon, optout.MaxTerm*time.Second, [16]byte{}, leasetest.Key("a1"))
	if err != nil || a.Addr != target {
		t.Errorf("%v, %v", a, err)
	}
}

func TestWhatIsNoEntry(t *testing.T) {
	other := netip.MustParseAddr("203.0.113.10")
	at := func(name string) optout.Opened { return attest(t, name, target, noon, time.Hour) }
	for name, by := range map[string][]optout.Opened{
		"two":               {at("a1"), at("b1")},
		"four":              {at("a1"), at("b1"), at("c1"), at("d1")},
		"one of them twice": {at("a1"), at("b1"), at("b1")},
		"two addresses":     {at("a1"), at("b1"), attest(t, "c1", other, noon, time.Hour)},
		"apart":             {at("a1"), at("b1"), attest(t, "c1", target, noon.Add(-time.Hour-time.Second), 3*time.Hour)},
		"never together":    {at("a1"), at("b1"), attest(t, "c1", target, noon.Add(-time.Minute), time.Minute)},
	} {
		if e, err := optout.Join(by); !errors.Is(err, optout.ErrEntry) {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
	e := entry(t, target, noon, time.Hour, "a1", "b1", "c1")
	swapped, err := lease.Encode(map[int][][]byte{1: {e.By[1].Bytes, e.By[0].Bytes, e.By[2].Bytes}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := optout.OpenEntry(swapped); !errors.Is(err, lease.ErrField) {
		t.Errorf("another order: %v", err)
	}
	again, err := optout.OpenEntry(e.Bytes)
	if err != nil || again.ID != e.ID || len(e.Bytes) > optout.MaxEntry {
		t.Errorf("%v, %v", again, err)
	}
	newer, err := lease.Encode(map[int]any{1: [][]byte{e.By[0].Bytes, e.By[1].Bytes, e.By[2].Bytes}, 9: 1})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "a field of a later version", fresh(optout.Config{}).Step(noon, optout.Local{Bytes: newer})[0].String(), "verdict ignore newer")
}

// The largest attestation and entry that can be are within their bounds.
func TestSizes(t *testing.T) {
	long := netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")
	far := time.Unix(1<<40, 0)
	e := entry(t, long, far, optout.MaxTerm*time.Second, "a1", "b1", "c1")
	if n := len(e.By[0].Bytes); n > optout.MaxAttestation {
		t.Errorf("an attestation of %d bytes", n)
	}
	if n := len(e.Bytes); n > optout.MaxEntry {
		t.Errorf("an entry of %d bytes", n)
	}
	if n := len(e.Text()); n > optout.MaxText/4 {
		t.Errorf("a text of %d bytes", n)
	}
	t.Logf("attestation %d bytes, entry %d, text %d", len(e.By[0].Bytes), len(e.Bytes), len(e.Text()))
}

func TestText(t *testing.T) {
	e := entry(t, target, noon, time.Hour, "a1", "b1", "c1")
	mailed := "> see\r\n> " + strings.ReplaceAll(e.Text(), "\n", "\r\n> ") + e.By[0].Text() + ".\n"
	by, err := optout.ParseText([]byte(mailed))
	if err != nil || len(by) != 3 {
		t.Fatalf("%v, %v", by, err)
	}
	if again, err := optout.Join(by); err != nil || !bytes.Equal(again.Bytes, e.Bytes) {
		t.Errorf("%v, %v", again, err)
	}
	for text, kind := range map[string]error{
		"": lease.ErrSyntax, "croft-optout:": lease.ErrSyntax, "croft-optout:AAAA": lease.ErrSyntax,
		strings.Repeat(" ", optout.MaxText+1): lease.ErrTooBig,
	} {
		if _, err := optout.ParseText([]byte(text)); !errors.Is(err, kind) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func TestInputsParseAgain(t *testing.T) {
	e := entry(t, target, noon, time.Hour, "a1", "b1", "c1")
	fetch := func(lease.Digest) ([]byte, bool) { return e.Bytes, true }
	for _, in := range []optout.Input{
		optout.Tick{}, optout.Local{Bytes: e.Bytes}, optout.Kept{Bytes: e.Bytes}, optout.Known{}, optout.Known{Nodes: nodes()},
		optout.Known{Nodes: []optout.Node{{Principal: leasetest.Who("a")}}},
		optout.Received{Bytes: e.Bytes, From: leasetest.Who("n")}, optout.Received{Bytes: e.Bytes, From: leasetest.Who("n"), Pulled: true},
	} {
		again, err := optout.ParseInput(in.String(), fetch)
		if err != nil || fmt.Sprintf("%#v", again) != fmt.Sprintf("%#v", in) {
			t.Errorf("%s: %#v, %v", in, again, err)
		}
	}
	for _, s := range []string{"", "tick tock", "local", "known a,b,c", "received x y", "else"} {
		if in, err := optout.ParseInput(s, fetch); err == nil {
			t.Errorf("%q: %v", s, in)
		}
	}
}

func FuzzOpenEntry(f *testing.F) {
	e := entry(f, target, noon, time.Hour, "a1", "b1", "c1")
	f.Add(e.Bytes)
	f.Add(e.By[0].Bytes)
	f.Fuzz(func(t *testing.T, b []byte) {
		s := fresh(optout.Config{})
		verdict := s.Step(noon, optout.Local{Bytes: b})[0]
		e, err := optout.OpenEntry(b)
		if accepted := verdict == (optout.Verdict{Judgement: judge.Accept}); accepted && err != nil {
			t.Fatalf("accepted, and does not open: %v", err)
		}
		if err != nil {
			return
		}
		if again, err := optout.Join(e.By[:]); err != nil || !bytes.Equal(again.Bytes, b) {
			t.Fatalf("joined again: %v", err)
		}
	})
}

func FuzzParseText(f *testing.F) {
	f.Add([]byte(entry(f, target, noon, time.Hour, "a1", "b1", "c1").Text()))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := optout.ParseText(b)
		for _, a := range all {
			if again, err := optout.ParseText([]byte(a.Text())); err != nil || len(again) != 1 {
				t.Fatalf("%v, %v", again, err)
			}
		}
		if err == nil && len(all) == 0 {
			t.Fatal("nothing, and no error")
		}
	})
}
