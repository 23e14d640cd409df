// SPDX-License-Identifier: Apache-2.0

package optout_test

import (
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
	if err := optout.CheckPresence(text+"\n", asked); err != nil {
		t.Error(err)
	}
	forged, err := optout.SealPresence(asked, leasetest.Key("b1"))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, replayed, another := asked, asked, asked
	elsewhere.Addr, replayed.Nonce, another.Node = node("a1", 1).Addrs[0], [16]byte{2}, leasetest.Who("b1")
	for name, c := range map[string]struct {
		text string
		want optout.Presence
	}{
		"forged": {forged, asked}, "of another address": {text, elsewhere}, "replayed": {text, replayed},
		"another node's": {text, another}, "cut": {text[:40], asked}, "nothing": {"", asked}, "garbage": {"<html>", asked},
	} {
		if optout.CheckPresence(c.text, c.want) == nil {
			t.Errorf("%s: it holds", name)
		}
	}
}
