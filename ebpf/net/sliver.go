// SPDX-License-Identifier: Apache-2.0

package net

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"croft/ebpf"
	"croft/lease"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Sliver is what a sliver's plumbing is made from.
type Sliver struct {
	Name            string
	Place           int
	Egress, Ingress uint64       // bit/s at L3; 0 is not shaped
	Live            uint64       // flows that it may have open at once, and as many that come to it; 0: a default
	Out             uint64       // source ports, of its place's block; 0, or more than that has: all of it
	Ports           []lease.Port // public ports, exact
}

// Attachment is what others need to know of a sliver's plumbing.
type Attachment struct {
	NetNS       string    // path of the sliver's namespace, for the sandbox
	Guard       ebpf.Port // where the guard goes before Up
	Addresses   ebpf.Addresses
	SourcePorts [2]uint16 // first and last, in which the world sees the sliver
}

// Add makes the sliver's namespace and everything in it and around it, with the
// host end of its veth down: nothing passes before [Network.Up]. What is there
// already, from before a crash or a restart, is kept and repaired; it stays up
// if it is. The place or a public port of another sliver is [ErrTaken].
func (n *Network) Add(ctx context.Context, s Sliver) (Attachment, error) {
	if err := n.check(s); err != nil {
		return Attachment{}, fmt.Errorf("plumbing sliver %.20q: %w", s.Name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.usable(ctx); err != nil {
		return Attachment{}, err
	}
	at, err := n.add(s)
	if err != nil {
		return Attachment{}, fmt.Errorf("plumbing sliver %s: %w", s.Name, err)
	}
	return at, nil
}

func (n *Network) check(s Sliver) error {
	if err := (ebpf.Port{Sliver: s.Name, Place: s.Place, IfIndex: 1}).Check(); err != nil {
		return err
	}
	if s.Place >= n.plan.places {
		return fmt.Errorf("place %d of %d: %w", s.Place, n.plan.places, ErrConfig)
	}
	if len(s.Ports) > MaxPorts {
		return fmt.Errorf("%d public ports, limit %d: %w", len(s.Ports), MaxPorts, ErrConfig)
	}
	for i, p := range s.Ports {
		again := slices.ContainsFunc(s.Ports[:i], func(o lease.Port) bool { return o.Proto == p.Proto && o.Number == p.Number })
		if again || p.Number == 0 || p.Inside == 0 || p.Proto != lease.TCP && p.Proto != lease.UDP {
			return fmt.Errorf("public port %d/%s to %d: %w", p.Number, p.Proto, p.Inside, ErrConfig)
		}
		if p.Number >= FirstSource && p.Number <= LastSource {
			return fmt.Errorf("public port %d is among the source ports %d to %d: %w", p.Number, FirstSource, LastSource, ErrConfig)
		}
	}
	return nil
}

func (n *Network) add(s Sliver) (Attachment, error) {
	if err := n.vacant(s); err != nil {
		return Attachment{}, err
	}
	spaceName := n.plan.sliverNS(s.Place)
	space, err := ensureNS(spaceName)
	if err != nil {
		return Attachment{}, err
	}
	defer space.Close()
	in, err := netlink.NewHandleAt(space, unix.NETLINK_ROUTE)
	if err != nil {
		return Attachment{}, fmt.Errorf("entering %s: %w", spaceName, err)
	}
	defer in.Close()
	if err := n.fault("namespace"); err != nil {
		return Attachment{}, err
	}
	link, err := n.veth(s, space, in)
	if err != nil {
		return Attachment{}, err
	}
	if err := n.fault("veth"); err != nil {
		return Attachment{}, err
	}
	if err := n.inside(s.Place, space, in); err != nil {
		return Attachment{}, err
	}
	if err := n.fault("inside"); err != nil {
		return Attachment{}, err
	}
	if _, err := n.rates(s.Place, link, in, s.Egress, s.Ingress); err != nil {
		return Attachment{}, err
	}
	if err := n.fault("rates"); err != nil {
		return Attachment{}, err
	}
	if err := n.ceil(s.Place, s.Live); err != nil {
		return Attachment{}, err
	}
	if err := n.fault("ceiling"); err != nil {
		return Attachment{}, err
	}
	sources, err := n.sources(s.Place, s.Out)
	if err != nil {
		return Attachment{}, err
	}
	if err := n.fault("source ports"); err != nil {
		return Attachment{}, err
	}
	n.tenants.put(s.Place, s.Name)
	if isUp(link) {
		if err := n.routes(s.Place, link); err != nil {
			return Attachment{}, err
		}
	}
	if err := n.ports(s.Place, s.Ports); err != nil {
		return Attachment{}, err
	}
	return n.attachment(s, link, sources)
}

func (n *Network) attachment(s Sliver, link netlink.Link, sources [2]uint16) (Attachment, error) {
	at := Attachment{
		NetNS: netnsPath(n.plan.sliverNS(s.Place)),
		Guard: ebpf.Port{Sliver: s.Name, Place: s.Place, NetNS: netnsPath(n.plan.namespace()),
			IfIndex: link.Attrs().Index, Class: n.plan.class(s.Place)},
		Addresses:   ebpf.Addresses{Source4: n.plan.sliver4(s.Place), MAC: n.plan.macInside(s.Place)},
		SourcePorts: sources,
	}
	if n.v6 {
		at.Addresses.Source6 = n.plan.sliver6(s.Place)
	}
	if !n.has.ifb {
		return at, nil
	}
	has, err := n.ifb.hasClass(n.plan.class(s.Place))
	if has {
		at.Guard.IFB = n.ifb.dev.Attrs().Index
	}
	return at, err
}

// vacant reports whether the place is free or already this sliver's.
func (n *Network) vacant(s Sliver) error {
	ports, err := n.sliverPorts()
	if err != nil {
		return err
	}
	for _, p := range ports {
		if p.name == s.Name && p.place != s.Place {
			return fmt.Errorf("it is at place %d, not %d: %w", p.place, s.Place, ErrTaken)
		}
		if p.place == s.Place && p.name != "" && p.name != s.Name {
			return fmt.Errorf("place %d is of sliver %s: %w", p.place, p.name, ErrTaken)
		}
	}
	return nil
}

// Up lets packets pass. It comes after the guard is attached.
func (n *Network) Up(ctx context.Context, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.usable(ctx); err != nil {
		return err
	}
	p, err := n.find(name)
	if err != nil {
		return fmt.Errorf("raising sliver %.20q: %w", name, err)
	}
	if err := n.node.LinkSetUp(p.link); err != nil {
		return fmt.Errorf("raising sliver %s: %w", name, err)
	}
	// A route needs a link that is up. Until it is there the reverse path
	// check drops what comes.
	if err := n.routes(p.place, p.link); err != nil {
		return fmt.Errorf("raising sliver %s: %w", name, err)
	}
	if err := n.settle(ctx, p); err != nil {
		return fmt.Errorf("raising sliver %s: %w", name, err)
	}
	return nil
}

// Remove takes the sliver's plumbing away, in any state. The name goes last, so
// that a Remove that was cut short is found and done again.
func (n *Network) Remove(ctx context.Context, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.usable(ctx); err != nil {
		return err
	}
	p, err := n.find(name)
	if errors.Is(err, ErrNoSliver) {
		return nil
	}
	if err == nil {
		err = n.remove(p)
	}
	if err != nil {
		return fmt.Errorf("removing sliver %s: %w", name, err)
	}
	return nil
}

func (n *Network) remove(p sliverPort) error {
	if err := n.node.LinkSetDown(p.link); err != nil && !errors.Is(err, unix.ENODEV) { // gone with its namespace
		return err
	}
	n.names.forget(n.plan.sliver4(p.place))
	n.tenants.put(p.place, "")
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"remove ports", func() error { return n.ports(p.place, nil) }},
		{"remove class", func() error { return n.unshape(p.place) }},
		{"remove flows", func() error { return n.forget(p.place) }},
		{"remove namespace", func() error { return dropNS(n.plan.sliverNS(p.place)) }},
		{"remove veth", func() error { return n.dropLink(p.link) }},
	} {
		if err := n.fault(step.name); err != nil {
			return err
		}
		if err := step.do(); err != nil {
			return err
		}
	}
	return nil
}

