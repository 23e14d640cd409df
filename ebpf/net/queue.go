// SPDX-License-Identifier: Apache-2.0

package net

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const unshapedRates = "rates of slivers are policed only, which TCP bears badly"

// A queue is one HTB: the IFB's, or that of a veth's host end.
type queue struct {
	h   *netlink.Handle
	ns  netns.NsHandle // where h is
	dev netlink.Link
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
	if err := missing(q.h.QdiscReplace(htb), "kernel: sch_htb", unshapedRates); err != nil {
		return fmt.Errorf("putting HTB on %s: %w", q.dev.Attrs().Name, err)
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

// class makes the class, or changes it while packets pass.
func (q queue) class(id uint32, s shape) error {
	c := netlink.NewHtbClass(
		netlink.ClassAttrs{LinkIndex: q.dev.Attrs().Index, Handle: id, Parent: htbMajor},
		netlink.HtbClassAttrs{Rate: s.Rate, Ceil: s.Rate, Buffer: s.Burst, Cbuffer: s.Burst, Quantum: s.Quantum})
	if err := q.h.ClassReplace(c); err != nil {
		return fmt.Errorf("setting class %x on %s: %w", id, q.dev.Attrs().Name, err)
	}
	if err := q.fifo(id, s.Fifo); err != nil {
		return fmt.Errorf("setting leaf of class %x on %s: %w", id, q.dev.Attrs().Name,
			missing(err, "kernel: sch_fifo", unshapedRates))
	}
	return nil
}

// fifo hangs a first-in-first-out queue of so many bytes below a class. The
// netlink library knows the kind but not its option.
func (q queue) fifo(class, bytes uint32) error {
	return within(q.ns, func() error {
		req := nl.NewNetlinkRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
		req.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(q.dev.Attrs().Index), Parent: class})
		req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("bfifo")))
		req.AddData(nl.NewRtAttr(nl.TCA_OPTIONS, binary.NativeEndian.AppendUint32(nil, bytes)))
		_, err := req.Execute(unix.NETLINK_ROUTE, 0)
		return err
	})
}

func (q queue) hasClass(id uint32) (bool, error) {
	all, err := again(func() ([]netlink.Class, error) { return q.h.ClassList(q.dev, netlink.HANDLE_NONE) })
	if err != nil {
		return false, fmt.Errorf("listing classes of %s: %w", q.dev.Attrs().Name, err)
	}
	for _, c := range all {
		if c.Attrs().Handle == id {
			return true, nil
		}
	}
	return false, nil
}

// dropClass takes a class away; what still asks for it is dropped as a stray.
func (q queue) dropClass(id uint32) error {
	has, err := q.hasClass(id)
	if err != nil || !has {
		return err
	}
	err = q.h.ClassDel(&netlink.HtbClass{ClassAttrs: netlink.ClassAttrs{
		LinkIndex: q.dev.Attrs().Index, Handle: id, Parent: htbMajor}})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("deleting class %x of %s: %w", id, q.dev.Attrs().Name, err)
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
