// SPDX-License-Identifier: Apache-2.0

package net

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/lease"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// needRootHere skips without privileges, unless CI says that there must be some.
func needRootHere(t *testing.T) {
	t.Helper()
	why := ""
	if os.Geteuid() != 0 {
		why = "not root"
	} else if _, err := exec.LookPath("nft"); err != nil {
		why = err.Error()
	}
	if why == "" {
		return
	}
	if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

var (
	hostAddr4    = netip.MustParseAddr("192.0.2.1")
	outsideAddr4 = netip.MustParseAddr("192.0.2.2")
	hostAddr6    = netip.MustParseAddr("2001:db8::1")
	outsideAddr6 = netip.MustParseAddr("2001:db8::2")
)

// testWorld is a host and an outside with a cable between them:
//
//	host wan0 192.0.2.1 ── out0 192.0.2.2 outside
type testWorld struct {
	t             *testing.T
	tag           string
	host, outside netns.NsHandle
}

func newWorld(t *testing.T) *testWorld {
	t.Helper()
	needRootHere(t)
	w := &testWorld{t: t, tag: randomTag()}
	w.host, w.outside = anonymous(t), anonymous(t)
	h, o := handle(t, w.host), handle(t, w.outside)
	must(t, h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "wan0"}, PeerName: "out0", PeerNamespace: netlink.NsFd(int(w.outside))}))
	must(t, set(w.host, conf6("wan0", "addr_gen_mode", "1")))
	must(t, set(w.outside, conf6("out0", "addr_gen_mode", "1")))
	for _, e := range []struct {
		h    *netlink.Handle
		dev  string
		a, b netip.Addr
	}{{h, "wan0", hostAddr4, hostAddr6}, {o, "out0", outsideAddr4, outsideAddr6}} {
		for _, dev := range []string{"lo", e.dev} {
			must(t, e.h.LinkSetUp(link(t, e.h, dev)))
		}
		l := link(t, e.h, e.dev)
		must(t, e.h.AddrAdd(l, &netlink.Addr{IPNet: ipNet(e.a, 24)}))
		must(t, e.h.AddrAdd(l, &netlink.Addr{IPNet: ipNet(e.b, 64), Flags: unix.IFA_F_NODAD}))
	}
	must(t, route(h, link(t, h, "wan0"), everywhere4, outsideAddr4))
	must(t, route(h, link(t, h, "wan0"), everywhere6, outsideAddr6))
	// Whoever is outside may know how a node numbers its slivers.
	must(t, route(o, link(t, o, "out0"), sliverPool, hostAddr4))
	t.Cleanup(func() {
		if err := w.destroy(w.tag); err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(netnsPath("croft-" + w.tag + "*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return w
}

func (w *testWorld) open(cfg Config) (n *Network, err error) {
	if cfg.Tag == "" {
		cfg.Tag = w.tag
	}
	err = within(w.host, func() (err error) {
		n, err = Open(context.Background(), cfg)
		return err
	})
	if err == nil {
		w.t.Cleanup(func() { n.Close() })
	}
	return n, err
}

func (w *testWorld) mustOpen(cfg Config) *Network {
	w.t.Helper()
	n, err := w.open(cfg)
	must(w.t, err)
	return n
}

func (w *testWorld) destroy(tag string) error {
	return within(w.host, func() error { return Destroy(context.Background(), tag) })
}

// running adds a sliver and raises it.
func running(t *testing.T, n *Network, s Sliver) (Attachment, netns.NsHandle) {
	t.Helper()
	at, err := n.Add(t.Context(), s)
	must(t, err)
	must(t, n.Up(t.Context(), s.Name))
	ns, err := netns.GetFromPath(at.NetNS)
	must(t, err)
	t.Cleanup(func() { ns.Close() })
	return at, ns
}

// listen answers every connection with the address that it came from.
func listen(t *testing.T, ns netns.NsHandle, at string) {
	t.Helper()
	var l stdnet.Listener
	must(t, within(ns, func() (err error) { l, err = stdnet.Listen("tcp", at); return err }))
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, c.RemoteAddr().String()+"\n")
			c.Close()
		}
	}()
}

