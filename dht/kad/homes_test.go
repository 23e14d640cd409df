// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"slices"
	"testing"

	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Who registers finds whom one who reads does, also when somebody nearer has come since
// the last time or the nearest of then is gone, and asks hardly anybody if nobody has.
func TestHomes(t *testing.T) {
	all := joined(t, 14)
	asker, key := all[3], []byte("some key")
	quiet := func(look func() ([]peer.AddrInfo, error)) (found []peer.AddrInfo, asks uint64) {
		t.Helper()
		for range 10 {
			was := asker.Stats()
			found, err := look()
			if err != nil {
				t.Fatal(err)
			}
			if now := asker.Stats(); now.PassedOver == was.PassedOver { // else the machine was busy
				return found, now.Asked - was.Asked
			}
		}
		t.Fatal("somebody is always silent")
		return nil, 0
	}
	closest := func() ([]peer.AddrInfo, error) { return asker.Closest(t.Context(), key, 8) }
	want, _ := quiet(closest)
	if len(want) != 8 {
		t.Fatalf("found %d", len(want))
	}
	homes := func(name string, want, before []peer.AddrInfo, most uint64) {
		t.Helper()
		got, asks := quiet(func() ([]peer.AddrInfo, error) {
			found, _, err := asker.Homes(t.Context(), key, 8, before)
			return found, err
		})
		if !slices.EqualFunc(got, want, func(a, b peer.AddrInfo) bool { return a.ID == b.ID }) {
			t.Errorf("%s: %v; want %v", name, got, want)
		}
		if asks > most {
			t.Errorf("%s: %d were asked", name, asks)
		}
	}
	homes("at first", want, nil, 13)
	last := want[7]
	if err := asker.host.Network().ClosePeer(last.ID); err != nil {
		t.Fatal(err)
	}
	asker.host.Peerstore().ClearAddrs(last.ID)
	homes("again, of whom one is not connected", want, want, 4)
	if len(asker.host.Peerstore().Addrs(last.ID)) == 0 {
		t.Error("whom the last time found cannot be dialled")
	}
	homes("again", want, want, 3)
	homes("one has come", want, slices.Delete(slices.Clone(want), 4, 5), 4)
	for _, c := range []struct {
		name  string
		place int
		most  uint64
	}{{"the nearest is gone", 0, 8}, {"one that need not be asked is gone", 5, 9}} {
		gone := want[c.place].ID
		for _, d := range all {
			if d.host.ID() == gone {
				d.Close()
				d.host.Close()
			}
		}
		wait(t, "it is not connected", func() bool { return asker.host.Network().Connectedness(gone) != network.Connected })
		got, _, err := asker.Homes(t.Context(), key, 8, want)
		if err != nil || slices.ContainsFunc(got, func(ai peer.AddrInfo) bool { return ai.ID == gone }) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
		rest, _ := quiet(closest)
		homes(c.name, rest, want, c.most)
		want = rest
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
					if s.Protocol() == protocolID {
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
