// SPDX-License-Identifier: Apache-2.0

package net

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Destroy removes everything of the tag from the calling thread's namespace,
// its host, in any state that a crash can leave, and switches forwarding off
// where Open switched it on. It is idempotent. Nobody has the tag's Network
// open.
func Destroy(ctx context.Context, tag string) error {
	return destroy(ctx, tag, func(string) error { return nil })
}

func destroy(ctx context.Context, tag string, fault func(step string) error) error {
	if err := needRoot(); err != nil {
		return err
	}
	p, err := newPlan(tag, 0)
	if err != nil {
		return err
	}
	d := &demolition{plan: p}
	if d.host, err = netns.Get(); err != nil {
		return err
	}
	defer d.host.Close()
	if d.out, err = netlink.NewHandleAt(d.host, unix.NETLINK_ROUTE); err != nil {
		return err
	}
	defer d.out.Close()

	// What the host's switches were is known as long as the uplink stands, and
	// the table keeps the host from routing as long as they are on.
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"check", d.check},
		{"switches", d.switches},
		{"host table", func() error { return dropTable(d.host, p.table()) }},
		{"uplink", d.uplink},
		{"veths", d.veths},
		{"sliver namespaces", d.sliverSpaces},
		{"namespace", func() error { return dropNS(p.namespace()) }},
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fault(step.name); err != nil {
			return err
		}
		if err := step.do(); err != nil {
			return fmt.Errorf("destroying network of node %s: %s: %w", tag, step.name, err)
		}
	}
	return nil
}

type demolition struct {
	plan plan
	host netns.NsHandle
	out  *netlink.Handle
}

// check refuses a node that lives in another host.
func (d *demolition) check() error {
	_, err := d.out.LinkByName(d.plan.uplinkName())
	if !notFound(err) {
		return err
	}
	return d.inNode(func(h *netlink.Handle) error {
		_, err := h.LinkByName(uplinkNS)
		if err == nil {
			return fmt.Errorf("namespace %s has its uplink in another host: %w", d.plan.namespace(), ErrTaken)
		}
		if notFound(err) {
			return nil
		}
		return err
	})
}

// switches puts forwarding back, or leaves that to another node that still
// needs it.
func (d *demolition) switches() error {
	up, err := d.out.LinkByName(d.plan.uplinkName())
	if notFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	notes := parseNotes(up.Attrs().Alias)
	if len(notes) == 0 {
		return nil
	}
	links, err := again(d.out.LinkList)
	if err != nil {
		return err
	}
	for _, l := range links {
		a := l.Attrs()
		if a.Name != d.plan.uplinkName() && strings.HasPrefix(a.Name, uplinkDev) && strings.HasPrefix(a.Alias, noteMark) {
			return writeNotes(d.out, d.host, l, union(parseNotes(a.Alias), notes))
		}
	}
	return within(d.host, func() error { return restore(notes) })
}

func (d *demolition) uplink() error {
	up, err := d.out.LinkByName(d.plan.uplinkName())
	if notFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.out.LinkDel(up)
}

// veths go by hand: a process in a sliver could hold its namespace, and with it
// the pair, after the names are gone.
func (d *demolition) veths() error {
	return d.inNode(func(h *netlink.Handle) error {
		links, err := again(h.LinkList)
		if err != nil {
			return err
		}
		for _, l := range links {
			name := l.Attrs().Name
			if _, ok := placeOf(name); !ok && name != ifbName {
				continue
			}
			if err := h.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
				return fmt.Errorf("deleting %s: %w", name, err)
			}
		}
		return nil
	})
}

func (d *demolition) sliverSpaces() error {
	names, err := sliverSpaces(d.plan.tag)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := dropNS(name); err != nil {
			return err
		}
	}
	return nil
}

func (d *demolition) inNode(f func(*netlink.Handle) error) error {
	space, err := openNS(d.plan.namespace())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer space.Close()
	h, err := netlink.NewHandleAt(space, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	return f(h)
}
