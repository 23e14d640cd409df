// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	corehost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"
)

// What our protocols rely on of a host, held against a real one and against the lean
// one alike.
var conformance = []struct {
	name string
	test func(t *trial)
}{
	{"bytes travel both ways", echoes},
	{"a half is closed by itself", halfCloses},
	{"a reset reaches the other end", resets},
	{"deadlines end a read, and it goes on", deadlines},
	{"a write waits for a reader, and all of it comes", backpressure},
	{"a closed reader drops what comes", closedReader},
	{"both ends hear of a connection, and of its end", connects},
	{"identify tells of protocols, also later", identifies},
	{"a protocol is chosen", negotiates},
	{"a stream without a protocol negotiates one", raw},
	{"the end of a connection ends its streams", disconnects},
	{"nobody answers for another", wrongPeer},
}

const (
	protoA protocol.ID = "/test/a/1"
	protoB protocol.ID = "/test/b/1"
)

// patience bounds each wait.
const patience = 20 * time.Second

// trial is two hosts that know nothing of one another.
type trial struct {
	*testing.T
	ctx  context.Context
	a, b corehost.Host
}

func TestConformance(t *testing.T) {
	for _, c := range conformance {
		t.Run("lean/"+c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := NewFabric(flat{})
				a, b := leanHost(t, f, 0), leanHost(t, f, 1)
				defer b.Close()
				defer a.Close()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				c.test(&trial{t, ctx, a, b})
			})
		})
		t.Run("libp2p/"+c.name, func(t *testing.T) {
			a, b := realHost(t), realHost(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c.test(&trial{t, ctx, a, b})
		})
	}
}

// flat wires are 20 ms each way, and cut where told.
type flat struct{ cut *bool }

func (flat) Way(int, int, int) (time.Duration, bool) { return 20 * time.Millisecond, true }
func (f flat) Cut(int, int) bool                     { return f.cut != nil && *f.cut }

func leanHost(t *testing.T, f *Fabric, i int) *Host {
	t.Helper()
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	addr, err := ma.NewMultiaddr(fmt.Sprintf("/ip4/198.18.0.%d/udp/4001/quic-v1", i+1))
	if err != nil {
		t.Fatal(err)
	}
	h, err := f.Host(Config{Index: i, Key: key, Addr: addr, Agent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func realHost(t *testing.T) corehost.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/udp/0/quic-v1"), libp2p.Transport(libp2pquic.NewTransport), libp2p.DisableRelay(), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func (t *trial) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (t *trial) connect() {
	t.Helper()
	t.must(t.a.Connect(t.ctx, peer.AddrInfo{ID: t.b.ID(), Addrs: t.b.Addrs()}))
}

// open gives both ends of a stream from a to b, of which b has read the first byte.
func (t *trial) open() (near, far network.Stream) {
	t.Helper()
	got := make(chan network.Stream, 1)
	t.b.SetStreamHandler(protoA, func(s network.Stream) { got <- s })
	t.connect()
	near, err := t.a.NewStream(t.ctx, t.b.ID(), protoA)
	t.must(err)
	_, err = near.Write([]byte("!"))
	t.must(err)
	select {
	case far = <-got:
	case <-t.ctx.Done():
		t.Fatal("no stream came")
	}
	var first [1]byte
	_, err = io.ReadFull(far, first[:])
	t.must(err)
	return near, far
}

func echoes(t *trial) {
	near, far := t.open()
	for _, way := range [][2]network.Stream{{near, far}, {far, near}} {
		_, err := way[0].Write([]byte("hello"))
		t.must(err)
		b := make([]byte, 5)
		_, err = io.ReadFull(way[1], b)
		t.must(err)
		if string(b) != "hello" {
			t.Fatalf("got %q", b)
		}
	}
	if near.Protocol() != protoA || far.Protocol() != protoA || near.Conn().RemotePeer() != t.b.ID() || far.Conn().RemotePeer() != t.a.ID() {
		t.Errorf("protocols %s, %s; peers %s, %s", near.Protocol(), far.Protocol(), near.Conn().RemotePeer(), far.Conn().RemotePeer())
	}
	if near.Stat().Direction != network.DirOutbound || far.Stat().Direction != network.DirInbound {
		t.Errorf("directions %s, %s", near.Stat().Direction, far.Stat().Direction)
	}
}

func halfCloses(t *trial) {
	near, far := t.open()
	_, err := near.Write([]byte("question"))
	t.must(err)
	t.must(near.CloseWrite())
	b, err := io.ReadAll(far)
	t.must(err)
	if string(b) != "question" {
		t.Fatalf("got %q", b)
	}
	_, err = far.Write([]byte("answer"))
	t.must(err)
	t.must(far.Close())
	b, err = io.ReadAll(near)
	t.must(err)
	if string(b) != "answer" {
		t.Fatalf("got %q", b)
	}
	if _, err := near.Write([]byte("more")); err == nil {
		t.Error("a closed half was written")
	}
}

func resets(t *trial) {
	near, far := t.open()
	t.must(far.Reset())
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, network.ErrReset) {
		t.Errorf("reading a stream that was reset: %v", err)
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, network.ErrReset) {
		t.Errorf("writing a stream that was reset: %v", err)
	}
	if _, err := far.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("reading on after a reset: %v", err)
	}
}

