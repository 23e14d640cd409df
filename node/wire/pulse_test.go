// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// relay carries TCP connections to an address until it is cut: then it carries
// nothing, and closes nothing either, as a machine does that lost its power.
type relay struct {
	net.Listener
	mu sync.RWMutex // held by whoever writes; kept locked by cut
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r := &relay{Listener: l}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				return
			}
			go r.carry(near, far)
			go r.carry(far, near)
			t.Cleanup(func() { near.Close(); far.Close() })
		}
	}()
	t.Cleanup(func() { l.Close() })
	return r
}

func (r *relay) carry(from, to net.Conn) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		r.mu.RLock()
		_, err = to.Write(b[:n])
		r.mu.RUnlock()
		if err != nil {
			return
		}
	}
}

func (r *relay) cut(t *testing.T) {
	r.mu.Lock()
	t.Cleanup(r.mu.Unlock)
}

// A peer is cut off without a word and comes back at another address: the next
// pipe may go over the dead connection, but fails then, and the one after it
// works.
func TestDialAfterSilentDeath(t *testing.T) {
	_, target := key(2)
	k, _ := key(2)
	far := newHost(t, 2, listenAddrs("127.0.0.1", 0)[1])
	whoami(t, Listen(far, k, Options{}))
	near := newHost(t, 1, listenAddrs("127.0.0.1", 0)[1])

	at, err := manet.ToNetAddr(far.Addrs()[0])
	must(t, err)
	r := newRelay(t, at.String())
	through, err := manet.FromNetAddr(r.Addr())
	must(t, err)
	must(t, near.Connect(t.Context(), peer.AddrInfo{ID: far.ID(), Addrs: []multiaddr.Multiaddr{through}}))
	c, err := Dial(t.Context(), near, target)
	must(t, err)
	c.Close()

	r.cut(t)
	dead := near.Network().ConnsToPeer(far.ID())[0]
	gone := make(chan struct{})
	near.Network().Notify(&network.NotifyBundle{DisconnectedF: func(_ network.Network, c network.Conn) {
		if c == dead {
			close(gone)
		}
	}})
	near.Peerstore().AddAddrs(far.ID(), far.Addrs(), peerstore.PermanentAddrTTL)
	c, err = Dial(t.Context(), near, target)
	must(t, err) // it does not know yet
	if _, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Fatalf("reading from a dead peer: %v, want an error", err)
	}
	<-gone
	c, err = Dial(t.Context(), near, target)
	must(t, err)
	defer c.Close()
	if _, err := Secure(t.Context(), c, k, target); err != nil {
		t.Fatal(err)
	}
}
