// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"crypto/ed25519"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"croft/lease"
	"croft/sandbox/swarm"
)

// mute is a stream on which nothing comes until it is reset.
type mute struct {
	network.Stream
	with           conn
	reading, reset func()
	over           chan struct{}
}

type conn struct {
	network.Conn
	peer    peer.ID
	limited bool
}

func (c conn) RemotePeer() peer.ID { return c.peer }
func (c conn) Stat() network.ConnStats {
	return network.ConnStats{Stats: network.Stats{Limited: c.limited}}
}

func newMute(t *testing.T, limited bool) *mute {
	t.Helper()
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	m := &mute{with: conn{peer: id, limited: limited}, over: make(chan struct{}), reading: func() {}}
	m.reset = sync.OnceFunc(func() { close(m.over) })
	return m
}

func (m *mute) Conn() network.Conn              { return m.with }
func (m *mute) Reset() error                    { m.reset(); return nil }
func (m *mute) SetReadDeadline(time.Time) error { return nil }
func (m *mute) Read([]byte) (int, error)        { m.reading(); <-m.over; return 0, io.ErrUnexpectedEOF }

// Connections through relays are for being reached.
func TestNothingIsServedThroughARelay(t *testing.T) {
	x, s := New(Config{}), newMute(t, true)
	x.serve(s)
	<-s.over
	if c := x.Counts().Refused; c["relayed"] != 1 {
		t.Errorf("%v", c)
	}
}

// A stream on which nothing comes does not keep a node from stopping.
func TestStoppingWaitsForNoStranger(t *testing.T) {
	x, s := New(Config{}), newMute(t, false)
	s.reading = x.stop
	x.serve(s)
}

// Slots are few for each, and at a low rate in all.
func TestSlots(t *testing.T) {
	s := newSlots[lease.Principal](3, 2)
	a, b := lease.Principal{1}, lease.Principal{2}
	done := s.take(a)
	if done == nil || s.take(a) == nil || s.take(a) != nil || s.take(b) == nil || s.take(b) != nil {
		t.Error("another number of slots")
	}
	if done(); s.take(b) == nil {
		t.Error("a slot is not given back")
	}
	for rate, want := range map[float64]int{8e3: 1, 125e3: 1, 250e3: 3, DefaultRate: MaxServing, 1e12: MaxServing} {
		got := servingSlots(rate)
		if got != want {
			t.Errorf("at %.0f bytes/s %d are served, want %d", rate, got, want)
		}
		each := rate / float64(got)
		if need := time.Duration(swarm.MinPiece / each * float64(time.Second)); need > swarm.PieceWithin(swarm.MinPiece) {
			t.Errorf("at %.0f bytes/s a piece takes %s", rate, need)
		}
	}
	for addr, want := range map[string]string{"/ip4/192.0.2.7/tcp/1": "192.0.2.0/24", "/ip6/2001:db8:1:2::3/udp/1": "2001:db8:1::/48", "/dns/x.test/tcp/1": "invalid Prefix"} {
		m, err := ma.NewMultiaddr(addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := networkOf(m).String(); got != want {
			t.Errorf("%s is of %s", addr, got)
		}
	}
}
