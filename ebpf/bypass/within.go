// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"errors"
	"fmt"
	stdnet "net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"croft/ebpf"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// A Try is an item of the suite as a program tries it that runs in a sliver, with
// what the kernel lets it do there.
type Try struct {
	Item     Item
	Receiver netip.Addr    // outside, IPv4: at port 7000 and others
	Node     netip.Addr    // the node's, at whose ports 7001 and 7002 this sliver and another are
	Lease    ebpf.Way      // that is to be exceeded, forty times
	For      time.Duration // how long
}

// Tried is what came of one.
type Tried struct {
	Item    string  `json:"item"`
	About   string  `json:"about"`
	Sent    Traffic `json:"sent"`              // what the sliver's own kernel took
	Offered float64 `json:"offered"`           // sent ÷ lease, of octets or packets the larger
	Refused string  `json:"refused,omitempty"` // why it took nothing
}

// Within lists the items that a program can try alone: all but those that take a
// second one, at the node or outside.
func Within() (all []Item) {
	for _, it := range Items() {
		if it.direction == ebpf.Egress && !it.late && it.meanwhile == nil && !it.byHost {
			all = append(all, it)
		}
	}
	return all
}

// Run floods. What the sandbox does not allow is no error, but a result.
func (t Try) Run(ctx context.Context) (Tried, error) {
	out := Tried{Item: t.Item.Name, About: t.Item.About}
	s, err := t.inside()
	if err != nil {
		return out, fmt.Errorf("looking at the sliver's network: %w", err)
	}
	defer s.self.in.Close()
	attack, ok := ordinary[t.Item.Name]
	if !ok {
		attack = t.Item.attack
	}
	floods, err := attack(s)
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		out.Refused = err.Error()
		return out, nil
	}
	if err != nil {
		return out, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.For)
	defer cancel()
	var running sync.WaitGroup
	begin := boot()
	for _, f := range floods {
		running.Go(func() { f.run(ctx, f.pace(t.Lease, Pace/float64(len(floods)))) })
	}
	running.Wait()
	lease := allowed(ebpf.Way{Rate: t.Lease.Rate, Packets: t.Lease.Packets}, boot()-begin)
	for _, f := range floods {
		out.Sent.Packets += f.packets.Load()
		out.Sent.Octets += f.octets.Load()
		if errno := syscall.Errno(f.errno.Load()); errno != 0 && out.Sent.Packets == 0 {
			out.Refused = "sending: " + errno.Error()
		}
		err = errors.Join(err, f.close())
	}
	out.Offered = max(float64(out.Sent.Octets)/float64(lease.Octets), float64(out.Sent.Packets)/float64(lease.Packets))
	return out, err
}

// inside is a stage made of what a program sees in a sliver. The other sliver is
// the one at the next address.
func (t Try) inside() (*stage, error) {
	s := &stage{bench: &bench{ends: benchEnds}, item: t.Item, guarded: true}
	s.bench.node, s.bench.host, s.bench.world = netns.None(), netns.None(), netns.None()
	s.world4, s.host4 = t.Receiver, t.Node
	dev, err := stdnet.InterfaceByName(sliverDev)
	if err != nil {
		return nil, err
	}
	addrs, err := dev.Addrs()
	if err != nil {
		return nil, err
	}
	self, peer := &sliver{ns: netns.None(), eth: dev.Index, mac: dev.HardwareAddr}, &sliver{ns: netns.None(), eth: dev.Index}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		switch {
		case err != nil:
			return nil, err
		case p.Addr().Is4():
			self.at.Addresses.Source4, peer.at.Addresses.Source4 = p.Addr(), p.Addr().Next()
		case !p.Addr().IsLinkLocalUnicast():
			self.at.Addresses.Source6, peer.at.Addresses.Source6 = p.Addr(), p.Addr().Next()
		}
	}
	if !self.addr(false).IsValid() {
		return nil, fmt.Errorf("%s has the addresses %v, want one of IPv4", sliverDev, addrs)
	}
	if !self.addr(true).IsValid() { // the node has no IPv6; what is put into frames all the same is documentation's
		self.at.Addresses.Source6, peer.at.Addresses.Source6 = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	}
	if self.in, err = netlink.NewHandle(); err != nil {
		return nil, err
	}
	neighbours, err := self.in.NeighList(dev.Index, netlink.FAMILY_ALL)
	if err != nil {
		self.in.Close()
		return nil, err
	}
	self.gateway = make(stdnet.HardwareAddr, 6)
	for _, n := range neighbours {
		if len(n.HardwareAddr) == 6 {
			self.gateway = n.HardwareAddr
		}
	}
	peer.mac, peer.gateway = self.gateway, self.gateway
	s.self, s.peer = self, peer
	return s, nil
}
