// SPDX-License-Identifier: Apache-2.0

package net

import (
	"context"
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
	id := n.plan.class(place)
	had, err := n.ifb.hasClass(id)
	if err != nil {
		return false, err
	}
	if had || shaped(egress) {
		if err := n.ifb.class(id, shapeFor(limited(egress))); err != nil {
			return false, err
		}
	}

	// On the veth the sliver's class is also the default: what the guard did
	// not classify is held all the same.
	q := queue{h: n.node, ns: n.space, dev: link}
	has, err := q.hasRoot()
	if err != nil {
		return false, err
	}
	if has || shaped(ingress) {
		if err := q.root(id & 0xffff); err != nil {
			return false, err
		}
		if err := q.class(id, shapeFor(limited(ingress))); err != nil {
			return false, err
		}
	}

	eth, err := in.LinkByName(insideDev)
	if err != nil {
		return false, err
	}
	if err := in.LinkSetGSOMaxSize(eth, gsoFor(egress)); err != nil {
		return false, fmt.Errorf("limiting the sliver's packets: %w", err)
	}
	return shaped(egress) && !had, nil
}

func limited(rate uint64) uint64 {
	if shaped(rate) {
		return rate
	}
	return LinkRate
}
