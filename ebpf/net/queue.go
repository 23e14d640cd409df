// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A queue is one HTB: the IFB's, or that of a veth's host end.
type queue struct {
	h    *netlink.Handle
	line wire // to where h is
	dev  netlink.Link
	has  parts
}

// A wire is a socket to a namespace's traffic control, for what the netlink
// library has no call for.
type wire map[int]*nl.SocketHandle

func newWire(ns netns.NsHandle) (wire, error) {
	s, err := nl.GetNetlinkSocketAt(ns, netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	err = errors.Join(s.SetSendTimeout(&nl.SocketTimeoutTv), s.SetReceiveTimeout(&nl.SocketTimeoutTv))
	return wire{unix.NETLINK_ROUTE: {Socket: s}}, err
}

func (w wire) close() {
	for _, s := range w {
		s.Close()
	}
}

// ask sends a request about one device and returns the answers of that kind.
func (w wire) ask(what, flags int, msg *nl.TcMsg, answer uint16, attrs ...*nl.RtAttr) ([][]byte, error) {
	req := nl.NewNetlinkRequest(what, flags)
	req.Sockets = w
	req.AddData(msg)
	for _, a := range attrs {
		req.AddData(a)
	}
	return req.Execute(unix.NETLINK_ROUTE, answer)
}

// root puts HTB on the device unless it is there.
func (q queue) root(defaultMinor uint32) error {
	has, err := q.hasRoot()
	if err != nil || has {
		return err
	}
	htb := netlink.NewHtb(netlink.QdiscAttrs{
		LinkIndex: q.dev.Attrs().Index, Handle: htbMajor, Parent: netlink.HANDLE_ROOT})
	htb.Defcls = defaultMinor
	if err := missing(q.has.or("htb", func() error { return q.h.QdiscReplace(htb) }), "kernel: sch_htb", unshapedRates); err != nil {
		return fmt.Errorf("putting HTB on %s: %w", q.dev.Attrs().Name, err)
	}
	if err := q.count(); err != nil {
		return fmt.Errorf("counting at L3 on %s: %w", q.dev.Attrs().Name, err)
	}
	return nil
}

func (q queue) hasRoot() (bool, error) {
	all, err := again(func() ([]netlink.Qdisc, error) { return q.h.QdiscList(q.dev) })
	if err != nil {
		return false, fmt.Errorf("listing queues of %s: %w", q.dev.Attrs().Name, err)
	}
	for _, d := range all {
		if d.Type() == "htb" && d.Attrs().Handle == htbMajor {
			return true, nil
		}
	}
	return false, nil
}

// way makes a sliver's three classes and their queues, or changes them while
// packets pass.
func (q queue) way(id uint32, s shape) error {
	if err := q.class(id, htbMajor, s.Rate, s, 0); err != nil {
		return err
	}
	for _, leaf := range []uint32{sparseLeaf, bulkLeaf} {
		if err := q.class(id|leaf, id, s.half(), s, leaf-sparseLeaf); err != nil {
			return err
		}
	}
	for _, l := range q.leaves(id, s) {
		if err := q.qdisc(l); err != nil {
			return fmt.Errorf("setting queue %x of class %x on %s: %w", l.handle, id, q.dev.Attrs().Name,
				missing(err, "kernel: sch_"+l.module(), unshapedRates))
		}
	}
	return nil
}

// class makes one class, or changes it.
func (q queue) class(id, parent uint32, rate uint64, s shape, prio uint32) error {
	c := netlink.NewHtbClass(
		netlink.ClassAttrs{LinkIndex: q.dev.Attrs().Index, Handle: id, Parent: parent},
		netlink.HtbClassAttrs{Rate: rate, Ceil: s.Rate, Buffer: s.Burst, Cbuffer: s.Burst, Quantum: s.Quantum, Prio: prio})
	if err := q.h.ClassReplace(c); err != nil {
		return fmt.Errorf("setting class %x on %s: %w", id, q.dev.Attrs().Name, err)
	}
	return nil
}

// drain makes the class of packets that belong nowhere: its queue has no room
// for any.
func (q queue) drain() error {
	const rate = 8_000
	if err := q.class(htbMajor|strays, htbMajor, rate, shape{Rate: rate, Burst: mtu, Quantum: mtu}, 0); err != nil {
		return err
	}
	return q.qdisc(qdisc{parent: htbMajor | strays, handle: handleOf(strayQueue, 0), kind: "bfifo", options: fifoOptions(1)})
}

func (q queue) hasClass(id uint32) (bool, error) {
	_, err := q.stats(unix.RTM_GETTCLASS, id)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for class %x on %s: %w", id, q.dev.Attrs().Name, err)
	}
	return true, nil
}

// dropWay takes a sliver's classes away; what still asks for them is dropped as
// a stray.
func (q queue) dropWay(id uint32) error {
	for _, id := range []uint32{id | sparseLeaf, id | bulkLeaf, id} {
		err := q.h.ClassDel(&netlink.HtbClass{ClassAttrs: netlink.ClassAttrs{
			LinkIndex: q.dev.Attrs().Index, Handle: id, Parent: htbMajor}})
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("deleting class %x of %s: %w", id, q.dev.Attrs().Name, err)
		}
	}
	return nil
}

// again repeats a listing that the kernel says changed underneath.
func again[T any](list func() (T, error)) (all T, err error) {
	for range dumpTries {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, err
}
