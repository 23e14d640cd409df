// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"croft/ebpf"
	"croft/ebpf/kernel"
	slivernet "croft/ebpf/net"
	"croft/lease"
)

// A shaped world is a node's network with slivers under a lease, as the daemon
// makes them but for the sandbox, and somebody outside:
//
//	sliver ─ veth ─ node's namespace ─ uplink ─ host ─ wan0 ═ out0 ─ outside
//
// Outside can be far away: then it is a router to who is there, behind the relay
// that makes the lab's distances.
type shapedWorld struct {
	host, outside space
	far           space      // or outside
	at            netip.Addr // far's
	network       *slivernet.Network
	guard         *kernel.Guard
	packets       uint64 // of a lease, per second; 0: no limit
	slivers       int
	undo          []func() error
}

var (
	worldNet     = netip.MustParsePrefix("198.18.252.0/30")
	worldHost    = netip.MustParsePrefix("198.18.252.1/30")
	worldOutside = netip.MustParsePrefix("198.18.252.2/30")
	worldFar     = netip.MustParsePrefix("198.18.254.0/30")
)

// newShapedWorld makes one. With a round trip, it goes through the relay of the
// croft binary.
func newShapedWorld(ctx context.Context, croft string, roundTrip time.Duration) (w *shapedWorld, err error) {
	w = &shapedWorld{at: worldOutside.Addr()}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	for _, s := range []*space{&w.host, &w.outside} {
		if *s, err = newSpace(); err != nil {
			return w, err
		}
		w.undo = append(w.undo, func() error { s.close(); return nil })
	}
	if err := newLink(w.host, w.outside, "wan0", "out0", worldHost, worldOutside); err != nil {
		return w, err
	}
	wan, err := w.host.links.LinkByName("wan0")
	if err != nil {
		return w, err
	}
	if err := w.host.links.RouteAdd(&netlink.Route{LinkIndex: wan.Attrs().Index, Gw: worldOutside.Addr().AsSlice(), Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}}); err != nil {
		return w, err
	}
	if err := single(w.host, "wan0"); err != nil {
		return w, err
	}
	if w.far = w.outside; roundTrip > 0 {
		if err := w.distance(ctx, croft, roundTrip); err != nil {
			return w, fmt.Errorf("making a distance: %w", err)
		}
	}
	tag := randomTag()
	w.undo = append(w.undo, func() error {
		return within(w.host.NsHandle, func() error { return slivernet.Destroy(context.Background(), tag) })
	})
	err = within(w.host.NsHandle, func() (err error) {
		w.network, err = slivernet.Open(ctx, slivernet.Config{Tag: tag, Places: 8})
		return err
	})
	if err != nil {
		return w, err
	}
	w.undo = append(w.undo, w.network.Close)
	if w.guard, err = kernel.Open(kernel.Config{Tag: tag, Opened: []netip.Prefix{worldNet, worldFar}}); err != nil {
		return w, err
	}
	w.undo = append(w.undo, func() error { return errors.Join(w.guard.Close(), kernel.Destroy("", tag)) })
	return w, nil
}

func (w *shapedWorld) close() error {
	var errs []error
	for i := len(w.undo) - 1; i >= 0; i-- {
		errs = append(errs, w.undo[i]())
	}
	return errors.Join(errs...)
}

// sliver makes one with that rate both ways, and returns its namespace.
func (w *shapedWorld) sliver(ctx context.Context, rate uint64) (name string, inside space, err error) {
	name = fmt.Sprintf("bench%d", w.slivers)
	place := w.slivers % 8
	w.slivers++
	at, err := w.network.Add(ctx, slivernet.Sliver{Name: name, Place: place, Egress: rate, Ingress: rate})
	if err != nil {
		return "", inside, err
	}
	if err := w.guard.Attach(ctx, at.Guard, w.limits(rate, at.Addresses)); err != nil {
		return "", inside, err
	}
	if err := w.network.Up(ctx, name); err != nil {
		return "", inside, err
	}
	if inside.NsHandle, err = netns.GetFromPath(at.NetNS); err != nil {
		return "", inside, err
	}
	if inside.links, err = netlink.NewHandleAt(inside.NsHandle); err != nil {
		return "", inside, err
	}
	node, err := netns.GetFromPath(at.Guard.NetNS)
	if err != nil {
		return "", inside, err
	}
	defer node.Close()
	links, err := netlink.NewHandleAt(node)
	if err != nil {
		return "", inside, err
	}
	defer links.Close()
	return name, inside, single(space{node, links}, fmt.Sprintf("cs%d", place))
}

func (w *shapedWorld) limits(rate uint64, at ebpf.Addresses) ebpf.Limits {
	var set lease.RSet
	set[lease.EgressRate], set[lease.IngressRate] = rate, rate
	set[lease.EgressPackets], set[lease.IngressPackets] = ebpf.MaxPacketRate, ebpf.MaxPacketRate
	if w.packets > 0 {
		set[lease.EgressPackets], set[lease.IngressPackets] = w.packets, w.packets
	}
	return ebpf.Compile(&lease.Lease{RSet: set}, at, ebpf.Conditions{Deadline: bootClock() + int64(10*time.Hour)})
}

func (w *shapedWorld) remove(ctx context.Context, name string, inside space) error {
	inside.close()
	return errors.Join(w.network.Remove(ctx, name), w.guard.Detach(ctx, name))
}

// from is the path from a sliver, towards the one to it. The sliver connects.
func (w *shapedWorld) from(inside space) path {
	return path{dialer: inside, listener: w.far, at: w.at, into: w.outside, device: "out0"}
}

func (w *shapedWorld) towards(inside space) path {
	return path{dialer: inside, listener: w.far, at: w.at, backwards: true, into: inside, device: "eth0"}
}

// way is either.
func (w *shapedWorld) way(name string, inside space) path {
	if name == "from" {
		return w.from(inside)
	}
	return w.towards(inside)
}

// bare is the path outside of all limits.
func (w *shapedWorld) bare() path {
	return path{dialer: w.host, listener: w.far, at: w.at, into: w.outside, device: "out0"}
}
