// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/policy"
)

func document() policy.Document {
	return policy.Document{Issuer: leasetest.Who("net"), From: 1000, Until: 5000, Name: "research-net",
		Text: "[pool.commons]\nlongest = '2h'\n"}
}

func TestASignedPolicy(t *testing.T) {
	d := document()
	s, err := policy.Seal(d, leasetest.Key("net"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := policy.Open(s.Bytes())
	if err != nil || o.Document != d {
		t.Fatalf("%+v, %v", o.Document, err)
	}
	p, err := policy.NewBase(machine).Compile(nil, o.Source)
	if err != nil {
		t.Fatal(err)
	}
	if got := pool(t, p, lease.PoolCommons).Longest; got != 7200 {
		t.Errorf("longest %d", got)
	}
	for at, want := range map[int64]error{999: policy.ErrTerm, 1000: nil, 4999: nil, 5000: policy.ErrTerm} {
		if err := d.Holds(d.Issuer, at); !errors.Is(err, want) {
			t.Errorf("at %d: %v", at, err)
		}
	}
	if err := d.Holds(leasetest.Who("eve"), 2000); !errors.Is(err, lease.ErrSignature) {
		t.Errorf("signed by another: %v", err)
	}
}

func TestSignedPoliciesThatAreRefused(t *testing.T) {
	key := leasetest.Key("net")
	for name, change := range map[string]func(*policy.Document){
		"no issuer":     func(d *policy.Document) { d.Issuer = lease.Principal{} },
		"another's":     func(d *policy.Document) { d.Issuer = leasetest.Who("eve") },
		"no term":       func(d *policy.Document) { d.Until = d.From },
		"for ever":      func(d *policy.Document) { d.Until = d.From + lease.MaxTerm + 1 },
		"no name":       func(d *policy.Document) { d.Name = "" },
		"no text":       func(d *policy.Document) { d.Text = " \n" },
		"a mistake":     func(d *policy.Document) { d.Text = "poool = 1" },
		"the owner's":   func(d *policy.Document) { d.Text = "[capacity]\ncpu = 1" },
		"a long text":   func(d *policy.Document) { d.Text = "#" + strings.Repeat("x", policy.MaxText) },
		"before 1970":   func(d *policy.Document) { d.From = -5 },
		"a sum too big": func(d *policy.Document) { d.Until = 1<<63 - 1 },
	} {
		d := document()
		change(&d)
		if _, err := policy.Seal(d, key); err == nil {
			t.Errorf("%s: sealed", name)
		}
		s, err := lease.SealAs(policy.Domain, d, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := policy.Open(s.Bytes()); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	other, err := lease.SealAs("croft/site/1\n", document(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Open(other.Bytes()); !errors.Is(err, lease.ErrSignature) {
		t.Errorf("signed under another domain: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	s, err := policy.Seal(document(), leasetest.Key("net"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Bytes())
	f.Add(s.Bytes()[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := policy.Open(b)
		if err != nil {
			return
		}
		again, err := lease.Encode(o.Document)
		if err != nil || !bytes.Contains(b, again) {
			t.Errorf("%x is not what was signed: %v", again, err)
		}
	})
}