// ask connects and returns as whom the other side sees us.
func ask(ns netns.NsHandle, from, to string) (netip.AddrPort, error) {
	return askFor(10*time.Second, ns, from, to)
}

// closed reports nil when nobody answers. What is dropped is never answered,
// so the time is only how long we listen for it.
func closed(ns netns.NsHandle, from, to string) error {
	if seen, err := askFor(700*time.Millisecond, ns, from, to); err == nil {
		return fmt.Errorf("%s is open, seen as %v", to, seen)
	}
	return nil
}

func askFor(patience time.Duration, ns netns.NsHandle, from, to string) (netip.AddrPort, error) {
	var c stdnet.Conn
	err := within(ns, func() (err error) {
		d := stdnet.Dialer{Timeout: patience}
		if from != "" {
			d.LocalAddr = &stdnet.TCPAddr{IP: stdnet.ParseIP(from)}
		}
		c, err = d.Dial("tcp", to)
		return err
	})
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	b, err := io.ReadAll(c)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.ParseAddrPort(strings.TrimSpace(string(b)))
}

func inBlock(at Attachment, seen netip.AddrPort) bool {
	return seen.Port() >= at.SourcePorts[0] && seen.Port() <= at.SourcePorts[1]
}

func TestRootOutAndIn(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 8})
	if !n.v6 {
		t.Fatal("the host has IPv6, its slivers have not")
	}
	web := lease.Port{Proto: lease.TCP, Number: 8080, Inside: 80}
	a, inA := running(t, n, Sliver{Name: "aaaa", Place: 3, Ports: []lease.Port{web}})
	b, inB := running(t, n, Sliver{Name: "bbbb", Place: 4})
	listen(t, w.outside, "[::]:7000")
	listen(t, w.host, "[::]:9000")
	listen(t, inA, "[::]:80")

	for i := range 20 {
		for _, s := range []struct {
			at Attachment
			in netns.NsHandle
		}{{a, inA}, {b, inB}} {
			seen, err := ask(s.in, "", "192.0.2.2:7000")
			if err != nil || seen.Addr().Unmap() != hostAddr4 || !inBlock(s.at, seen) {
				t.Fatalf("connection %d from %s is seen as %v (%v), want port %v of %s", i, s.at.Guard.Sliver, seen, err, s.at.SourcePorts, hostAddr4)
			}
		}
	}
	if seen, err := ask(inA, "", "[2001:db8::2]:7000"); err != nil || seen.Addr() != hostAddr6 || !inBlock(a, seen) {
		t.Fatalf("over IPv6 seen as %v (%v), want port %v of %s", seen, err, a.SourcePorts, hostAddr6)
	}
	for _, dst := range []string{"192.0.2.2", "2001:db8::2"} {
		if out, err := command(inA, "ping", "-c1", "-W2", dst); err != nil {
			t.Errorf("ping %s: %v\n%s", dst, err, out)
		}
	}

	t.Run("in by a leased port", func(t *testing.T) {
		for _, to := range []string{"192.0.2.1:8080", "[2001:db8::1]:8080"} {
			seen, err := ask(w.outside, "", to)
			if err != nil || seen.Addr().Unmap() != outsideAddr4 && seen.Addr() != outsideAddr6 {
				t.Errorf("%s: the sliver sees %v, %v", to, seen, err)
			}
		}
		if _, err := ask(inB, "", "192.0.2.1:8080"); err != nil {
			t.Errorf("another sliver by the public port: %v", err)
		}
	})

	for _, c := range []struct {
		what     string
		ns       netns.NsHandle
		from, to string
	}{
		{"port that is not leased", w.outside, "", "192.0.2.1:8081"},
		{"sliver's own address from outside", w.outside, "", a.Addresses.Source4.String() + ":80"},
		{"another sliver, IPv4", inB, "", a.Addresses.Source4.String() + ":80"},
		{"another sliver, IPv6", inB, "", "[" + a.Addresses.Source6.String() + "]:80"},
		{"the host's address", inA, "", "192.0.2.1:9000"},
		{"the host's address, IPv6", inA, "", "[2001:db8::1]:9000"},
		{"the host's end of the uplink", inA, "", n.plan.host4().String() + ":9000"},
		{"the host's end of the uplink, IPv6", inA, "", "[" + n.plan.host6().String() + "]:9000"},
		{"the node's end of the uplink", inA, "", n.plan.node4().String() + ":8080"},
	} {
		t.Run("closed/"+c.what, func(t *testing.T) {
			must(t, closed(c.ns, c.from, c.to))
		})
	}

	t.Run("closed/another source address", func(t *testing.T) {
		in := handle(t, inB)
		must(t, in.AddrAdd(link(t, in, insideDev), &netlink.Addr{IPNet: ipNet(a.Addresses.Source4, 32)}))
		must(t, in.AddrAdd(link(t, in, insideDev), &netlink.Addr{IPNet: ipNet(netip.MustParseAddr("198.51.100.7"), 32)}))
		for _, from := range []string{a.Addresses.Source4.String(), "198.51.100.7"} {
			must(t, closed(inB, from, "192.0.2.2:7000"))
		}
		if _, err := ask(inB, b.Addresses.Source4.String(), "192.0.2.2:7000"); err != nil {
			t.Errorf("from its own address: %v", err)
		}
	})

	t.Run("host does not route for others", func(t *testing.T) {
		// The outside uses the host as its gateway to an address of the host's
		// own second network.
		h := handle(t, w.host)
		third := anonymous(t)
		must(t, h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "lan0"}, PeerName: "far0", PeerNamespace: netlink.NsFd(int(third))}))
		must(t, h.AddrAdd(link(t, h, "lan0"), &netlink.Addr{IPNet: ipNet(netip.MustParseAddr("203.0.113.1"), 24)}))
		must(t, h.LinkSetUp(link(t, h, "lan0")))
		f := handle(t, third)
		must(t, f.AddrAdd(link(t, f, "far0"), &netlink.Addr{IPNet: ipNet(netip.MustParseAddr("203.0.113.2"), 24)}))
		must(t, f.LinkSetUp(link(t, f, "far0")))
		must(t, route(f, link(t, f, "far0"), everywhere4, netip.MustParseAddr("203.0.113.1")))
		o := handle(t, w.outside)
		must(t, route(o, link(t, o, "out0"), netip.MustParsePrefix("203.0.113.0/24"), hostAddr4))
		listen(t, third, "203.0.113.2:7000")
		if _, err := ask(w.host, "", "203.0.113.2:7000"); err != nil {
			t.Fatalf("the host itself does not reach its second network: %v", err)
		}
		must(t, closed(w.outside, "", "203.0.113.2:7000"))
	})

	t.Run("removed", func(t *testing.T) {
		must(t, n.Remove(t.Context(), "aaaa"))
		must(t, n.Remove(t.Context(), "aaaa"))
		must(t, closed(w.outside, "", "192.0.2.1:8080"))
		if names, err := n.Slivers(t.Context()); err != nil || fmt.Sprint(names) != "[bbbb]" {
			t.Errorf("slivers %v, %v", names, err)
		}
	})
}

