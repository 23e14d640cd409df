// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"croft/ebpf"
	"croft/ebpf/ebpftest"
)

func TestRootConformance(t *testing.T) {
	ebpftest.Run(t, func(t *testing.T) ebpftest.World { return newWorld(t, Config{}) })
}

// world is a node's namespace, with Remote and Closed on its loopback, and a
// namespace for each sliver:
//
//	sliver <tag>s0  eth0 10.200.0.2 ══ h0 <tag>n  lo 198.41.0.4, 10.50.0.1
//	sliver <tag>s1  eth0 10.200.1.2 ══ h1
type world struct {
	t     *testing.T
	cfg   Config
	guard *Guard
	node  string // path of its namespace
	ports int
	inner map[int]string // namespace of the sliver by place
	peers map[int]int    // ifindex in it
}

func newWorld(t *testing.T, cfg Config) *world {
	cfg.Tag = testTag()
	w := bareWorld(t, cfg)
	w.guard = openGuard(t, cfg)
	return w
}

// bareWorld has no guard yet.
func bareWorld(t *testing.T, cfg Config) *world {
	needRoot(t)
	w := &world{t: t, cfg: cfg, inner: map[int]string{}, peers: map[int]int{}}
	w.node = newNetNS(t, cfg.Tag+"n")
	w.in(w.node, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		errs := []error{netlink.LinkSetUp(lo)}
		for _, a := range []netip.AddrPort{ebpftest.Remote, ebpftest.Closed} {
			errs = append(errs, netlink.AddrAdd(lo, &netlink.Addr{IPNet: host(a.Addr())}))
		}
		return errors.Join(errs...)
	})
	return w
}

// newNetNS makes a named namespace that is gone after the test.
func newNetNS(t *testing.T, name string) string {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and ends with its thread: it is elsewhere now
		there, err := netns.NewNamed(name)
		if err == nil {
			there.Close()
			err = os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0)
			err = errors.Join(err, os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0))
		}
		done <- err
	}()
	err := <-done
	t.Cleanup(func() {
		if err := netns.DeleteNamed(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join("/run/netns", name)
}

func host(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}

func (w *world) in(ns string, do func() error) {
	w.t.Helper()
	if err := inNetNS(ns, do); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) Guard() ebpf.Guard { return w.guard }

func (w *world) Reopen(meanwhile func()) {
	w.t.Helper()
	if err := w.guard.Close(); err != nil {
		w.t.Fatal(err)
	}
	meanwhile()
	g, err := Open(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.guard = g
	w.t.Cleanup(func() { g.Close() })
}

func (w *world) NewPort(sliver string) (ebpf.Port, ebpf.Addresses, netip.Addr) {
	w.t.Helper()
	n := w.ports
	w.ports++
	own := netip.AddrFrom4([4]byte{10, 200, byte(n), 2})
	other := netip.AddrFrom4([4]byte{10, 200, byte(n), 3})
	gateway := netip.AddrFrom4([4]byte{10, 200, 255, 1})
	mac, hostMAC := net.HardwareAddr{2, 0xc4, 0, 0, byte(n), 2}, net.HardwareAddr{2, 0xc4, 0, 0, byte(n), 1}
	w.inner[n] = newNetNS(w.t, fmt.Sprintf("%ss%d", w.cfg.Tag, n))
	inner, err := netns.GetFromPath(w.inner[n])
	if err != nil {
		w.t.Fatal(err)
	}
	defer inner.Close()
	var index, peer int
	w.in(w.node, func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("h%d", n), HardwareAddr: hostMAC},
			PeerName: "eth0", PeerHardwareAddr: mac, PeerNamespace: netlink.NsFd(inner)}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		dev, err := netlink.LinkByName(veth.Name)
		if err != nil {
			return err
		}
		index = dev.Attrs().Index
		return nil
	})
	w.in(w.inner[n], func() error {
		dev, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		peer = dev.Attrs().Index
		return errors.Join(
			netlink.AddrAdd(dev, &netlink.Addr{IPNet: host(own)}),
			netlink.LinkSetUp(dev),
			netlink.NeighAdd(&netlink.Neigh{LinkIndex: peer, IP: gateway.AsSlice(), HardwareAddr: hostMAC, State: netlink.NUD_PERMANENT}),
			netlink.RouteAdd(&netlink.Route{LinkIndex: peer, Dst: host(gateway), Scope: netlink.SCOPE_LINK}),
			netlink.RouteAdd(&netlink.Route{LinkIndex: peer, Gw: gateway.AsSlice()}))
	})
	w.peers[n] = peer
	return ebpf.Port{Sliver: sliver, Place: n, NetNS: w.node, IfIndex: index, Class: 0x10000 + uint32(n)},
		ebpf.Addresses{Source4: own, MAC: [6]byte(mac)}, other
}

