// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const unshapedRates = "rates of slivers are policed only, which TCP bears badly"

// parts are what this kernel has for a shaper.
type parts struct {
	ifb   bool // the device on which egress is shaped
	htb   bool
	cut   bool // tbf, which cuts super-packets
	codel bool // fq_codel

	// lacks, in tests, are parts that this kernel is to do without.
	lacks map[string]bool
}

// or does what needs a part.
func (p parts) or(part string, do func() error) error {
	if p.lacks[part] {
		return unix.ENOENT
	}
	return do()
}

// Method says how a node holds its slivers' rates on this kernel.
type Method struct {
	Egress  Means // the rate from slivers
	Ingress Means // the rate towards them
	Bulk    Means // the queue of a sliver's bulk traffic
	Cut     Means // super-packets in it
}

// Means is a line each: what is in force, and what that costs beside the best
// that there is; empty when it is the best.
type Means struct{ InForce, Cost string }

// Lines are of all that is in force.
func (m Method) Lines() []Means { return []Means{m.Egress, m.Ingress, m.Bulk, m.Cut} }

// Method returns what is in force. A policer is the guard's own bucket, which
// stands behind every shaper too.
func (n *Network) Method() Method {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.has.method()
}

func (p parts) method() (m Method) {
	const policed = "TCP reaches its rate within 4 %, but by losses: hundreds of retransmissions a second, and no packet waits its turn behind another"
	m.Egress = Means{InForce: "egress: HTB on the node's IFB, a class and two queues for each sliver"}
	m.Ingress = Means{InForce: "ingress: HTB on the sliver's veth, a class and two queues for each sliver"}
	m.Bulk = Means{"bulk queue: first come, first served, 10 ms long", "a bulk flow waits behind the others; sch_fq_codel would give each its turn"}
	m.Cut = Means{InForce: "super-packets: cut before they queue, on ways of up to " + strconv.Itoa(CutRate/1e6) + " Mbit/s"}
	if p.codel {
		m.Bulk = Means{InForce: "bulk queue: fq_codel"}
	}
	if !p.cut {
		m.Cut = Means{"super-packets: queue whole", "at 10 Mbit/s one towards a sliver holds all others up for 54 ms; needs sch_tbf"}
	}
	if !p.ifb || !p.htb {
		need := "ifb"
		if !p.htb {
			need = "sch_htb"
		}
		m.Egress = Means{"egress: policed by the guard's bucket", policed + "; needs " + need}
	}
	if !p.htb {
		m.Ingress = Means{"ingress: policed by the guard's bucket", policed + "; needs sch_htb"}
		m.Bulk = Means{"bulk queue: none", "nothing waits"}
		m.Cut = Means{"super-packets: pass or are dropped whole", ""}
	}
	return m
}

// makeIFB makes the node's one shaper of what slivers send, and finds out what
// the kernel has for it. Without IFB or HTB the guard's bucket holds alone.
func (n *Network) makeIFB() error {
	n.has = parts{htb: true, lacks: n.cfg.lacks}
	link, err := n.node.LinkByName(ifbName)
	if notFound(err) {
		err = n.has.or("ifb", func() error {
			return n.node.LinkAdd(&netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: ifbName, MTU: mtu, TxQLen: 1000}})
		})
		if err := missing(err, "kernel: ifb", unshapedRates); err != nil {
			return n.without(err)
		}
		link, err = n.node.LinkByName(ifbName)
	}
	if err != nil {
		return err
	}
	q := queue{h: n.node, line: n.line, dev: link, has: n.has}
	if err := q.root(strays); err != nil {
		n.has.htb = !errors.Is(err, errors.ErrUnsupported)
		return n.without(err)
	}
	if err := q.drain(); err != nil {
		return err
	}
	n.has.ifb = true
	if n.has.cut, err = q.try("tbf", cutterOptions(shapeFor(MinRate, true))); err != nil {
		return err
	}
	if n.has.codel, err = q.try("fq_codel", codelOptions(shapeFor(MinRate, true))); err != nil {
		return err
	}
	q.has = n.has
	n.ifb = q
	return n.node.LinkSetUp(link)
}

// without goes on where the kernel lacks a part.
func (n *Network) without(err error) error {
	if errors.Is(err, errors.ErrUnsupported) {
		n.log.Warn("slivers' rates are not shaped as they should be", "err", err)
		return nil
	}
	return err
}

// try reports whether the kernel has that kind of queue, by hanging it below a
// class that no packet reaches.
func (q queue) try(kind string, options []byte) (bool, error) {
	const id, rate = htbMajor | trial, 8_000
	if err := q.class(id, htbMajor, rate, shape{Rate: rate, Burst: mtu, Quantum: mtu}, 0); err != nil {
		return false, err
	}
	err := missing(q.qdisc(qdisc{parent: id, handle: handleOf(strayQueue, 4), kind: kind, options: options}), "kernel: sch_"+kind, "")
	if gone := q.h.ClassDel(&netlink.HtbClass{ClassAttrs: netlink.ClassAttrs{LinkIndex: q.dev.Attrs().Index, Handle: id, Parent: htbMajor}}); gone != nil {
		return false, gone
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return false, nil
	}
	if err != nil {
		err = fmt.Errorf("trying %s: %w", kind, err)
	}
	return err == nil, err
}
