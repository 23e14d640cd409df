// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	cebpf "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"croft/ebpf"
)

// Method is how programs are put at a device.
type Method string

const (
	// TCX: links that are pinned, of Linux 6.6 and newer. Only who has the link
	// takes it away.
	TCX Method = "tcx"
	// Clsact: filters of the traffic control layer. They stay with the device as
	// links do, but whoever has CAP_NET_ADMIN in the node's namespace can take
	// them away by name, and each packet passes the filter chain.
	Clsact Method = "clsact"
)

// Method returns what is in force for slivers that are attached from now on.
func (g *Guard) Method() Method { return g.method }

// FindMethod returns how a guard would be put at a device, by trying with a small
// part of it that needs what the whole needs of the kernel: TCX, else clsact, or
// the one that is forced. Nothing of it stays. It needs root; [ErrPrivilege], and
// a [FeatureError] where neither is there.
func FindMethod(forced Method) (Method, error) {
	spec, err := loadGuard()
	if err != nil {
		return "", err
	}
	var o struct {
		Carry *cebpf.Program `ebpf:"guard_carry"`
	}
	if err := spec.LoadAndAssign(&o, nil); err != nil {
		return "", explain("loading a part of the guard", err)
	}
	defer o.Carry.Close()
	m, err := chooseMethod(forced, o.Carry)
	if err == nil && m == Clsact {
		const loopback = 1 // of every namespace
		err = inNewNetNS(func() error { return putFilter(loopback, ebpf.Egress, o.Carry) })
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
			err = &FeatureError{"a place for the guard", "Linux 6.6 or newer, or sch_ingress and cls_bpf", err}
		}
	}
	if err != nil {
		return "", explain("looking for a place for the guard", err)
	}
	return m, nil
}

// chooseMethod asks the kernel for a link at a device that cannot be.
func chooseMethod(forced Method, probe *cebpf.Program) (Method, error) {
	if forced != "" {
		return forced, nil
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: math.MaxInt32, Program: probe, Attach: cebpf.AttachTCXIngress})
	switch {
	case err == nil:
		return "", errors.Join(errors.New("the kernel has a device of the highest number"), l.Close())
	case errors.Is(err, link.ErrNotSupported):
		return Clsact, nil
	case errors.Is(err, unix.ENODEV):
		return TCX, nil
	}
	return "", err
}