func deadlines(t *trial) {
	near, far := t.open()
	t.must(near.SetReadDeadline(time.Now().Add(50 * time.Millisecond)))
	_, err := near.Read(make([]byte, 1))
	var late net.Error
	if !errors.As(err, &late) || !late.Timeout() {
		t.Fatalf("a read after its deadline: %v", err)
	}
	t.must(near.SetReadDeadline(time.Time{}))
	_, err = far.Write([]byte("x"))
	t.must(err)
	if _, err := near.Read(make([]byte, 1)); err != nil {
		t.Errorf("a read after the deadline was lifted: %v", err)
	}
	got := make(chan error, 1) // one that is set while a read waits
	go func() {
		_, err := near.Read(make([]byte, 1))
		got <- err
	}()
	t.must(near.SetReadDeadline(time.Now().Add(50 * time.Millisecond)))
	if err := <-got; !errors.As(err, &late) || !late.Timeout() {
		t.Errorf("a read whose deadline came later: %v", err)
	}
}

func backpressure(t *trial) {
	near, far := t.open()
	t.must(near.SetWriteDeadline(time.Now().Add(2 * time.Second)))
	sent, chunk := 0, bytes.Repeat([]byte("x"), 256<<10)
	for {
		n, err := near.Write(chunk)
		sent += n
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			break
		}
		t.must(err)
		if sent > 64<<20 {
			t.Fatal("nobody reads, and everything is taken")
		}
	}
	if sent < 128<<10 {
		t.Errorf("only %d bytes were taken", sent)
	}
	t.must(near.SetWriteDeadline(time.Time{}))
	go func() {
		near.Write([]byte("end"))
		near.CloseWrite()
	}()
	b, err := io.ReadAll(far)
	t.must(err)
	if len(b) != sent+3 || !bytes.HasSuffix(b, []byte("end")) {
		t.Errorf("%d bytes were taken, %d came", sent+3, len(b))
	}
}

func closedReader(t *trial) {
	near, far := t.open()
	t.must(far.CloseRead())
	if _, err := far.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("reading a closed half: %v", err)
	}
	near.Write([]byte("nobody listens")) // may fail, as soon as word of it is there
	_, err := far.Write([]byte("still here"))
	t.must(err)
	b := make([]byte, 10)
	_, err = io.ReadFull(near, b)
	t.must(err)
}

// heard waits for an event.
func heard[E any](t *trial, sub event.Subscription, is func(E) bool) E {
	t.Helper()
	for {
		select {
		case e := <-sub.Out():
			if e, ok := e.(E); ok && is(e) {
				return e
			}
		case <-t.ctx.Done():
			t.Fatal("the event did not come")
		}
	}
}

func subscribe(t *trial, h corehost.Host, to any) event.Subscription {
	t.Helper()
	sub, err := h.EventBus().Subscribe(to)
	t.must(err)
	t.Cleanup(func() { sub.Close() })
	return sub
}

