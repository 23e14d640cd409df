// SPDX-License-Identifier: Apache-2.0

package net

import (
	"encoding/binary"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The queues below a sliver's leaves. A handle says what the queue is and whose,
// so that a queue of another form is another queue, and one of the same form is
// changed in place and keeps its packets.
//
//	sparse  pfifo
//	bulk    tbf ─ bfifo or fq_codel    where super-packets are cut
//	        bfifo or fq_codel          where they pass whole
//
// tbf limits nothing here: it is the only queue of the kernel that cuts a
// super-packet into those that it becomes on the wire, and does that for what is
// longer than its burst.
const (
	sparseQueue = 0x1000
	cutterQueue = 0x2000
	cutBulk     = 0x3000
	wholeBulk   = 0x4000
	strayQueue  = 0x5000 // below 0x8000, where the kernel begins to number
)

// handleOf is the handle of a queue of that form below the class id.
func handleOf(form, id uint32) uint32 { return (form | id&0xffff>>2) << 16 }

// sparseFifo is how many packets of sparse flows wait: leaf.h lets few in, and
// this is the end of it all the same.
const sparseFifo = 100

// qdisc is one queue as the kernel is told of it.
type qdisc struct {
	parent, handle uint32
	kind           string
	options        []byte
}

func (d qdisc) module() string {
	if d.kind == "bfifo" || d.kind == "pfifo" {
		return "fifo"
	}
	return d.kind
}

// leaves renders the queues of one way, each after its parent.
func (q queue) leaves(id uint32, s shape) []qdisc {
	bulk := qdisc{kind: "bfifo", options: fifoOptions(s.Fifo)}
	if q.has.codel {
		bulk = qdisc{kind: "fq_codel", options: codelOptions(s)}
	}
	all := []qdisc{{parent: id | sparseLeaf, handle: handleOf(sparseQueue, id), kind: "pfifo", options: fifoOptions(sparseFifo)}}
	if !s.Cut {
		bulk.parent, bulk.handle = id|bulkLeaf, handleOf(wholeBulk, id)
		return append(all, bulk)
	}
	cutter := qdisc{parent: id | bulkLeaf, handle: handleOf(cutterQueue, id), kind: "tbf", options: cutterOptions(s)}
	bulk.parent, bulk.handle = cutter.handle|1, handleOf(cutBulk, id)
	return append(all, cutter, bulk)
}

func fifoOptions(limit uint32) []byte { return binary.NativeEndian.AppendUint32(nil, limit) }

// cutterOptions are of a token bucket that is never empty: a terabyte a second.
func cutterOptions(s shape) []byte {
	const rate = 1_000_000_000_000
	opt := nl.TcTbfQopt{Limit: s.Fifo, Buffer: 1}
	opt.Rate.Linklayer = nl.LINKLAYER_ETHERNET
	opt.Rate.Rate = 1<<32 - 1
	a := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	a.AddRtAttr(nl.TCA_TBF_PARMS, opt.Serialize())
	a.AddRtAttr(nl.TCA_TBF_RATE64, binary.NativeEndian.AppendUint64(nil, rate))
	a.AddRtAttr(nl.TCA_TBF_BURST, binary.NativeEndian.AppendUint32(nil, mtu+etherHeader))
	return a.Serialize()[unix.SizeofRtAttr:]
}

// codelOptions hold each flow to the target's delay; the queue has room for a
// tenth of a second all the same, since fq_codel drops from the longest.
func codelOptions(s shape) []byte {
	a := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	u32 := func(kind int, v uint64) {
		a.AddRtAttr(kind, binary.NativeEndian.AppendUint32(nil, uint32(v)))
	}
	u32(nl.TCA_FQ_CODEL_LIMIT, 10_240)
	u32(nl.TCA_FQ_CODEL_QUANTUM, mtu+etherHeader)
	u32(nl.TCA_FQ_CODEL_INTERVAL, uint64(max(20*s.Target, 100*time.Millisecond)/time.Microsecond))
	u32(nl.TCA_FQ_CODEL_TARGET, uint64(s.Target/time.Microsecond))
	u32(nl.TCA_FQ_CODEL_ECN, 1)
	u32(nl.TCA_FQ_CODEL_MEMORY_LIMIT, uint64(s.Fifo)*10)
	return a.Serialize()[unix.SizeofRtAttr:]
}

// sizeTable tells HTB what a packet counts by the length that the kernel knows,
// which has one set of headers: its L3 octets on the wire, in the units in which
// a full packet counts as with Ethernet's header. So does a piece that tbf has
// cut off, for which the kernel does not ask the table.
//
// A super-packet is taken for TCP over IPv4 with time stamps, full but for the
// last: what other headers it has makes 1.4 % either way, and the guard's bucket
// behind it counts exactly. What is longer than the table is counted in spans of
// it, each worth the table's last word.
func sizeTable() []byte {
	const (
		headers = 20 + 32
		segment = mtu - headers
		span    = 21 * segment // just below 64 KiB of table, the most that the kernel is told at once
	)
	units := func(l3 int) uint16 { return uint16((l3*(mtu+etherHeader) + mtu/2) / mtu) }
	var table []byte
	for n := range span {
		l3 := max(n-etherHeader, 1)
		if l3 > mtu {
			l3 += (l3 - headers - 1) / segment * headers
		}
		if n == span-1 {
			l3 = span / segment * mtu
		}
		table = binary.NativeEndian.AppendUint16(table, units(l3))
	}
	spec := make([]byte, 24) // struct tc_sizespec; cells of one byte
	binary.NativeEndian.PutUint32(spec[16:], span)
	binary.NativeEndian.PutUint32(spec[20:], span)
	a := nl.NewRtAttr(nl.TCA_STAB, nil)
	a.AddRtAttr(1 /* TCA_STAB_BASE */, spec)
	a.AddRtAttr(2 /* TCA_STAB_DATA */, table)
	return a.Serialize()[unix.SizeofRtAttr:]
}

// qdisc makes the queue, or changes it in place.
func (q queue) qdisc(d qdisc) error {
	return q.has.or(d.module(), func() error {
		return q.tell(d.parent, d.handle, nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(d.kind)), nl.NewRtAttr(nl.TCA_OPTIONS, d.options))
	})
}

// count has HTB count by the size table.
func (q queue) count() error {
	return q.tell(netlink.HANDLE_ROOT, htbMajor, nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("htb")), nl.NewRtAttr(nl.TCA_STAB, sizeTable()))
}

func (q queue) tell(parent, handle uint32, attrs ...*nl.RtAttr) error {
	msg := &nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(q.dev.Attrs().Index), Parent: parent, Handle: handle}
	_, err := q.line.ask(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK, msg, 0, attrs...)
	return err
}
