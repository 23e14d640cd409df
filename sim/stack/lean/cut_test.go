// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// world has two connected hosts and a stream between them, on wires that may be cut.
func world(t *testing.T, test func(t *testing.T, f *Fabric, cut *bool, a, b *Host, near, far network.Stream)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cut := false
		f := NewFabric(flat{&cut})
		a, b := leanHost(t, f, 0), leanHost(t, f, 1)
		defer b.Close()
		defer a.Close()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		near, far := (&trial{t, ctx, a, b}).open()
		test(t, f, &cut, a, b, near, far)
	})
}

// What is written while the wire is cut comes when it is whole again, in order.
func TestShortCut(t *testing.T) {
	world(t, func(t *testing.T, f *Fabric, cut *bool, a, b *Host, near, far network.Stream) {
		*cut = true
		f.Recut()
		for _, s := range []string{"one ", "two "} {
			if _, err := near.Write([]byte(s)); err != nil {
				t.Fatal(err)
			}
		}
		far.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := far.Read(make([]byte, 8)); err == nil {
			t.Fatalf("%d bytes came through a wire that is cut", n)
		}
		far.SetReadDeadline(time.Time{})
		*cut = false
		f.Recut()
		near.Write([]byte("three"))
		near.CloseWrite()
		if got, err := io.ReadAll(far); err != nil || string(got) != "one two three" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// A connection that hears nothing for long dies at both ends, and the next dial waits
// for nobody.
func TestLongCut(t *testing.T) {
	world(t, func(t *testing.T, f *Fabric, cut *bool, a, b *Host, near, far network.Stream) {
		*cut = true
		f.Recut()
		began := time.Now()
		for _, s := range []network.Stream{near, far} {
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, network.ErrReset) {
				t.Errorf("the end of a silent connection: %v", err)
			}
		}
		if d := time.Since(began); d < IdleTimeout-keepAlive || d > IdleTimeout {
			t.Errorf("it was noticed after %s", d)
		}
		began = time.Now()
		err := a.Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()})
		if !errors.Is(err, ErrNoAnswer) || time.Since(began) != DialTimeout {
			t.Errorf("dialling into nothing: %v after %s", err, time.Since(began))
		}
		if f.Links() != 0 {
			t.Errorf("%d connections are left", f.Links())
		}
	})
}

// A host that is killed says nothing to anybody: its neighbour finds out by itself,
// and another life of it can be dialled.
func TestKill(t *testing.T) {
	world(t, func(t *testing.T, f *Fabric, cut *bool, a, b *Host, near, far network.Stream) {
		b.Kill()
		if _, err := far.Write([]byte("from the dead")); err == nil {
			t.Error("the dead write")
		}
		began := time.Now()
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, network.ErrReset) || time.Since(began) < IdleTimeout-keepAlive {
			t.Errorf("after a death: %v in %s", err, time.Since(began))
		}
		again := leanHost(t, f, 1)
		defer again.Close()
		if err := a.Connect(t.Context(), peer.AddrInfo{ID: again.ID(), Addrs: again.Addrs()}); err != nil {
			t.Errorf("dialling the next life: %v", err)
		}
	})
}

// Who comes back after a kill knows nothing of the connections of before, and says so
// to what comes for one: also to what came while nobody was there.
func TestReborn(t *testing.T) {
	for _, early := range []bool{false, true} {
		world(t, func(t *testing.T, f *Fabric, _ *bool, a, b *Host, near, _ network.Stream) {
			b.Kill()
			if early {
				near.Write([]byte("to nobody"))
			}
			<-time.After(time.Second)
			again := leanHost(t, f, 1)
			defer again.Close()
			if !early {
				near.Write([]byte("to somebody else"))
			}
			<-time.After(100 * time.Millisecond)
			if n := len(a.Network().ConnsToPeer(b.ID())); n != 0 {
				t.Errorf("%d connections to who has forgotten them", n)
			}
			if _, err := near.Write([]byte("more")); err == nil {
				t.Error("its streams live on")
			}
		})
	}
}

// A dial takes a round trip, and identify another.
func TestDialTakesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFabric(flat{})
		a, b := leanHost(t, f, 0), leanHost(t, f, 1)
		defer b.Close()
		defer a.Close()
		began := time.Now()
		if err := a.Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d != 80*time.Millisecond {
			t.Errorf("connected after %s, over a wire of 20 ms", d)
		}
	})
}

// Of connections past the bound nobody is told, but streams go over them; they end
// when nothing does. Who has few is given one by who is full.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFabric(flat{})
		var all []*Host
		for i := range 9 {
			h := leanHost(t, f, i)
			h.most = 4
			all = append(all, h)
			defer h.Close()
		}
		hub := all[0]
		hub.SetStreamHandler(protoA, func(s network.Stream) { s.Close() })
		for _, h := range all[1:] {
			if err := h.Connect(t.Context(), peer.AddrInfo{ID: hub.ID(), Addrs: hub.Addrs()}); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(hub.Network().Peers()); n != 8 {
			t.Errorf("newcomers are %d neighbours of the first, want twice its bound", n)
		}
		last := leanHost(t, f, 9)
		last.most = 4
		defer last.Close()
		if err := last.Connect(t.Context(), peer.AddrInfo{ID: hub.ID(), Addrs: hub.Addrs()}); err != nil {
			t.Fatal(err)
		}
		if len(last.Network().Peers()) != 0 || last.Network().Connectedness(hub.ID()) != network.NotConnected {
			t.Error("a connection past the bound is told of")
		}
		s, err := last.NewStream(t.Context(), hub.ID(), protoA)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("a stream over a quiet connection: %v", err)
		}
		s.Close()
		links := f.Links()
		<-time.After(2 * QuietFor)
		if f.Links() != links-1 {
			t.Errorf("%d connections, and then %d: the quiet one should have ended", links, f.Links())
		}
	})
}
