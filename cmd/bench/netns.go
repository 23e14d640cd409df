// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// within runs f on a thread of its own in the namespace ns; without one, in the
// namespace that f makes. Sockets that f opens belong there for good.
func within(ns netns.NsHandle, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // a thread that does not find home ends here
		home, err := netns.Get()
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		defer home.Close()
		if ns.IsOpen() {
			err = netns.Set(ns)
		}
		if err == nil {
			err = f()
		}
		if back := netns.Set(home); back == nil {
			runtime.UnlockOSThread()
		} else {
			err = errors.Join(err, back)
		}
		done <- err
	}()
	return <-done
}

// A space is a nameless network namespace: it goes with its last handle, and
// so with this process, whatever ends that.
type space struct {
	netns.NsHandle
	links *netlink.Handle
}

func newSpace() (s space, err error) {
	s.NsHandle = netns.None()
	if err = within(netns.None(), func() (err error) { s.NsHandle, err = netns.New(); return err }); err != nil {
		return s, fmt.Errorf("making a network namespace: %w", err)
	}
	if s.links, err = netlink.NewHandleAt(s.NsHandle); err != nil {
		s.NsHandle.Close()
		return s, err
	}
	lo, err := s.links.LinkByName("lo")
	if err == nil {
		err = s.links.LinkSetUp(lo)
	}
	return s, err
}

// spaceAt opens a namespace that has a name.
func spaceAt(path string) (s space, err error) {
	if s.NsHandle, err = netns.GetFromPath(path); err != nil {
		return s, fmt.Errorf("opening %s: %w", path, err)
	}
	s.links, err = netlink.NewHandleAt(s.NsHandle)
	return s, err
}

func (s space) close() {
	s.links.Close()
	s.NsHandle.Close()
}

// path opens the namespace again, for this process only.
func (s space) path() string { return fmt.Sprintf("/proc/self/fd/%d", int(s.NsHandle)) }

func (s space) received(device string) (packets uint64, err error) {
	l, err := s.links.LinkByName(device)
	if err != nil {
		return 0, err
	}
	return l.Attrs().Statistics.RxPackets, nil
}

// A cable is a veth between two spaces, addressed and with its neighbours
// known, so that nothing but what is sent crosses it.
type cable struct {
	a, b         space
	addrA, addrB netip.Addr
	macA         [6]byte
	indexB       int
}

const ends = "eth0" // the device at both ends of a cable

func newCable(subnet string) (c cable, err error) {
	prefix := netip.MustParsePrefix(subnet)
	c.addrA, c.addrB = prefix.Addr().Next(), prefix.Addr().Next().Next()
	if c.a, err = newSpace(); err != nil {
		return c, err
	}
	if c.b, err = newSpace(); err != nil {
		c.a.close()
		return c, err
	}
	if err = c.lay(prefix.Bits()); err != nil {
		c.close()
	}
	return c, err
}

func (c *cable) lay(bits int) error {
	err := c.a.links.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: ends, TxQLen: 1000}, PeerName: ends, PeerNamespace: netlink.NsFd(int(c.b.NsHandle))})
	if err != nil {
		return fmt.Errorf("making a veth: %w", err)
	}
	a, err1 := c.a.links.LinkByName(ends)
	b, err2 := c.b.links.LinkByName(ends)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	c.indexB = b.Attrs().Index
	copy(c.macA[:], a.Attrs().HardwareAddr)
	for _, e := range []struct {
		s          space
		dev, other netlink.Link
		own, peer  netip.Addr
	}{{c.a, a, b, c.addrA, c.addrB}, {c.b, b, a, c.addrB, c.addrA}} {
		err := errors.Join(
			e.s.links.LinkSetUp(e.dev),
			e.s.links.AddrAdd(e.dev, &netlink.Addr{IPNet: &net.IPNet{IP: e.own.AsSlice(), Mask: net.CIDRMask(bits, 32)}}),
			e.s.links.NeighSet(&netlink.Neigh{LinkIndex: e.dev.Attrs().Index, State: unix.NUD_PERMANENT, IP: e.peer.AsSlice(), HardwareAddr: e.other.Attrs().HardwareAddr}))
		if err != nil {
			return fmt.Errorf("addressing a veth: %w", err)
		}
	}
	return nil
}

func (c cable) close() { c.a.close(); c.b.close() }

// randomTag names what this run makes in the kernel.
func randomTag() string {
	b := make([]byte, 5)
	rand.Read(b)
	return "b" + strings.ToLower(base32.StdEncoding.EncodeToString(b))[:5]
}

// bootClock is CLOCK_BOOTTIME in nanoseconds.
func bootClock() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err) // every Linux since 2.6.39 has it
	}
	return ts.Nano()
}
