// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"croft/lease/leasetest"
)

// A name is dialled where it leads to if that is kept, and not at all else.
func TestWhereNamesLeadIsJudged(t *testing.T) {
	made := func(name string, keep func([]multiaddr.Multiaddr) []multiaddr.Multiaddr) *Host {
		h, err := NewHost(Config{Key: leasetest.Key(name).Private(), Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Private: true, Resolved: keep})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		return h
	}
	server := made("n1", nil)
	port, err := server.Addrs()[0].ValueForProtocol(multiaddr.P_TCP)
	if err != nil {
		t.Fatal(err)
	}
	at, err := multiaddr.NewMultiaddr("/dns4/localhost/tcp/" + port)
	if err != nil {
		t.Fatal(err)
	}
	to := peer.AddrInfo{ID: server.ID(), Addrs: []multiaddr.Multiaddr{at}}
	public := func(list []multiaddr.Multiaddr) []multiaddr.Multiaddr {
		return multiaddr.FilterAddrs(list, manet.IsPublicAddr)
	}
	if err := made("n2", public).Connect(t.Context(), to); err == nil {
		t.Error("a name that leads to this machine was dialled")
	}
	if err := made("n3", nil).Connect(t.Context(), to); err != nil {
		t.Errorf("where all are kept: %v", err)
	}
}
