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
