// SPDX-License-Identifier: Apache-2.0

package net

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Queues are a sliver's queues in both ways, as the kernel counts them since
// they were made. A row of the audit says what passed the guard; what was
// dropped after it, while waiting, is here.
type Queues struct{ Egress, Ingress Queue }

// Queue is one way. A way that is not shaped has none.
type Queue struct {
	Shaped       bool
	Rate         uint64 // bit/s at L3, to the kernel's whole octets
	Sparse, Bulk Leaf
}

// Leaf is what became of the packets of one leaf. Bytes are L3 octets.
type Leaf struct {
	Kind           string // as the kernel calls it: pfifo, bfifo, fq_codel
	SentBytes      uint64
	SentPackets    uint64 // as on the wire
	Drops          uint64 // packets that found no room; a super-packet that is not cut is one
	BacklogBytes   uint64
	BacklogPackets uint64
	Delay          time.Duration // what a packet that comes now waits, estimated
}

// Drops is of both leaves.
func (q Queue) Drops() uint64 { return q.Sparse.Drops + q.Bulk.Drops }

// Queues reads a sliver's queues. They are not one instant's.
func (n *Network) Queues(ctx context.Context, name string) (Queues, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.usable(ctx); err != nil {
		return Queues{}, err
	}
	all, err := n.queues(name)
	if err != nil {
		return Queues{}, fmt.Errorf("reading queues of sliver %.20q: %w", name, err)
	}
	return all, nil
}

func (n *Network) queues(name string) (all Queues, err error) {
	p, err := n.find(name)
	if err != nil {
		return all, err
	}
	id := n.plan.class(p.place)
	if n.ifb.dev != nil {
		if all.Egress, err = n.ifb.read(id); err != nil {
			return all, err
		}
	}
	all.Ingress, err = queue{h: n.node, line: n.line, dev: p.link, has: n.has}.read(id)
	return all, err
}

// read reads one way; none there is no error.
func (q queue) read(id uint32) (out Queue, err error) {
	whole, err := q.stats(unix.RTM_GETTCLASS, id)
	if errors.Is(err, unix.ENOENT) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Rate = whole.rate
	if out.Sparse, err = q.leaf(id | sparseLeaf); err != nil {
		return out, err
	}
	if out.Bulk, err = q.leaf(id | bulkLeaf); err != nil {
		return out, err
	}
	// The kernel has whole octets a second, rounded down.
	out.Rate = (out.Rate+8)*mtu/(mtu+etherHeader) + 1
	if out.Rate >= LinkRate { // the class is there, and open
		return Queue{}, nil
	}
	out.Shaped = true
	wait := func(bytes uint64) time.Duration {
		return time.Duration(float64(bytes) * 8 / float64(out.Rate) * float64(time.Second))
	}
	out.Sparse.Delay = wait(out.Sparse.BacklogBytes)
	out.Bulk.Delay = wait(out.Sparse.BacklogBytes + out.Bulk.BacklogBytes)
	return out, nil
}

// leaf reads a class and the queue in which its packets wait, which alone knows
// what it dropped and what it holds: what is above it counts a super-packet
// before it is cut.
func (q queue) leaf(id uint32) (l Leaf, err error) {
	class, err := q.stats(unix.RTM_GETTCLASS, id)
	if err != nil {
		return l, err
	}
	handle := class.info
	if handle == handleOf(cutterQueue, id) {
		handle = handleOf(cutBulk, id)
	}
	inner, err := q.stats(unix.RTM_GETQDISC, handle)
	if err != nil {
		return l, err
	}
	l3 := func(bytes uint64) uint64 { return bytes * mtu / (mtu + etherHeader) } // as sizeTable has it
	return Leaf{Kind: inner.kind, SentBytes: l3(class.bytes), SentPackets: class.packets, Drops: inner.drops,
		BacklogBytes: l3(inner.backlog), BacklogPackets: inner.waiting}, nil
}

// tcStats is what the kernel says of one class or queue.
type tcStats struct {
	kind                                    string
	info                                    uint32 // of a class: the handle of its queue
	rate                                    uint64 // of a class: bit/s
	bytes, packets, drops, backlog, waiting uint64
}

// stats asks for one class or queue by its number; ENOENT when there is none.
func (q queue) stats(what int, handle uint32) (s tcStats, err error) {
	msg := &nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(q.dev.Attrs().Index), Handle: handle}
	// Without ECHO the kernel tells only those who listen. The answer is the
	// message of the making, two below the question.
	replies, err := q.line.ask(what, unix.NLM_F_ECHO, msg, uint16(what)-2)
	if err != nil {
		return s, err
	}
	if len(replies) == 0 {
		return s, unix.ENOENT
	}
	return parseStats(replies[0])
}

func parseStats(b []byte) (s tcStats, err error) {
	if len(b) < nl.SizeofTcMsg {
		return s, unix.EINVAL
	}
	s.info = nl.DeserializeTcMsg(b).Info
	attrs, err := nl.ParseRouteAttr(b[nl.SizeofTcMsg:])
	if err != nil {
		return s, err
	}
	u32 := func(b []byte, at int) uint64 {
		if len(b) < at+4 {
			return 0
		}
		return uint64(binary.NativeEndian.Uint32(b[at:]))
	}
	u64 := func(b []byte, at int) uint64 {
		if len(b) < at+8 {
			return 0
		}
		return binary.NativeEndian.Uint64(b[at:])
	}
	for _, a := range attrs {
		switch a.Attr.Type & nl.NLA_TYPE_MASK {
		case nl.TCA_KIND:
			s.kind = nl.BytesToString(a.Value)
		case nl.TCA_STATS2:
			inner, err := nl.ParseRouteAttr(a.Value)
			if err != nil {
				return s, err
			}
			for _, i := range inner {
				switch i.Attr.Type & nl.NLA_TYPE_MASK {
				case nl.TCA_STATS_BASIC:
					s.bytes, s.packets = u64(i.Value, 0), max(s.packets, u32(i.Value, 8))
				case nl.TCA_STATS_PKT64:
					s.packets = u64(i.Value, 0)
				case nl.TCA_STATS_QUEUE: // qlen, backlog, drops, …
					s.waiting, s.backlog, s.drops = u32(i.Value, 0), u32(i.Value, 4), u32(i.Value, 8)
				}
			}
		}
	}
	for _, a := range attrs {
		if a.Attr.Type&nl.NLA_TYPE_MASK != nl.TCA_OPTIONS || s.kind != "htb" || s.info == 0 && len(a.Value) == 0 {
			continue
		}
		inner, err := nl.ParseRouteAttr(a.Value)
		if err != nil {
			return s, err
		}
		for _, i := range inner {
			switch i.Attr.Type & nl.NLA_TYPE_MASK {
			case nl.TCA_HTB_PARMS: // begins with struct tc_ratespec, whose last word is bytes/s
				s.rate = max(s.rate, u32(i.Value, 8)*8)
			case nl.TCA_HTB_RATE64:
				s.rate = u64(i.Value, 0) * 8
			}
		}
	}
	return s, nil
}
