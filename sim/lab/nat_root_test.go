// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// socket opens a UDP socket of a node or of outside.
func socket(t *testing.T, ns string, at netip.AddrPort) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	err := within(ns, func() (err error) {
		c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// carry sends a datagram and returns from where it comes, if it does.
func carry(t *testing.T, from *net.UDPConn, to *net.UDPConn, at netip.AddrPort, patience time.Duration) (netip.AddrPort, bool) {
	t.Helper()
	if _, err := from.WriteToUDPAddrPort([]byte("knock"), at); err != nil {
		t.Fatal(err)
	}
	if err := to.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, sender, err := to.ReadFromUDPAddrPort(make([]byte, 16))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return sender, err == nil
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// What each kind of NAT maps to what, and whom it lets in.
func TestRootLabBehindNAT(t *testing.T) {
	needRoot(t)
	const arrives, stays = 10 * time.Second, 300 * time.Millisecond
	for _, kind := range []NAT{NATCone, NATSymmetric, NATCarrier} {
		t.Run(string(kind), func(t *testing.T) {
			dir, name := spot(t)
			l, err := Up(t.Context(), Config{Dir: dir, Name: name, Croft: self(t),
				Sites: []Site{{Name: "inside", NAT: kind}, {Name: "open"}}, OneWay: func(Site, Site) time.Duration { return time.Millisecond },
				Nodes: []NodeSpec{{Site: "inside"}, {Site: "inside"}, {Site: "open"}}})
			if err != nil {
				t.Fatal(err)
			}
			r, err := load(l.Dir())
			if err != nil {
				t.Fatal(err)
			}
			first, second, open := r.Plan.Nodes[0], r.Plan.Nodes[1], r.Plan.Nodes[2]
			site, _ := r.Plan.site("inside")
			if first.Address.String() != "10.18.1.11" || first.Listen == second.Listen || open.Listen != overlayPort {
				t.Errorf("nodes %+v", r.Plan.Nodes)
			}
			out, _ := r.Plan.site(outsideName)
			friend := socket(t, open.NetNS, netip.AddrPortFrom(open.Address, 7000))
			stranger := socket(t, out.NetNS, netip.AddrPortFrom(out.Gateway, 7000))
			sameHost := socket(t, open.NetNS, netip.AddrPortFrom(open.Address, 7001))
			node := socket(t, first.NetNS, netip.AddrPortFrom(first.Address, 6000))

			seen, ok := carry(t, node, friend, addrOf(friend), arrives)
			if !ok || seen.Addr() != site.Gateway {
				t.Fatalf("the friend sees %v, %v; want %s", seen, ok, site.Gateway)
			}
			if kept := seen.Port() == 6000; kept != (kind != NATSymmetric) {
				t.Errorf("port 6000 is seen as %d", seen.Port())
			}
			if back, ok := carry(t, friend, node, seen, arrives); !ok || back != addrOf(friend) {
				t.Errorf("the answer comes from %v, %v", back, ok)
			}
			// Neither another host nor another port of the friend's gets in.
			for _, c := range []*net.UDPConn{stranger, sameHost} {
				if _, ok := carry(t, c, node, seen, stays); ok {
					t.Errorf("%v gets in unasked", addrOf(c))
				}
			}
			// The stranger, who knocked in vain, then sees the same port as the friend.
			again, ok := carry(t, node, stranger, addrOf(stranger), arrives)
			if same := again == seen; !ok || same != (kind != NATSymmetric) {
				t.Errorf("the stranger sees %v, the friend saw %v", again, seen)
			}
			if _, ok := carry(t, stranger, node, again, arrives); !ok {
				t.Error("the stranger may not answer")
			}
			if _, ok := carry(t, socket(t, second.NetNS, netip.AddrPortFrom(second.Address, 6001)), node, addrOf(node), arrives); !ok {
				t.Error("neighbours do not see one another")
			}
			if err := Down(t.Context(), dir, DownOptions{}); err != nil {
				t.Fatal(err)
			}
			nothingLeft(t, name, dir)
		})
	}
}

// Without the nft program nothing is left of a lab that wants it.
func TestRootLabWithoutNFTCleansUp(t *testing.T) {
	needRoot(t)
	t.Setenv("PATH", t.TempDir())
	dir, name := spot(t)
	_, err := Up(t.Context(), Config{Dir: dir, Name: name, Croft: self(t), N: 2, Sites: []Site{{Name: "a"}, {Name: "b", NAT: NATCone}}})
	if err == nil {
		t.Fatal("there is a translator without a program to make it")
	}
	nothingLeft(t, name, dir)
}