func connects(t *trial) {
	near, far := subscribe(t, t.a, new(event.EvtPeerConnectednessChanged)), subscribe(t, t.b, new(event.EvtPeerConnectednessChanged))
	t.connect()
	is := func(c network.Connectedness) func(event.EvtPeerConnectednessChanged) bool {
		return func(e event.EvtPeerConnectednessChanged) bool { return e.Connectedness == c }
	}
	heard(t, near, is(network.Connected))
	heard(t, far, is(network.Connected))
	if !slices.Equal(t.a.Network().Peers(), []peer.ID{t.b.ID()}) || len(t.b.Network().ConnsToPeer(t.a.ID())) != 1 {
		t.Errorf("peers %v, connections %v", t.a.Network().Peers(), t.b.Network().Conns())
	}
	t.must(t.a.Network().ClosePeer(t.b.ID()))
	heard(t, near, is(network.NotConnected))
	heard(t, far, is(network.NotConnected))
	if t.b.Network().Connectedness(t.a.ID()) != network.NotConnected || len(t.a.Network().Conns()) != 0 {
		t.Error("it is still there")
	}
}

func identifies(t *trial) {
	t.b.SetStreamHandler(protoA, func(s network.Stream) { s.Reset() })
	sub := subscribe(t, t.a, []any{new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerProtocolsUpdated)})
	t.connect()
	e := heard(t, sub, func(e event.EvtPeerIdentificationCompleted) bool { return e.Peer == t.b.ID() })
	if !slices.Contains(e.Protocols, protoA) || !slices.Contains(e.Protocols, ping.ID) || len(e.ListenAddrs) == 0 {
		t.Errorf("identify tells of %v at %v", e.Protocols, e.ListenAddrs)
	}
	if got, err := t.a.Peerstore().SupportsProtocols(t.b.ID(), protoB, protoA); err != nil || !slices.Equal(got, []protocol.ID{protoA}) {
		t.Errorf("the peerstore knows %v, %v", got, err)
	}
	t.b.SetStreamHandler(protoB, func(s network.Stream) { s.Reset() })
	heard(t, sub, func(e event.EvtPeerProtocolsUpdated) bool { return slices.Contains(e.Added, protoB) })
	t.b.RemoveStreamHandler(protoA)
	heard(t, sub, func(e event.EvtPeerProtocolsUpdated) bool { return slices.Contains(e.Removed, protoA) })
}

func negotiates(t *trial) {
	got := make(chan protocol.ID, 1)
	t.b.SetStreamHandler(protoB, func(s network.Stream) { got <- s.Protocol(); s.Close() })
	t.connect()
	s, err := t.a.NewStream(t.ctx, t.b.ID(), protoA, protoB)
	t.must(err)
	if s.CloseWrite(); s.Protocol() != protoB || <-got != protoB {
		t.Errorf("chose %s", s.Protocol())
	}
	if _, err := t.a.NewStream(t.ctx, t.b.ID(), protoA); err == nil {
		t.Error("a protocol was chosen that nobody speaks")
	}
}

func raw(t *trial) {
	t.connect()
	s, err := t.a.Network().ConnsToPeer(t.b.ID())[0].NewStream(t.ctx)
	t.must(err)
	defer s.Reset()
	t.must(s.SetProtocol(ping.ID))
	_, err = multistream.SelectOneOf([]protocol.ID{ping.ID}, s)
	t.must(err)
	b := bytes.Repeat([]byte("x"), ping.PingSize)
	_, err = s.Write(b)
	t.must(err)
	_, err = io.ReadFull(s, b)
	t.must(err)
}

func disconnects(t *trial) {
	near, far := t.open()
	t.must(near.Conn().Close())
	if _, err := far.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("reading after the connection: %v", err)
	}
	if _, err := near.Write([]byte("x")); err == nil {
		t.Error("writing after the connection")
	}
}

func wrongPeer(t *trial) {
	_, key, err := ed25519.GenerateKey(nil)
	t.must(err)
	k, err := crypto.UnmarshalEd25519PrivateKey(key)
	t.must(err)
	other, err := peer.IDFromPrivateKey(k)
	t.must(err)
	if err := t.a.Connect(t.ctx, peer.AddrInfo{ID: other, Addrs: t.b.Addrs()}); err == nil {
		t.Error("another peer was taken for the one that was dialled")
	}
	if err := t.a.Connect(t.ctx, peer.AddrInfo{ID: other}); err == nil {
		t.Error("a peer without an address was reached")
	}
}
