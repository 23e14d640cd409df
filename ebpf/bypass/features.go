// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"croft/ebpf/kernel"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Feature is a part of the kernel that holds limits, and what it is worth.
type Feature struct {
	Name    string `json:"name"`
	Present bool   `json:"present"`
	Found   string `json:"found"`
	InForce string `json:"in_force,omitempty"` // instead, where it is not there
	Cost    string `json:"cost,omitempty"`     // of that
}

// Features tries each part in namespaces of its own, which are gone when it
// returns. It needs root. The last line is a whole node: network and guard.
func Features(ctx context.Context) (all []Feature, err error) {
	ns, err := anonymous()
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	if err := within(ns, func() error { all = append(queues(h), settings()...); return nil }); err != nil {
		return nil, err
	}
	b, err := openBench(ctx)
	if err != nil {
		if !errors.Is(err, errors.ErrUnsupported) {
			return all, err
		}
		return append(all, Feature{Name: "guard", Found: err.Error(), InForce: "nothing",
			Cost: "no sliver can be held to its lease: this machine hosts none"}), nil
	}
	all = append(all, Feature{Name: "guard", Present: true, Found: "a node with its network and guard stood for a moment"})
	return append(all, b.inForce()...), b.close()
}

// inForce is what network and guard chose on this kernel.
func (b *bench) inForce() (all []Feature) {
	hook := Feature{Name: "hook", Present: true, Found: "TCX"}
	if m := b.guard.Method(); m != kernel.TCX {
		hook = Feature{Name: "hook", Found: "no TCX (before Linux 6.6)", InForce: string(m),
			Cost: "each packet passes the filter chain, and whoever is root in the node's namespace takes the guard away by name"}
	}
	all = append(all, hook)
	for _, m := range b.net.Method().Lines() {
		name, what, _ := strings.Cut(m.InForce, ": ")
		f := Feature{Name: name, Present: m.Cost == "", Found: what}
		if !f.Present {
			f = Feature{Name: name, Found: "second best on this kernel", InForce: what, Cost: m.Cost}
		}
		all = append(all, f)
	}
	return all
}

const policed = "the guard's bucket alone: TCP reaches its rate, but by losing packets"

// queues tries what shapers are made of. The calling thread is in h's namespace.
func queues(h *netlink.Handle) []Feature {
	ifb := Feature{Name: "ifb", Found: "a device on which all slivers' sending is shaped", Present: true}
	device := netlink.Link(&netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: "shape"}})
	if err := h.LinkAdd(device); err != nil {
		ifb = Feature{Name: "ifb", Found: err.Error(), InForce: policed, Cost: "hundreds of retransmissions a second from slivers; modprobe ifb"}
		device = &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "shape"}, PeerName: "other"} // the queues can be tried all the same
		if err := h.LinkAdd(device); err != nil {
			return []Feature{ifb}
		}
	}
	all := []Feature{ifb}
	for _, q := range []struct {
		kind, found string
		options     []byte
		instead     Feature
	}{
		{"htb", "a class for each sliver", nl.NewRtAttr(nl.TCA_HTB_INIT, (&nl.TcHtbGlob{Version: 3, Rate2Quantum: 10}).Serialize()).Serialize(),
			Feature{InForce: policed, Cost: "hundreds of retransmissions a second; modprobe sch_htb"}},
		{"fq_codel", "bulk flows take turns", nil,
			Feature{InForce: "a FIFO of 10 ms for a sliver's bulk traffic", Cost: "a sliver's bulk flows wait for one another; sparse ones have a queue of their own; modprobe sch_fq_codel"}},
		{"tbf", "super-packets are cut before they queue", tbf(),
			Feature{InForce: "super-packets queue whole", Cost: "at 10 Mbit/s one holds all others up for 54 ms; modprobe sch_tbf"}},
		{"clsact", "where guards sit on kernels before 6.6", nil,
			Feature{InForce: "TCX, if the kernel is 6.6 or newer", Cost: "none there"}},
	} {
		f := Feature{Name: q.kind, Present: true, Found: q.found}
		if err := qdisc(device.Attrs().Name, h, q.kind, q.options); err != nil {
			f = q.instead
			f.Name, f.Found = q.kind, err.Error()
		}
		all = append(all, f)
	}
	return all
}

// qdisc hangs a queue of a kind below the device and takes it away. The netlink
// library does not know all kinds.
func qdisc(name string, h *netlink.Handle, kind string, options []byte) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	message := &nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(link.Attrs().Index), Handle: 1 << 16, Parent: netlink.HANDLE_ROOT}
	if kind == "clsact" {
		message.Handle, message.Parent = 0xffff<<16, netlink.HANDLE_CLSACT
	}
	for _, change := range []struct{ kind, flags int }{
		{unix.RTM_NEWQDISC, unix.NLM_F_CREATE | unix.NLM_F_EXCL | unix.NLM_F_ACK}, {unix.RTM_DELQDISC, unix.NLM_F_ACK}} {
		req := nl.NewNetlinkRequest(change.kind, change.flags)
		req.AddData(message)
		req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(kind)))
		if options != nil {
			req.AddData(nl.NewRtAttr(nl.TCA_OPTIONS, options))
		}
		if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
			if errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("not in this kernel")
			}
			return err
		}
	}
	return nil
}

// tbf is the least that a token bucket filter is told.
func tbf() []byte {
	rate := nl.TcRateSpec{Rate: 125_000}
	parms := (&nl.TcTbfQopt{Rate: rate, Limit: 100_000, Buffer: 100_000}).Serialize()
	return nl.NewRtAttr(nl.TCA_TBF_PARMS, parms).Serialize()
}

// settings looks for what /proc/sys/net offers in a new namespace.
func settings() []Feature {
	forwarding := Feature{Name: "IPv6 forwarding", Present: true, Found: "can be switched on for single interfaces"}
	if _, err := os.Stat("/proc/sys/net/ipv6/conf/all/force_forwarding"); err != nil {
		forwarding = Feature{Name: "IPv6 forwarding", Found: "for all interfaces or none (before Linux 6.17)",
			InForce: "IPv4 alone, unless the host forwards IPv6 already", Cost: "slivers reach nothing over IPv6"}
	}
	tracking := Feature{Name: "conntrack", Present: true}
	if most, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_max"); err == nil {
		tracking.Found = "room for " + strings.TrimSpace(string(most)) + " connections of all slivers and the host"
	} else {
		tracking = Feature{Name: "conntrack", Found: "not in this kernel, or not loaded", InForce: "nothing",
			Cost: "slivers have no network; modprobe nf_conntrack"}
	}
	return []Feature{forwarding, tracking}
}
