// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
	stdnet "net"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

func TestLeasedPorts(t *testing.T) {
	p := mustPlan(t, "abcdef", 64)
	for out, want := range map[uint64][2]uint16{
		0: {16640, 16895}, 1: {16640, 16640}, 4: {16640, 16643}, 255: {16640, 16894}, 256: {16640, 16895}, 1 << 40: {16640, 16895},
	} {
		if got := p.leased(1, out); got != want {
			t.Errorf("%d ports: %v, want %v", out, got, want)
		}
	}
	for places, want := range map[int]uint64{0: 256, 1: 16384, 64: 256, 1000: 16, MaxPlaces: 16} {
		if got := Block(places); got != want {
			t.Errorf("of %d places each has %d ports, want %d", places, got, want)
		}
	}
}

// A sliver has as many flows to one destination as source ports, over either
// family, and what is more is dropped and counted for it; to another destination
// they count anew, and to another sliver not at all.
func TestRootSourcePorts(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	s := Sliver{Name: "aaaa", Place: 1, Out: 4}
	at, in := running(t, n, s)
	_, other := running(t, n, Sliver{Name: "bbbb", Place: 2})
	whole := n.plan.sourcePorts(1)
	if want := [2]uint16{whole[0], whole[0] + 3}; at.SourcePorts != want || n.SourcePorts(s) != want {
		t.Fatalf("it leaves by %v and was to by %v, want %v", at.SourcePorts, n.SourcePorts(s), want)
	}
	from := map[string]func() []uint16{}
	for _, to := range []string{"192.0.2.2:7000", "192.0.2.2:7001", "[2001:db8::2]:7000"} {
		from[to] = sources(t, w.outside, to)
	}
	want := func(what, to string, flows int, dropped uint64) {
		t.Helper()
		seen := map[uint16]bool{}
		for _, port := range from[to]() {
			seen[port] = true
			if port < at.SourcePorts[0] || port > at.SourcePorts[1] {
				t.Errorf("%s: seen from port %d, leased %v", what, port, at.SourcePorts)
			}
		}
		if c := n.countedNow(t, 1); len(seen) != flows || c.NoPort != dropped {
			t.Errorf("%s: from %d ports, %d dropped, want %d and %d", what, len(seen), c.NoPort, flows, dropped)
		}
	}
	open := datagrams(t, in, "192.0.2.2:7000", 5)
	want("five flows", "192.0.2.2:7000", 4, 1)
	for _, c := range open[:4] {
		_, err := c.Write([]byte("y"))
		must(t, err)
	}
	want("those that are open", "192.0.2.2:7000", 4, 1)
	datagrams(t, in, "192.0.2.2:7001", 4)
	want("another destination", "192.0.2.2:7001", 4, 1)
	datagrams(t, in, "[2001:db8::2]:7000", 6)
	want("IPv6", "[2001:db8::2]:7000", 4, 3)
	datagrams(t, other, "192.0.2.2:7000", 6)
	if got := len(from["192.0.2.2:7000"]()); got != 6 {
		t.Errorf("of another sliver %d of 6 flows went out", got)
	}

	t.Run("a new daemon forgets nothing", func(t *testing.T) {
		must(t, n.Close())
		n = w.mustOpen(Config{Places: 4})
		datagrams(t, in, "192.0.2.2:7000", 2) // before the sliver is taken up again
		_, err := n.Add(t.Context(), s)
		must(t, err)
		datagrams(t, in, "192.0.2.2:7000", 2)
		want("four more", "192.0.2.2:7000", 0, 7)
	})
	t.Run("a larger lease", func(t *testing.T) {
		s.Out = 8
		var err error
		at, err = n.Add(t.Context(), s)
		must(t, err)
		datagrams(t, in, "192.0.2.2:7000", 4)
		want("four more", "192.0.2.2:7000", 4, 7)
	})
	t.Run("a smaller lease", func(t *testing.T) {
		s.Out = 2
		var err error
		at, err = n.Add(t.Context(), s)
		must(t, err)
		for _, ns := range []netns.NsHandle{w.host, n.space} {
			for port := int(whole[0]) + 2; port < int(whole[0])+8; port++ {
				if got := entriesOf(t, ns, "port="+strconv.Itoa(port)); got > 0 {
					t.Errorf("%d entries of port %d are left", got, port)
				}
			}
		}
		datagrams(t, in, "192.0.2.2:7001", 3) // two of the four are open still
		if got := from["192.0.2.2:7001"](); len(got) > 0 {
			t.Errorf("more flows went out, from %v", got)
		}
	})
	t.Run("who comes next finds nothing", func(t *testing.T) {
		must(t, n.Remove(t.Context(), "aaaa"))
		at, in = running(t, n, Sliver{Name: "cccc", Place: 1})
		if at.SourcePorts != whole {
			t.Errorf("a lease that does not say leaves by %v, want %v", at.SourcePorts, whole)
		}
		datagrams(t, in, "192.0.2.2:7000", 20)
		want("twenty flows", "192.0.2.2:7000", 20, 0)
	})
}