func (w *world) Up(at ebpf.Port) {
	w.t.Helper()
	w.in(w.node, func() error {
		dev, err := netlink.LinkByIndex(at.IfIndex)
		if err != nil {
			return err
		}
		own := net.IP{10, 200, byte(at.Place), 2}
		return errors.Join(netlink.LinkSetUp(dev),
			netlink.NeighSet(&netlink.Neigh{LinkIndex: at.IfIndex, IP: own, HardwareAddr: net.HardwareAddr{2, 0xc4, 0, 0, byte(at.Place), 2}, State: netlink.NUD_PERMANENT}),
			netlink.RouteReplace(&netlink.Route{LinkIndex: at.IfIndex, Dst: &net.IPNet{IP: own, Mask: net.CIDRMask(32, 32)}, Scope: netlink.SCOPE_LINK}))
	})
	w.carrier(w.node, at.IfIndex)
	w.carrier(w.inner[at.Place], w.peers[at.Place])
}

// carrier waits until the devices in ns pass packets: a veth does so a moment
// after both its ends are up.
func (w *world) carrier(ns string, index int) {
	w.t.Helper()
	poll, late := time.NewTicker(time.Millisecond), time.After(10*time.Second)
	defer poll.Stop()
	for {
		var state netlink.LinkOperState
		w.in(ns, func() error {
			dev, err := netlink.LinkByIndex(index)
			if err == nil {
				state = dev.Attrs().OperState
			}
			return err
		})
		if state == netlink.OperUp {
			return
		}
		select {
		case <-poll.C:
		case <-late:
			w.t.Fatalf("device %d in %s is %s after 10 s", index, ns, state)
		}
	}
}

// quiet is for how long nothing arrives before the rest counts as dropped. A
// veth hands over within the sender's system call.
const quiet = 100 * time.Millisecond

func (w *world) Send(at ebpf.Port, d ebpf.Direction, from, to netip.AddrPort, n, size int) int {
	w.t.Helper()
	src, dst := w.inner[at.Place], w.node
	if d == ebpf.Ingress {
		src, dst = dst, src
	}
	receiver, sender := w.socket(dst, to), w.socket(src, from)
	defer receiver.Close()
	defer sender.Close()
	for range n {
		// A port that is down or gone refuses: then nothing arrives.
		if _, err := sender.WriteToUDPAddrPort(make([]byte, size-28), to); err != nil && !errors.Is(err, unix.ENETUNREACH) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EHOSTUNREACH) {
			w.t.Fatal(err)
		}
	}
	arrived := 0
	for buf := make([]byte, size); ; arrived++ {
		receiver.SetReadDeadline(time.Now().Add(quiet))
		if _, _, err := receiver.ReadFromUDPAddrPort(buf); errors.Is(err, os.ErrDeadlineExceeded) {
			return arrived
		} else if err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) socket(ns string, at netip.AddrPort) (c *net.UDPConn) {
	w.t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		return errors.Join(raw.Control(func(fd uintptr) {
			err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
				unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_TRANSPARENT, 1)) // sends from any address
		}), err)
	}}
	w.in(ns, func() error {
		got, err := config.ListenPacket(w.t.Context(), "udp4", at.String())
		if err == nil {
			c = got.(*net.UDPConn)
		}
		return err
	})
	return c
}

func (w *world) Now() int64 {
	_, boot, err := clocks()
	if err != nil {
		w.t.Fatal(err)
	}
	return boot
}

func (w *world) Until(boot int64) {
	if left := boot - w.Now(); left > 0 {
		<-time.After(time.Duration(left))
	}
}
