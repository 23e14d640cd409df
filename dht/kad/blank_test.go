// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"fmt"
	"testing"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"croft/dht"
)

// Who answers and names nobody is in no table from which he would be named, unless the
// network is small; he is asked once more, and then not for a while. Who names somebody
// by then is taken.
func TestWhoKnowsNobodyIsNotNamed(t *testing.T) {
	d := start(t, Config{Server: true})
	come := func() (peer.ID, *asked) {
		h, got := newHost(t), &asked{kind: map[pb.Message_MessageType]int{}, answers: true}
		for kb.CommonPrefixLen(kb.ConvertPeerID(d.host.ID()), kb.ConvertPeerID(h.ID())) > 0 { // there will be no room
			h = newHost(t)
		}
		h.SetStreamHandler(protocolID, got.serve)
		if err := h.Connect(t.Context(), info(d)); err != nil {
			t.Fatal(err)
		}
		wait(t, "it was asked", func() bool { return got.of(pb.Message_FIND_NODE) == 1 && idle(d) })
		return h.ID(), got
	}
	there := func(id peer.ID) bool { return d.dht.RoutingTable().Find(id) != "" }
	if first, _ := come(); !there(first) {
		t.Fatal("in a small network it has to name somebody")
	}
	fill(t, d, 1)
	id, got := come()
	if there(id) {
		t.Error("it leads nowhere, and is named")
	}
	if d.learn(id, 0, nil); there(id) { // as a walk does that asked it
		t.Error("a walk put it into the table")
	}
	d.askBlank()
	wait(t, "asked once more", func() bool { return got.of(pb.Message_FIND_NODE) == 2 && idle(d) })
	d.askBlank()
	d.came(id)
	wait(t, "it rests", func() bool { return idle(d) })
	if n, s := got.of(pb.Message_FIND_NODE), d.Stats(); n != 2 || s.Resting == 0 || s.Drops()["blank"] < 2 || there(id) {
		t.Errorf("asked %d times: %+v", n, s)
	}
	if d.learn(id, 1, nil); !there(id) {
		t.Error("who leads somewhere is not in the table")
	}
}

// However many others an answer names, and with however long addresses, a walk keeps so
// much, and of those that its look-up keeps everything.
func TestNamesAreBounded(t *testing.T) {
	d, names := start(t, Config{}), newNames()
	from := newHost(t).ID()
	long := func(i int) ma.Multiaddr {
		return ma.StringCast(fmt.Sprintf("/ip4/10.0.%d.%d/tcp/1/p2p/%s/p2p-circuit", i>>8&255, i&255, from))
	}
	kept := map[dht.Key]bool{}
	keep := func(k dht.Key) bool { return kept[k] }
	for i := range 40 {
		a := answer{from: from}
		for j := range dht.MaxCloser {
			id := peer.ID(fmt.Sprintf("\x00\x24\x08\x01\x12\x20%032d", i*dht.MaxCloser+j))
			if i == 0 {
				kept[place(id)] = true
			}
			ai := &peer.AddrInfo{ID: id}
			for n := range 100 {
				ai.Addrs = append(ai.Addrs, long(n))
			}
			a.closer = append(a.closer, ai)
		}
		d.input("key", a, names)
		if names.forget(keep); len(names.byKey) > maxNames || len(names.byID) != len(names.byKey) {
			t.Fatalf("%d names, %d", len(names.byKey), len(names.byID))
		}
	}
	for k := range kept {
		if names.byKey[k] == nil {
			t.Error("one that the look-up keeps is forgotten")
		}
	}
	for _, p := range names.byKey {
		if size := len(p.addrs) * len(long(0).Bytes()); size > maxAddrBytes || len(p.addrs) > maxAddrs || len(p.addrs) < 4 {
			t.Fatalf("%d addresses, %d bytes", len(p.addrs), size)
		}
	}
	if s := d.Stats(); s.Addresses == 0 || s.Drops()["addresses"] == 0 || s.Malformed != 0 {
		t.Errorf("%+v", s)
	}
	if d.input("key", answer{from: from, closer: []*peer.AddrInfo{{ID: peer.ID("\x00\x7f" + fmt.Sprintf("%0127d", 1)), Addrs: []ma.Multiaddr{long(0)}}}}, names); d.Stats().Malformed != 1 {
		t.Error("an id may be of any size")
	}
}
