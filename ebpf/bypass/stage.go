// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"errors"
	"fmt"
	stdnet "net"
	"net/netip"
	"sync"
	"time"

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

// A stage is the bench set for one run of one item: a new sliver that attacks, or
// is attacked, and one beside it that only receives.
type stage struct {
	*bench
	item    Item
	guarded bool
	self    *sliver
	peer    *sliver
	limits  ebpf.Limits // of self
	ends    int64       // boot clock: nothing may pass from then on; 0: never
	gone    int64       // boot clock: self is no more; 0: it is there to the end
	undo    []func() error
}

// sliver is one with its network.
type sliver struct {
	name    string
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

// stage makes new slivers, so that buckets are full and nothing is left of the
// item before. With guarded, self has the small lease in the direction that is
// tried; without, it has no guard and no shaper.
func (b *bench) stage(ctx context.Context, it Item, guarded bool) (_ *stage, err error) {
	b.count++
	s := &stage{bench: b, item: it, guarded: guarded}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	self := slivernet.Sliver{Name: fmt.Sprintf("self%d", b.count), Place: 0, Ports: public(selfPort)}
	s.limits = ebpf.Limits{Egress: wide, Ingress: wide, Deadline: boot() + int64(time.Hour)}
	if it.direction == ebpf.Egress {
		s.limits.Egress = small
	} else {
		s.limits.Ingress = small
	}
	if guarded && it.direction == ebpf.Egress {
		self.Egress = small.Rate
	} else if guarded {
		self.Ingress = small.Rate
	}
	if s.self, err = s.add(ctx, self); err != nil {
		return nil, err
	}
	if s.peer, err = s.add(ctx, slivernet.Sliver{Name: fmt.Sprintf("peer%d", b.count), Place: 1, Ports: public(peerPort)}); err != nil {
		return nil, err
	}
	open := ebpf.Limits{Egress: wide, Ingress: wide, Deadline: s.limits.Deadline}
	if err := s.attach(ctx, s.peer, open); err != nil {
		return nil, err
	}
	if !it.late {
		err = s.raise(ctx)
	}
	return s, err
}

func public(port uint16) []lease.Port {
	return []lease.Port{{Proto: lease.UDP, Number: port, Inside: port}, {Proto: lease.TCP, Number: port, Inside: port}}
}

// add makes a sliver whose link is down.
func (s *stage) add(ctx context.Context, plan slivernet.Sliver) (_ *sliver, err error) {
	v := &sliver{name: plan.Name, plan: plan, ns: netns.None()}
	s.undo = append(s.undo, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), teardown)
		defer cancel()
		if v.in != nil {
			v.in.Close()
		}
		var err error
		if v.ns.IsOpen() {
			err = v.ns.Close()
		}
		return errors.Join(err, s.guard.Detach(ctx, v.name), s.net.Remove(ctx, v.name))
	})
	if v.at, err = s.net.Add(ctx, plan); err != nil {
		return nil, err
	}
	if v.ns, err = netns.GetFromPath(v.at.NetNS); err != nil {
		return nil, err
	}
	if v.in, err = netlink.NewHandleAt(v.ns, unix.NETLINK_ROUTE); err != nil {
		return nil, err
	}
	inside, err := v.in.LinkByName(sliverDev)
	if err != nil {
		return nil, err
	}
	v.eth, v.mac = inside.Attrs().Index, inside.Attrs().HardwareAddr
	node, err := netlink.NewHandleAt(s.node, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer node.Close()
	outer, err := node.LinkByIndex(v.at.Guard.IfIndex)
	if err != nil {
		return nil, err
	}
	v.gateway = outer.Attrs().HardwareAddr
	return v, nil
}

func (s *stage) attach(ctx context.Context, v *sliver, l ebpf.Limits) error {
	l.Source4, l.Source6, l.MAC = v.at.Addresses.Source4, v.at.Addresses.Source6, v.at.Addresses.MAC
	if err := s.guard.Attach(ctx, v.at.Guard, l); err != nil {
		return err
	}
	return s.net.Up(ctx, v.name)
}

// raise lets self's packets pass: under its guard, or without.
func (s *stage) raise(ctx context.Context) error {
	if s.guarded {
		return s.attach(ctx, s.self, s.limits)
	}
	return s.net.Up(ctx, s.self.name)
}

// tap counts where the item says.
func (s *stage) tap() (*tap, error) {
	switch s.item.At {
	case AtPeer:
		return newTap(s.peer.ns, s.peer.in, s.peer.eth, false, nil)
	case AtSelf:
		return newTap(s.self.ns, s.self.in, s.self.eth, false, nil)
	case AtNode:
		return newTap(s.node, nil, s.self.at.Guard.IfIndex, true, nil)
	}
	link, err := s.w.LinkByName(worldDev)
	if err != nil {
		return nil, err
	}
	return newTap(s.world, s.w, link.Attrs().Index, false, s.foreign)
}

// run plays the item and returns what was sent, and what was received when.
func (s *stage) run(ctx context.Context, window time.Duration) (sent Traffic, all []sample, err error) {
	floods, err := s.item.attack(s)
	if err != nil {
		return sent, nil, err
	}
	for _, f := range floods {
		defer f.close()
	}
	t, err := s.tap()
	if err != nil {
		return sent, nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	var beside error
	all, err = measure(ctx, t, window, func() {
		way := s.limits.Egress
		if s.item.direction == ebpf.Ingress {
			way = s.limits.Ingress
		}
		for _, f := range floods {
			running.Go(func() { f.run(ctx, f.pace(way, Pace/float64(len(floods)))) })
		}
		if s.item.meanwhile != nil {
			running.Go(func() {
				if beside = s.item.meanwhile(ctx, s); ctx.Err() != nil {
					beside = nil
				}
			})
		}
	})
	stop()
	running.Wait()
	for _, f := range floods {
		sent.Packets += f.packets.Load()
		sent.Octets += f.octets.Load()
		if s.item.Stops != "" { // what the kernel does not even take was tried all the same
			sent.Packets += f.refused.Load()
			sent.Octets += f.refusedOctets.Load()
		}
	}
	if err := errors.Join(err, beside); err != nil {
		return sent, nil, err
	}
	if why := t.wrong.Load(); why != nil {
		return sent, all, fmt.Errorf("%w: a packet %s", ErrHole, *why)
	}
	if s.item.after != nil {
		err = s.item.after(s)
	}
	return sent, all, err
}

func (s *stage) close() error {
	var errs []error
	for i := len(s.undo) - 1; i >= 0; i-- {
		errs = append(errs, s.undo[i]())
	}
	return errors.Join(errs...)
}
