// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	stdnet "net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"croft/ebpf"
	"croft/ebpf/kernel"
	slivernet "croft/ebpf/net"

	"github.com/gofrs/flock"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Addresses of the bench's outside. They are open to slivers by default, as the
// closed ranges are part of what is tried; no packet leaves the namespaces, so
// that it does not matter whose they are elsewhere.
var benchEnds = ends{
	host4:  netip.MustParseAddr("198.41.0.1"),
	world4: netip.MustParseAddr("198.41.0.4"),
	host6:  netip.MustParseAddr("2001:503:ba3e::1"),
	world6: netip.MustParseAddr("2001:503:ba3e::4"),
}

// ends are the addresses of a node's host and of the receiver behind it.
type ends struct{ host4, host6, world4, world6 netip.Addr }

const (
	hostDev   = "wan0"
	worldDev  = "out0"
	sliverDev = "eth0" // ebpf/net's name for a sliver's end
	places    = 4
)

// bench is a node of its own between a host and a world of its own:
//
//	sliver ═ node's namespace ═ host wan0 ══ out0 world
type bench struct {
	ends
	tag         string
	lock        *flock.Flock
	host, world netns.NsHandle
	h, w        *netlink.Handle // netlink in these
	net         *slivernet.Network
	node        netns.NsHandle // the node's namespace
	guard       *kernel.Guard
	peer        *sliver // beside the one that attacks; it only receives
	count       int     // of stages so far
}

func openBench(ctx context.Context) (_ *bench, err error) {
	b := &bench{ends: benchEnds, host: netns.None(), world: netns.None(), node: netns.None()}
	if b.tag, b.lock, err = claim(claims); err != nil {
		return nil, fmt.Errorf("claiming a tag: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("setting up a bench: %w", err), b.close())
		}
	}()
	if err := b.outside(); err != nil {
		return nil, fmt.Errorf("the world: %w", err)
	}
	if err := b.openNode(ctx); err != nil {
		return nil, err
	}
	if b.node, err = netns.GetFromPath(filepath.Join("/run/netns", "croft-"+b.tag)); err != nil {
		return nil, err
	}
	b.peer = &sliver{plan: slivernet.Sliver{Name: "peer", Place: 1, Ports: public(peerPort)}, ns: netns.None()}
	if err := b.add(ctx, b.peer); err != nil {
		return nil, err
	}
	return b, b.guardAndRaise(ctx, b.peer, ebpf.Limits{Egress: wide, Ingress: wide, Deadline: boot() + int64(time.Hour)})
}

// openNode opens network and guard as a daemon does that starts.
func (b *bench) openNode(ctx context.Context) (err error) {
	if err = within(b.host, func() (err error) {
		b.net, err = slivernet.Open(ctx, slivernet.Config{Tag: b.tag, Places: places,
			Resolver: []netip.AddrPort{netip.AddrPortFrom(b.world4, 53)}, Log: slog.New(slog.DiscardHandler)})
		return err
	}); err != nil {
		return err
	}
	b.guard, err = kernel.Open(kernel.Config{Tag: b.tag, Resolvers: []netip.Addr{slivernet.Resolver}})
	return err
}

// closeNode lets go of both, as a daemon does that dies.
func (b *bench) closeNode() (err error) {
	if b.guard != nil {
		err = b.guard.Close()
		b.guard = nil
	}
	if b.net != nil {
		err = errors.Join(err, b.net.Close())
		b.net = nil
	}
	return err
}

// outside makes host and world and the cable between them. Neighbours are fixed
// and nothing is asked on the link, so that the receiver hears attacks alone.
func (b *bench) outside() (err error) {
	for _, ns := range []*netns.NsHandle{&b.host, &b.world} {
		if *ns, err = anonymous(); err != nil {
			return err
		}
		if err := sysctl(*ns, [][2]string{
			{"ipv6/conf/default/addr_gen_mode", "1"}, {"ipv6/conf/default/accept_ra", "0"},
			{"ipv6/conf/default/accept_dad", "0"}, {"ipv4/conf/all/rp_filter", "0"},
		}...); err != nil {
			return err
		}
	}
	if b.h, err = netlink.NewHandleAt(b.host, unix.NETLINK_ROUTE); err != nil {
		return err
	}
	if b.w, err = netlink.NewHandleAt(b.world, unix.NETLINK_ROUTE); err != nil {
		return err
	}
	if err := b.h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: hostDev, MTU: 1500}, PeerName: worldDev,
		PeerMTU: 1500, PeerNamespace: netlink.NsFd(int(b.world))}); err != nil {
		return err
	}
	type end struct {
		h          *netlink.Handle
		dev        string
		own, other [2]netip.Addr
	}
	ends := []end{
		{b.h, hostDev, [2]netip.Addr{b.host4, b.host6}, [2]netip.Addr{b.world4, b.world6}},
		{b.w, worldDev, [2]netip.Addr{b.world4, b.world6}, [2]netip.Addr{b.host4, b.host6}},
	}
	var macs [2]stdnet.HardwareAddr
	for i, e := range ends {
		for _, name := range []string{"lo", e.dev} {
			link, err := e.h.LinkByName(name)
			if err != nil {
				return err
			}
			if err := e.h.LinkSetUp(link); err != nil {
				return err
			}
			macs[i] = link.Attrs().HardwareAddr
		}
	}
	for i, e := range ends {
		link, err := e.h.LinkByName(e.dev)
		if err != nil {
			return err
		}
		for j, own := range e.own {
			bits := []int{24, 64}[j]
			if err := e.h.AddrAdd(link, &netlink.Addr{IPNet: ipNet(own, bits), Flags: unix.IFA_F_NODAD}); err != nil {
				return err
			}
			if err := e.h.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, Family: []int{unix.AF_INET, unix.AF_INET6}[j],
				State: netlink.NUD_PERMANENT, IP: e.other[j].AsSlice(), HardwareAddr: macs[1-i]}); err != nil {
				return err
			}
		}
		for _, other := range e.other {
			everywhere := netip.PrefixFrom(other, 0).Masked()
			if err := e.h.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(everywhere.Addr(), 0),
				Gw: other.AsSlice()}); err != nil {
				return err
			}
		}
	}
	return nil
}

func ipNet(a netip.Addr, bits int) *stdnet.IPNet {
	return &stdnet.IPNet{IP: a.AsSlice(), Mask: stdnet.CIDRMask(bits, a.BitLen())}
}

// close takes everything away, in any state.
func (b *bench) close() error {
	err := b.closeNode()
	if b.peer != nil {
		err = errors.Join(err, b.peer.close())
	}
	for _, h := range []*netlink.Handle{b.h, b.w} {
		if h != nil {
			h.Close()
		}
	}
	if b.node.IsOpen() {
		err = errors.Join(err, b.node.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), teardown)
	defer cancel()
	if b.host.IsOpen() {
		err = errors.Join(err, within(b.host, func() error { return slivernet.Destroy(ctx, b.tag) }), kernel.Destroy("", b.tag))
	}
	for _, ns := range []*netns.NsHandle{&b.host, &b.world} {
		if ns.IsOpen() {
			err = errors.Join(err, ns.Close())
		}
	}
	if err == nil { // else the next Sweep tries again
		err = errors.Join(os.Remove(filepath.Join(claims, b.tag)), tidy(claims))
	}
	return errors.Join(err, b.lock.Close())
}
