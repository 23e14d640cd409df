// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"bufio"
	"crypto/rand"
	"sync"
	"testing"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/encoding/protodelim"
)

// asked counts the requests that a host gets, by their types, and answers them with
// what they say if it is to.
type asked struct {
	mu      sync.Mutex
	kind    map[pb.Message_MessageType]int
	answers bool
}

func (a *asked) serve(s network.Stream) {
	defer s.Close()
	var m pb.Message
	if protodelim.UnmarshalFrom(bufio.NewReader(s), &m) != nil {
		return
	}
	a.mu.Lock()
	a.kind[m.GetType()]++
	answers := a.answers
	a.mu.Unlock()
	if !answers {
		s.Reset()
		return
	}
	_, _ = protodelim.MarshalTo(s, &m)
}

func (a *asked) of(kind pb.Message_MessageType) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kind[kind]
}

// Who comes by himself is asked, and in the table once he answers; where there is no
// room for him he is asked nothing, and nobody makes any.
func TestWhoComesIsAsked(t *testing.T) {
	d := start(t, Config{Server: true})
	for _, c := range []struct {
		name          string
		answers, full bool
		asks          int
	}{{"answers", true, false, 1}, {"is silent", false, false, 1}, {"has no room", true, true, 0}} {
		h, got := newHost(t), &asked{kind: map[pb.Message_MessageType]int{}, answers: c.answers}
		h.SetStreamHandler(protocolID, got.serve)
		if c.full {
			fill(t, d, kb.CommonPrefixLen(kb.ConvertPeerID(d.host.ID()), kb.ConvertPeerID(h.ID())))
		}
		before := d.Stats().Comers
		if err := h.Connect(t.Context(), info(d)); err != nil {
			t.Fatal(err)
		}
		wait(t, c.name+": it is known to route", func() bool {
			id, err := d.host.Peerstore().FirstSupportedProtocol(h.ID(), protocolID)
			return err == nil && id != ""
		})
		if c.full {
			d.admit(h.ID()) // that may not have come to it yet
		}
		wait(t, c.name+": asked", func() bool { return got.of(pb.Message_FIND_NODE) == c.asks && idle(d) })
		if other := got.of(pb.Message_PING); other != 0 || d.Stats().Comers-before != uint64(c.asks) {
			t.Errorf("%s: pinged %d times, %d questions counted", c.name, other, d.Stats().Comers-before)
		}
		if !c.full && (d.dht.RoutingTable().Find(h.ID()) != "") != c.answers {
			t.Errorf("%s: in the table of %d", c.name, d.Size())
		}
		if c.full && d.dht.RoutingTable().Find(h.ID()) != "" {
			t.Errorf("%s: it took another's place", c.name)
		}
	}
}

// However many come and say nothing, walks have room; and who said nothing is asked no
// more when it shows up again.
func TestSilentComersLeaveRoom(t *testing.T) {
	d, h, got := start(t, Config{Server: true}), newHost(t), &asked{kind: map[pb.Message_MessageType]int{}}
	h.SetStreamHandler(protocolID, got.serve)
	d.mu.Lock()
	d.admissions = maxAdmissions
	d.mu.Unlock()
	if err := d.host.Connect(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}); err != nil {
		t.Fatal(err)
	}
	d.came(h.ID())
	if s := d.Stats(); s.Comers != 0 || s.Drops()["crowded"] == 0 {
		t.Fatalf("%d asked beyond the bound, %d counted as left out", s.Comers, s.Crowded)
	}
	d.mu.Lock()
	d.admissions = 0
	d.mu.Unlock()
	d.came(h.ID())
	wait(t, "it was asked", func() bool { return d.Stats().Comers == 1 && idle(d) })
	d.came(h.ID())
	if s := d.Stats(); s.Comers != 1 || s.Drops()["resting"] == 0 {
		t.Errorf("asked %d times, %d counted as resting", s.Comers, s.Resting)
	}
	d.mu.Lock()
	left := d.admissions + len(d.comers)
	d.mu.Unlock()
	if left != 0 {
		t.Errorf("%d count as under way", left)
	}
}

// Who was silent when he came, and answers when somebody joins by him, is in the table.
func TestJoiningByOneWhoWasSilent(t *testing.T) {
	d, h, got := start(t, Config{Server: true}), newHost(t), &asked{kind: map[pb.Message_MessageType]int{}}
	h.SetStreamHandler(protocolID, got.serve)
	if err := d.host.Connect(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}); err != nil {
		t.Fatal(err)
	}
	wait(t, "it was asked in vain", func() bool { return got.of(pb.Message_FIND_NODE) == 1 && idle(d) })
	if d.Size() != 0 {
		t.Fatal("it is in the table")
	}
	got.mu.Lock()
	got.answers = true
	got.mu.Unlock()
	if _, err := d.Join(t.Context(), []peer.AddrInfo{{ID: h.ID(), Addrs: h.Addrs()}}); err != nil || d.Size() != 1 {
		t.Errorf("%d in the table, %v", d.Size(), err)
	}
}

func idle(d *DHT) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inFlight == 0
}

// fill makes a bucket of the table full, and another that comes after it, so that it is
// not split.
func fill(t *testing.T, d *DHT, cpl int) {
	t.Helper()
	table, self := d.dht.RoutingTable(), kb.ConvertPeerID(d.host.ID())
	for table.NPeersForCpl(uint(cpl)) < 20 || table.NPeersForCpl(uint(cpl+1)) < 1 {
		_, key, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		id, err := peer.IDFromPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if at := kb.CommonPrefixLen(self, kb.ConvertPeerID(id)); at == cpl || at == cpl+1 {
			d.Know([]peer.AddrInfo{{ID: id, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/9")}}})
		}
	}
}