// A daemon that dies when a smaller lease's rules are there, and before what is open
// by the other ports has ended, leaves that to the next.
func TestRootSourcePortsAreTakenAfterACrash(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	s := Sliver{Name: "aaaa", Place: 1, Out: 4}
	at, in := running(t, n, s)
	sources(t, w.outside, "192.0.2.2:7000")
	datagrams(t, in, "192.0.2.2:7000", 4)
	must(t, n.Close())

	n = w.mustOpen(Config{Places: 4, fault: (&plug{at: "source rules"}).pull})
	s.Out = 2
	if _, err := n.Add(t.Context(), s); !errors.Is(err, errPlug) {
		t.Fatalf("the rules are not made anew: %v", err)
	}
	beyond := func() (entries int) {
		for _, ns := range []netns.NsHandle{w.host, n.space} {
			for port := int(at.SourcePorts[0]) + 2; port <= int(at.SourcePorts[1]); port++ {
				entries += entriesOf(t, ns, "port="+strconv.Itoa(port))
			}
		}
		return entries
	}
	if beyond() == 0 {
		t.Fatal("nothing is open beyond the lease: this shows nothing")
	}
	must(t, n.Close())

	n = w.mustOpen(Config{Places: 4})
	_, err := n.Add(t.Context(), s)
	must(t, err)
	if left := beyond(); left > 0 {
		t.Errorf("%d entries of ports beyond the lease are left", left)
	}
}

// A host that gets IPv6, or loses it, while the daemon is down has the rules of the
// families that it has.
func TestRootSourcePortsFollowTheFamilies(t *testing.T) {
	w := newWorld(t)
	h := handle(t, w.host)
	wan := link(t, h, "wan0")
	six := &netlink.Route{LinkIndex: wan.Attrs().Index, Dst: ipNet(everywhere6.Addr(), 0), Gw: outsideAddr6.AsSlice()}
	must(t, h.RouteDel(six))
	s := Sliver{Name: "aaaa", Place: 1, Out: 4}
	for _, has := range []bool{false, true, false} {
		if has {
			must(t, route(h, wan, everywhere6, outsideAddr6))
		}
		n := w.mustOpen(Config{Places: 4})
		if n.v6 != has {
			t.Fatalf("the node's IPv6 is %t, the host's %t", n.v6, has)
		}
		running(t, n, s)
		out, err := command(n.space, "nft", "list", "chain", "inet", n.plan.sourcesTable(), portBlock+strconv.Itoa(s.Place))
		must(t, err)
		if !strings.Contains(out, n.plan.node4().String()) || strings.Contains(out, n.plan.node6().String()) != has {
			t.Errorf("IPv6 %t: the rules are\n%s", has, out)
		}
		must(t, n.Close())
		if has {
			must(t, h.RouteDel(six))
		}
	}
}

// sources tells from which ports datagrams came to an address, of all that are
// there until none has come for a while.
func sources(t *testing.T, ns netns.NsHandle, at string) func() []uint16 {
	t.Helper()
	var c stdnet.PacketConn
	must(t, within(ns, func() (err error) { c, err = stdnet.ListenPacket("udp", at); return err }))
	t.Cleanup(func() { c.Close() })
	return func() (from []uint16) {
		for _, a := range arrivals(c) {
			from = append(from, uint16(a.(*stdnet.UDPAddr).Port))
		}
		return from
	}
}
