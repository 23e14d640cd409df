// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"slices"
	"sync/atomic"
	"testing"

	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// What a look-up found is confirmed, and is not when somebody nearer has come or one of
// those asked is gone.
func TestConfirm(t *testing.T) {
	all := joined(t, 14)
	key := []byte("some key")
	found, err := all[3].Closest(t.Context(), key, 8)
	if err != nil || len(found) != 8 {
		t.Fatalf("found %d, %v", len(found), err)
	}
	if !all[3].Confirm(t.Context(), key, found) {
		t.Error("those found are not confirmed")
	}
	far := slices.Delete(slices.Clone(found), 2, 3)
	if all[3].Confirm(t.Context(), key, far) {
		t.Error("one that is nearer is missing, and nobody says so")
	}
	if all[3].Confirm(t.Context(), key, nil) {
		t.Error("nobody is confirmed")
	}
	for _, d := range all {
		if d.host.ID() == found[0].ID {
			d.Close()
			d.host.Close()
		}
	}
	if all[3].Confirm(t.Context(), key, found) {
		t.Error("the nearest is gone, and confirmed")
	}
}

// Who is nearer and has no address that may be dialled would not be found: those found
// are confirmed.
func TestConfirmLeavesOutTheUndialable(t *testing.T) {
	all := joined(t, 14)
	var hidden atomic.Pointer[ma.Multiaddr]
	asker := start(t, Config{Server: true, Addresses: func(addrs []ma.Multiaddr) []ma.Multiaddr {
		h := hidden.Load()
		return slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool { return h != nil && a.Equal(*h) })
	}})
	if _, err := asker.Join(t.Context(), []peer.AddrInfo{info(all[0])}); err != nil {
		t.Fatal(err)
	}
	key := []byte("some key")
	found, err := asker.Closest(t.Context(), key, 8)
	if err != nil || len(found) != 8 {
		t.Fatalf("found %d, %v", len(found), err)
	}
	without := slices.Delete(slices.Clone(found), 4, 5)
	if asker.Confirm(t.Context(), key, without) {
		t.Error("one that is nearer is missing, and nobody says so")
	}
	hidden.Store(&found[4].Addrs[0])
	if !asker.Confirm(t.Context(), key, without) {
		t.Error("one that cannot be dialled is nearer, and counts")
	}
}

// A request leaves no stream behind, at neither end.
func TestARequestLeavesNoStream(t *testing.T) {
	all := joined(t, 5)
	if _, err := all[4].Closest(t.Context(), []byte("k"), 8); err != nil {
		t.Fatal(err)
	}
	wait(t, "no stream is open", func() bool {
		for _, d := range all {
			for _, c := range d.host.Network().Conns() {
				for _, s := range c.GetStreams() {
					if s.Protocol() == Prefix+"/kad/1.0.0" {
						return false
					}
				}
			}
		}
		return true
	})
}

// Who is told of is in the table, as far as there is room, and is asked by look-ups.
func TestKnow(t *testing.T) {
	a, b := start(t, Config{Server: true}), start(t, Config{Server: true})
	if n := a.Know([]peer.AddrInfo{info(b)}); n != 1 || a.Size() != 1 {
		t.Fatalf("took %d, and knows %d", n, a.Size())
	}
	if n := a.Know([]peer.AddrInfo{info(b)}); n != 0 {
		t.Errorf("took %d twice", n)
	}
	found, err := a.Closest(t.Context(), []byte("k"), 8)
	if err != nil || len(found) != 1 || found[0].ID != b.host.ID() {
		t.Errorf("found %v, %v", found, err)
	}
	if cpl := kb.CommonPrefixLen(kb.ConvertPeerID(a.host.ID()), kb.ConvertPeerID(b.host.ID())); a.dht.RoutingTable().NPeersForCpl(uint(cpl)) != 1 {
		t.Error("it is not where it belongs")
	}
}