// hook puts the guard at the port, unless it is there.
func (g *Guard) hook(at ebpf.Port, d ebpf.Direction) error {
	if g.method == Clsact {
		return inNetNS(at.NetNS, func() error { return putFilter(at.IfIndex, d, g.objects.program(d)) })
	}
	pin := g.linkPin(at.Sliver, d)
	switch l, err := link.LoadPinnedLink(pin, nil); {
	case err == nil:
		where, err := attachedTo(l)
		if err := errors.Join(err, l.Close()); err != nil {
			return err
		}
		if where == at.IfIndex {
			return nil
		}
		if err := os.Remove(pin); err != nil { // its veth is gone
			return err
		}
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	return inNetNS(at.NetNS, func() error {
		kind := cebpf.AttachTCXIngress // of the host end: what comes from the sliver
		if d == ebpf.Ingress {
			kind = cebpf.AttachTCXEgress
		}
		l, err := link.AttachTCX(link.TCXOptions{Interface: at.IfIndex, Program: g.objects.program(d), Attach: kind, Anchor: link.Head()})
		if err != nil {
			return err
		}
		return errors.Join(l.Pin(pin), l.Close())
	})
}

// renew puts this load's program in the place of the one that runs, in one step.
// When it returns, the other runs no more.
func (g *Guard) renew(sliver string, record guardTenure, d ebpf.Direction) error {
	l, err := link.LoadPinnedLink(g.linkPin(sliver, d), nil)
	if errors.Is(err, os.ErrNotExist) {
		return g.renewFilter(record, d) // or half attached: the next Attach or Detach of this sliver mends it
	}
	if err != nil {
		return err
	}
	defer l.Close()
	if at, err := attachedTo(l); err != nil || at == 0 {
		return err // its veth is gone
	}
	return l.Update(g.objects.program(d))
}

func (g *Guard) renewFilter(record guardTenure, d ebpf.Direction) error {
	index := int(record.Ifindex)
	err := inNetNS(text(record.Netns[:]), func() error {
		there, err := hasFilter(index, d)
		if err != nil || !there {
			return err
		}
		return putFilter(index, d, g.objects.program(d))
	})
	if deviceGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return g.wait()
}

// unhook takes the guard away from a port that is closed and down.
func (g *Guard) unhook(sliver string, d ebpf.Direction, record guardTenure) error {
	pin := g.linkPin(sliver, d)
	l, err := link.LoadPinnedLink(pin, nil)
	if errors.Is(err, os.ErrNotExist) {
		return g.unhookFilter(d, record)
	}
	if err != nil {
		return err
	}
	defer l.Close()
	where, err := attachedTo(l)
	if err != nil {
		return err
	}
	if where != 0 {
		if err := setDown(text(record.Netns[:]), where); err != nil {
			return err
		}
	}
	return l.Unpin()
}

func (g *Guard) unhookFilter(d ebpf.Direction, record guardTenure) error {
	netns, index := text(record.Netns[:]), int(record.Ifindex)
	err := inNetNS(netns, func() error {
		there, err := hasFilter(index, d)
		if err != nil || !there {
			return err
		}
		dev, err := netlink.LinkByIndex(index)
		if err != nil {
			return err
		}
		return errors.Join(netlink.LinkSetDown(dev), netlink.FilterDel(filterAt(index, d)))
	})
	if deviceGone(err) {
		return nil
	}
	return err
}

// attachedTo returns the ifindex of a link's device, 0 when the device is gone.
func attachedTo(l link.Link) (int, error) {
	info, err := l.Info()
	if err != nil {
		return 0, err
	}
	if tcx := info.TCX(); tcx != nil {
		return int(tcx.Ifindex), nil
	}
	return 0, nil
}

// filterName begins the name of a filter of ours.
const filterName = "croft_guard"

func filterAt(ifindex int, d ebpf.Direction) *netlink.BpfFilter {
	parent := uint32(netlink.HANDLE_MIN_INGRESS) // of the host end
	if d == ebpf.Ingress {
		parent = netlink.HANDLE_MIN_EGRESS
	}
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: ifindex, Parent: parent, Handle: 1, Protocol: unix.ETH_P_ALL, Priority: 1},
		Name:        filterName, DirectAction: true,
	}
}

// putFilter makes a filter of p, or puts p into the one that is there.
func putFilter(ifindex int, d ebpf.Direction, p *cebpf.Program) error {
	dev, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return err
	}
	clsact := &netlink.GenericQdisc{QdiscType: "clsact",
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: dev.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
	if err := netlink.QdiscAdd(clsact); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("adding clsact: %w", err)
	}
	f := filterAt(ifindex, d)
	f.Fd = p.FD()
	if err := netlink.FilterReplace(f); err != nil {
		return fmt.Errorf("adding a filter: %w", err)
	}
	return nil
}

func hasFilter(ifindex int, d ebpf.Direction) (bool, error) {
	dev, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return false, err
	}
	filters, err := netlink.FilterList(dev, filterAt(ifindex, d).Parent)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return false, nil // there is no clsact
	}
	for _, f := range filters {
		if b, ok := f.(*netlink.BpfFilter); ok && strings.HasPrefix(b.Name, filterName) {
			return true, nil
		}
	}
	return false, err
}

// deviceGone reports whether err says that the device or its namespace is not
// there any more.
func deviceGone(err error) bool {
	var notFound netlink.LinkNotFoundError
	return errors.As(err, &notFound) || errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV)
}
