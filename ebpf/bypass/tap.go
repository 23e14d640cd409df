// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A tap counts what an interface receives, twice: by the interface's own
// counters, and by packet sockets, which see that a super-packet is many packets
// on the wire. The larger figure counts.
//
// Not counted is what the link itself says (ARP, neighbour discovery, group
// reports), which no router forwards, unless that is what the attack sends.
type tap struct {
	h       *netlink.Handle // nil: the interface's counters are of what came before a guard
	dev     int
	header  int // of the link's, before each packet
	fds     []int
	chatter bool // the link's own talk counts too
	stop    atomic.Bool
	running sync.WaitGroup

	packets, octets   atomic.Uint64
	ignored, ignored8 atomic.Uint64 // packets and octets of chatter
	lost              atomic.Uint64 // packets that the sockets had no room for
	base              count

	foreign func(ip []byte) string // nil: nothing is
	wrong   atomic.Pointer[string] // what foreign said first
}

type count struct{ packets, octets uint64 }

// protocols that are looked at behind a guard. One that takes all would see the
// packets before it.
var protocols = []int{unix.ETH_P_IP, unix.ETH_P_IPV6, unix.ETH_P_ARP, unix.ETH_P_8021Q, unix.ETH_P_8021AD,
	unix.ETH_P_MPLS_UC, unix.ETH_P_PPP_SES, unix.ETH_P_LOOPBACK, etherLocal}

// etherLocal is an EtherType for local experiments (IEEE 802).
const etherLocal = 0x88b5

// newTap begins to count on a device, whose frames have a header of so many octets. Behind a guard, what the link says counts.
// Foreign says what is wrong with a packet.
func newTap(ns netns.NsHandle, h *netlink.Handle, ifindex, header int, behind bool, foreign func([]byte) string) (t *tap, err error) {
	t = &tap{h: h, dev: ifindex, header: header, chatter: behind, foreign: foreign}
	wanted := []int{unix.ETH_P_ALL}
	if behind {
		t.h, wanted = nil, protocols
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("counting at the receiver: %w", err), t.close())
		}
	}()
	for _, proto := range wanted {
		fd, err := t.listen(ns, proto)
		if err != nil {
			return nil, err
		}
		t.fds = append(t.fds, fd)
	}
	for _, fd := range t.fds {
		t.running.Go(func() { t.read(fd) })
	}
	if t.h != nil {
		t.base, err = t.device()
	}
	return t, err
}

func (t *tap) listen(ns netns.NsHandle, proto int) (int, error) {
	fd, err := socket(ns, unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return -1, err
	}
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, backlog},
		{unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1},
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return -1, errors.Join(err, unix.Close(fd))
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: swap(uint16(proto)), Ifindex: t.dev}); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func swap(v uint16) uint16 { return v<<8 | v>>8 }

// device reads the interface's counters, L2 headers taken off.
func (t *tap) device() (count, error) {
	link, err := t.h.LinkByIndex(t.dev)
	if err != nil {
		return count{}, err
	}
	s := link.Attrs().Statistics
	return count{s.RxPackets, s.RxBytes - s.RxPackets*uint64(t.header)}, nil
}

// received is what has come since newTap.
func (t *tap) received() (count, error) {
	for _, fd := range t.fds {
		if st, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			t.lost.Add(uint64(st.Drops)) // reading them sets them to nought
		}
	}
	c := count{t.packets.Load() + t.lost.Load(), t.octets.Load()}
	if t.h == nil {
		return c, nil
	}
	dev, err := t.device()
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return c, nil // the sliver ended with its interface
	}
	if err != nil {
		return count{}, err
	}
	// Chatter is read after the counters: what is not yet counted as chatter
	// counts as received.
	return count{max(c.packets, over(dev.packets, t.base.packets+t.ignored.Load())),
		max(c.octets, over(dev.octets, t.base.octets+t.ignored8.Load()))}, nil
}

func over(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}

// read counts packets until the tap is closed.
func (t *tap) read(fd int) {
	vector, iovecs := make([]mmsghdr, batch), make([]unix.Iovec, batch)
	buf := make([]byte, batch*snap)
	for i := range vector {
		iovecs[i] = unix.Iovec{Base: &buf[i*snap], Len: snap}
		vector[i].hdr.Iov, vector[i].hdr.Iovlen = &iovecs[i], 1
	}
	for !t.stop.Load() {
		if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(sampling.Milliseconds())); n <= 0 {
			continue
		}
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&vector[0])), batch, unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
		if errno != 0 {
			continue
		}
		for i := range int(n) {
			whole := int(vector[i].len)
			t.count(buf[i*snap:][:min(whole, snap)], whole)
		}
	}
}

// count takes one packet, of which head is the beginning, the offload header
// first, and whole the length.
func (t *tap) count(head []byte, whole int) {
	if len(head) < offloadHeader+t.header {
		return
	}
	frame := head[offloadHeader:]
	ip := frame[t.header:]
	packets, octets := onTheWire(ip, whole-offloadHeader-t.header, int(binary.NativeEndian.Uint16(head[4:])))
	if !t.chatter && t.header != 0 && linkTalk(frame) {
		t.ignored.Add(uint64(packets))
		t.ignored8.Add(uint64(octets))
		return
	}
	if t.foreign != nil && t.wrong.Load() == nil {
		if why := t.foreign(ip); why != "" {
			t.wrong.CompareAndSwap(nil, &why)
		}
	}
	t.packets.Add(uint64(packets))
	t.octets.Add(uint64(octets))
}

func (t *tap) close() error {
	t.stop.Store(true)
	t.running.Wait()
	var errs []error
	for _, fd := range t.fds {
		errs = append(errs, unix.Close(fd))
	}
	return errors.Join(errs...)
}

// onTheWire is what a packet of so many octets becomes when it is cut into segments
// of gso octets each; 0 is not cut.
func onTheWire(ip []byte, octets, gso int) (packets, onWire int) {
	octets = max(octets, 0)
	if gso == 0 {
		return 1, octets
	}
	headers := headersOf(ip)
	packets = max(1, (octets-headers+gso-1)/gso)
	return packets, octets + (packets-1)*headers
}

// headersOf is the length of a packet's headers of IP and TCP or UDP.
func headersOf(ip []byte) int {
	proto, n := byte(0), 0
	switch {
	case len(ip) >= 20 && ip[0]>>4 == 4:
		proto, n = ip[9], int(ip[0]&15)*4
	case len(ip) >= 40 && ip[0]>>4 == 6:
		proto, n = ip[6], 40
	}
	switch {
	case proto == unix.IPPROTO_TCP && len(ip) > n+12:
		n += int(ip[n+12]>>4) * 4
	case proto == unix.IPPROTO_UDP:
		n += 8
	}
	return n
}

// linkTalk reports whether a frame is of the kind that no router passes on: ARP,
// neighbour discovery (hop limit 255), group reports (hop limit 1, behind a
// router alert).
func linkTalk(frame []byte) bool {
	ip := frame[etherHeader:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_ARP:
		return true
	case unix.ETH_P_IPV6:
		if len(ip) < 42 {
			return false
		}
		if ip[6] == unix.IPPROTO_ICMPV6 && ip[7] == 255 {
			return ip[40] >= 133 && ip[40] <= 137
		}
		return ip[6] == unix.IPPROTO_HOPOPTS && ip[7] == 1 && ip[40] == unix.IPPROTO_ICMPV6
	}
	return false
}
