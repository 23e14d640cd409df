// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"errors"
	stdnet "net"
	"net/netip"

	"croft/ebpf"
	slivernet "croft/ebpf/net"
	"croft/lease"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Ports of the two slivers, in the world and inside alike, and of the world.
const (
	selfPort  = 7001
	peerPort  = 7002
	worldPort = 7000
)

// sliver is one with its network.
type sliver struct {
	at      slivernet.Attachment
	plan    slivernet.Sliver
	ns      netns.NsHandle
	in      *netlink.Handle
	eth     int                 // ifindex of its own end
	mac     stdnet.HardwareAddr // of its own end
	gateway stdnet.HardwareAddr // of the host end
}

func (s *sliver) addr(v6 bool) netip.Addr {
	if v6 {
		return s.at.Addresses.Source6
	}
	return s.at.Addresses.Source4
}

func public(port uint16) []lease.Port {
	return []lease.Port{{Proto: lease.UDP, Number: port, Inside: port}, {Proto: lease.TCP, Number: port, Inside: port}}
}

// add makes the sliver of v's plan, its link down. What an add that fails has
// made, drop takes away.
func (b *bench) add(ctx context.Context, v *sliver) (err error) {
	if v.at, err = b.net.Add(ctx, v.plan); err != nil {
		return err
	}
	if v.ns, err = netns.GetFromPath(v.at.NetNS); err != nil {
		return err
	}
	if v.in, err = netlink.NewHandleAt(v.ns, unix.NETLINK_ROUTE); err != nil {
		return err
	}
	inside, err := v.in.LinkByName(sliverDev)
	if err != nil {
		return err
	}
	v.eth, v.mac = inside.Attrs().Index, inside.Attrs().HardwareAddr
	node, err := netlink.NewHandleAt(b.node, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer node.Close()
	outer, err := node.LinkByIndex(v.at.Guard.IfIndex)
	if err != nil {
		return err
	}
	v.gateway = outer.Attrs().HardwareAddr
	return nil
}

// drop removes a sliver, in any state.
func (b *bench) drop(v *sliver) error {
	ctx, cancel := context.WithTimeout(context.Background(), teardown)
	defer cancel()
	return errors.Join(v.close(), b.guard.Detach(ctx, v.plan.Name), b.net.Remove(ctx, v.plan.Name))
}

func (v *sliver) close() error {
	if v.in != nil {
		v.in.Close()
	}
	if v.ns.IsOpen() {
		return v.ns.Close()
	}
	return nil
}

// own completes limits with a sliver's addresses.
func (v *sliver) own(l ebpf.Limits) ebpf.Limits {
	l.Source4, l.Source6, l.MAC = v.at.Addresses.Source4, v.at.Addresses.Source6, v.at.Addresses.MAC
	return l
}

// guardAndRaise lets a sliver's packets pass, under limits.
func (b *bench) guardAndRaise(ctx context.Context, v *sliver, l ebpf.Limits) error {
	if err := b.guard.Attach(ctx, v.at.Guard, v.own(l)); err != nil {
		return err
	}
	return b.net.Up(ctx, v.plan.Name)
}
