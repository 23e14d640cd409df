// SPDX-License-Identifier: Apache-2.0

package net

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// SetRates changes a sliver's rates, in bit/s, while packets pass. Where a way
// that had no shaper gets one, or the other way round, what is there is:
//
//   - a class that is no longer needed is opened to [LinkRate], as the guard
//     still sends packets to it;
//   - a new class from the sliver is unknown to the guard: SetRates has then
//     made it and returns [ErrReattach].
func (n *Network) SetRates(ctx context.Context, name string, egress, ingress uint64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.usable(ctx); err != nil {
		return err
	}
	fresh, err := n.setRates(name, egress, ingress)
	if err == nil && fresh {
		err = ErrReattach
	}
	if err != nil {
		return fmt.Errorf("setting rates of sliver %.20q: %w", name, err)
	}
	return nil
}

func (n *Network) setRates(name string, egress, ingress uint64) (fresh bool, err error) {
	p, err := n.find(name)
	if err != nil {
		return false, err
	}
	space, err := openNS(n.plan.sliverNS(p.place))
	if err != nil {
		return false, err
	}
	defer space.Close()
	in, err := netlink.NewHandleAt(space, unix.NETLINK_ROUTE)
	if err != nil {
		return false, err
	}
	defer in.Close()
	return n.rates(p.place, p.link, in, egress, ingress)
}

// rates puts both ways' classes in place, and the size of what the sliver's
// stack hands over at once. It reports whether the IFB's class is new.
func (n *Network) rates(place int, link netlink.Link, in *netlink.Handle, egress, ingress uint64) (fresh bool, err error) {
	id, had := n.plan.class(place), false
	if n.has.ifb {
		if had, err = n.ifb.hasClass(id); err != nil {
			return false, err
		}
		if had || shaped(egress) {
			if err := n.ifb.way(id, shapeFor(limited(egress), n.has.cut)); err != nil {
				return false, err
			}
		}
	}

	// On the veth bulk is also the default: what the guard did not classify is
	// held all the same.
	if n.has.htb {
		q := queue{h: n.node, line: n.line, dev: link, has: n.has}
		has, err := q.hasRoot()
		if err != nil {
			return false, err
		}
		if has || shaped(ingress) {
			if err := n.towards(q, id, shapeFor(limited(ingress), n.has.cut)); err != nil {
				return false, err
			}
		}
	}

	eth, err := in.LinkByName(insideDev)
	if err != nil {
		return false, err
	}
	if err := in.LinkSetGSOMaxSize(eth, gsoFor(egress)); err != nil {
		return false, fmt.Errorf("limiting the sliver's packets: %w", err)
	}
	return shaped(egress) && n.has.ifb && !had, nil
}

func limited(rate uint64) uint64 {
	if shaped(rate) {
		return rate
	}
	return LinkRate
}

// towards shapes what goes to a sliver. That the kernel has no HTB can show as
// late as here, where it has no IFB either.
func (n *Network) towards(q queue, id uint32, s shape) error {
	err := q.root(id&0xffff | bulkLeaf)
	if errors.Is(err, errors.ErrUnsupported) {
		n.has.htb = false
		return n.without(err)
	}
	if err != nil {
		return err
	}
	return q.way(id, s)
}

// unshape takes a place's classes off the IFB; those on its veth go with that.
func (n *Network) unshape(place int) error {
	if !n.has.ifb {
		return nil
	}
	return n.ifb.dropWay(n.plan.class(place))
}