// Where the host itself holds the very flow that a sliver's port would make, the
// sliver's packet is dropped: under another port it would pass for another
// sliver's.
func TestRootHostNeverMovesAPort(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: MaxPlaces})
	at, in := running(t, n, Sliver{Name: "aaaa", Place: 7})
	if at.SourcePorts[1]-at.SourcePorts[0] != 15 {
		t.Fatalf("block %v, want 16 ports", at.SourcePorts)
	}
	listen(t, w.outside, "192.0.2.2:7000")

	var l stdnet.Listener
	must(t, within(w.outside, func() (err error) { l, err = stdnet.Listen("tcp", "192.0.2.2:7001"); return err }))
	defer l.Close()
	dial := func(ns netns.NsHandle, port uint16, patience time.Duration) error {
		return within(ns, func() error {
			d := stdnet.Dialer{Timeout: patience}
			if port > 0 {
				d.LocalAddr = &stdnet.TCPAddr{Port: int(port)}
			}
			c, err := d.Dial("tcp", "192.0.2.2:7001")
			if err == nil {
				t.Cleanup(func() { c.Close() })
			}
			return err
		})
	}
	for port := at.SourcePorts[0]; port <= at.SourcePorts[1]; port++ {
		must(t, dial(w.host, port, 10*time.Second))
	}
	if err := dial(in, 0, time.Second); err == nil {
		t.Error("the sliver's connection left under a port that is not its own")
	}
	if seen, err := ask(in, "", "192.0.2.2:7000"); err != nil || !inBlock(at, seen) {
		t.Errorf("to another destination it is seen as %v, %v", seen, err)
	}
}

