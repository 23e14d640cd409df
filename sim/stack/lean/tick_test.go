// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
)

// Whatever the time is, an arrival is at a whole tick after it, and no further off than
// half of one unless that would be now.
func TestTickAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 50 {
			<-time.After(337 * time.Microsecond)
			for _, d := range []time.Duration{0, time.Microsecond, 400 * time.Microsecond, 600 * time.Microsecond, tick, 36*time.Millisecond + 12345} {
				wait := tickAfter(d)
				at := time.Now().Add(wait)
				if !at.Equal(at.Truncate(tick)) {
					t.Errorf("%s after %s is no tick", wait, time.Now().Format(time.StampNano))
				}
				if wait <= 0 || wait > max(d+tick/2, tick) || wait < d-tick/2 {
					t.Errorf("%s waits %s", d, wait)
				}
			}
		}
	})
}

// What a host keeps of another's address is the other's own copy.
func TestOwnAddress(t *testing.T) {
	world(t, func(t *testing.T, f *Fabric, _ *bool, a, b *Host, _, _ network.Stream) {
		copied := func() ma.Multiaddr {
			c, err := ma.NewMultiaddrBytes(b.addr.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		a.store.ClearAddrs(b.id)
		a.store.AddAddrs(b.id, []ma.Multiaddr{copied()}, time.Hour)
		if got := a.store.Addrs(b.id); len(got) != 1 || &got[0][0] != &b.addr[0] {
			t.Errorf("kept is %v, want the copy of its own", got)
		}
		b.Kill()
		a.store.ClearAddrs(b.id)
		said := copied()
		a.store.AddAddrs(b.id, []ma.Multiaddr{said}, time.Hour)
		if got := a.store.Addrs(b.id); len(got) != 1 || &got[0][0] != &said[0] {
			t.Errorf("kept is %v of nobody", got)
		}
	})
}
