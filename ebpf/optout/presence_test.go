// SPDX-License-Identifier: Apache-2.0

package optout_test

import (
	"net/netip"
	"testing"

	"croft/ebpf/optout"
	"croft/lease/leasetest"
)

func TestPresence(t *testing.T) {
	asked := optout.Presence{Node: leasetest.Who("a1"), Addr: target, Nonce: [16]byte{1}}
	text, err := optout.SealPresence(asked, leasetest.Key("a1"))
	if err != nil {
		t.Fatal(err)
	}
	if who, err := optout.OpenPresence(text+"\n", target, asked.Nonce); err != nil || who != asked.Node {
		t.Error(who, err)
	}
	forged, err := optout.SealPresence(asked, leasetest.Key("b1"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text  string
		addr  netip.Addr
		nonce [16]byte
	}{
		"forged": {forged, target, asked.Nonce}, "of another address": {text, node("a1", 1).Addrs[0], asked.Nonce},
		"replayed": {text, target, [16]byte{2}}, "cut": {text[:40], target, asked.Nonce},
		"nothing": {"", target, asked.Nonce}, "garbage": {"<html>", target, asked.Nonce},
	} {
		if who, err := optout.OpenPresence(c.text, c.addr, c.nonce); err == nil {
			t.Errorf("%s: it is %s", name, who)
		}
	}
}

func FuzzOpenPresence(f *testing.F) {
	asked := optout.Presence{Node: leasetest.Who("a1"), Addr: target, Nonce: [16]byte{1}}
	text, err := optout.SealPresence(asked, leasetest.Key("a1"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text string) {
		if who, err := optout.OpenPresence(text, target, asked.Nonce); err == nil && who != asked.Node {
			t.Errorf("%q is %s", text, who)
		}
	})
}