// A crash between making a name and binding a namespace to it leaves a file.
func TestRootNameWithoutNamespace(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"croft-" + w.tag, "croft-" + w.tag + "-1"} {
		must(t, os.WriteFile(netnsPath(name), nil, 0o444))
	}
	n := w.mustOpen(Config{Places: 4})
	_, err := n.Add(t.Context(), Sliver{Name: "aaaa", Place: 1})
	must(t, err)
	must(t, n.Close())
	must(t, w.destroy(w.tag))
	must(t, os.WriteFile(netnsPath("croft-"+w.tag), nil, 0o444))
	must(t, w.destroy(w.tag))
}

func TestRootRefusals(t *testing.T) {
	w := newWorld(t)
	if _, err := w.open(Config{Uplink4: netip.MustParsePrefix("10.0.0.0/24")}); !errors.Is(err, ErrConfig) {
		t.Errorf("uplink: %v", err)
	}
	n := w.mustOpen(Config{Places: 4, Uplink4: netip.MustParsePrefix("10.9.9.8/31")})
	tcp := func(number, inside uint16) []lease.Port {
		return []lease.Port{{Proto: lease.TCP, Number: number, Inside: inside}}
	}
	for _, s := range []Sliver{
		{Name: "", Place: 0},
		{Name: "../x", Place: 0},
		{Name: "aaaa", Place: -1},
		{Name: "aaaa", Place: 4},
		{Name: "aaaa", Place: 0, Ports: tcp(FirstSource, 80)},
		{Name: "aaaa", Place: 0, Ports: tcp(0, 80)},
		{Name: "aaaa", Place: 0, Ports: tcp(80, 0)},
		{Name: "aaaa", Place: 0, Ports: append(tcp(80, 80), tcp(80, 81)...)},
		{Name: "aaaa", Place: 0, Ports: make([]lease.Port, MaxPorts+1)},
	} {
		if _, err := n.Add(t.Context(), s); err == nil {
			t.Errorf("%+v was added", s)
		}
	}
	if err := n.Up(t.Context(), "aaaa"); !errors.Is(err, ErrNoSliver) {
		t.Errorf("raising nobody: %v", err)
	}
}

func randomTag() string {
	return "t" + strings.ToLower(rand.Text()[:5])
}

// anonymous is a namespace that goes with its handle.
func anonymous(t *testing.T) netns.NsHandle {
	t.Helper()
	var ns netns.NsHandle
	must(t, within(netns.None(), func() (err error) { ns, err = netns.New(); return err }))
	t.Cleanup(func() { ns.Close() })
	return ns
}

func handle(t *testing.T, ns netns.NsHandle) *netlink.Handle {
	t.Helper()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	must(t, err)
	t.Cleanup(h.Close)
	return h
}

func link(t *testing.T, h *netlink.Handle, name string) netlink.Link {
	t.Helper()
	l, err := h.LinkByName(name)
	must(t, err)
	return l
}

func command(ns netns.NsHandle, name string, args ...string) (string, error) {
	var out bytes.Buffer
	err := within(ns, func() error {
		c := exec.Command(name, args...)
		c.Stdout, c.Stderr = &out, &out
		return c.Run()
	})
	return out.String(), err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