// dropLink deletes a veth, which may be gone with its namespace already.
func (n *Network) dropLink(link netlink.Link) error {
	if err := n.node.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("deleting %s: %w", link.Attrs().Name, err)
	}
	return nil
}

// ports makes the public ports of a place exactly these, inside first, so that
// the host never sends on what would not be taken.
func (n *Network) ports(place int, wanted []lease.Port) error {
	gone, err := forward(n.space, n.plan.table(), n.plan.sliver4(place), wanted)
	if err != nil {
		return err
	}
	if n.v6 {
		gone6, err := forward(n.space, n.plan.table(), n.plan.sliver6(place), wanted)
		if err != nil {
			return err
		}
		gone = append(gone, gone6...)
	}
	if len(wanted) == 0 && len(gone) == 0 {
		return nil
	}
	if err := publish(n.host, n.plan.table(), wanted, gone); err != nil || len(gone) == 0 {
		return err
	}
	// What came in by a port that is nobody's any more ends.
	for _, h := range []*netlink.Handle{n.out, n.node} {
		if err := end(h, entered{n.plan, gone}); err != nil {
			return err
		}
	}
	return nil
}

// fault is where tests pull the plug.
func (n *Network) fault(step string) error {
	if n.cfg.fault == nil {
		return nil
	}
	return n.cfg.fault(step)
}
