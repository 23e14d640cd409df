// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"croft/ebpf"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A shot is one message for a socket and what it becomes on the wire.
type shot struct {
	data    []byte
	packets int
	octets  int // at L3
}

// A flood is a socket and what it is to send, over and over.
type flood struct {
	fd    int
	shots []shot

	vector []mmsghdr // in sendmmsg's form
	iovecs []unix.Iovec

	packets, octets atomic.Uint64 // that the kernel took

	refused, refusedOctets atomic.Uint64 // that it did not
	errno                  atomic.Uint64 // what it said last when it did not
}

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

func newFlood(fd int, shots []shot) *flood {
	f := &flood{fd: fd}
	for len(f.shots) < batch {
		f.shots = append(f.shots, shots...)
	}
	f.vector, f.iovecs = make([]mmsghdr, len(f.shots)), make([]unix.Iovec, len(f.shots))
	for i := range f.shots {
		f.iovecs[i] = unix.Iovec{Base: unsafe.SliceData(f.shots[i].data), Len: uint64(len(f.shots[i].data))}
		f.vector[i].hdr.Iov, f.vector[i].hdr.Iovlen = &f.iovecs[i], 1
	}
	return f
}

// aim gives messages of a socket that is not connected their addresses, in turn.
func (f *flood) aim(at []netip.AddrPort) *flood {
	for i := range f.vector {
		name := sockaddrBytes(at[i%len(at)])
		f.vector[i].hdr.Name, f.vector[i].hdr.Namelen = &name[0], uint32(len(name))
	}
	return f
}

func (f *flood) close() error { return unix.Close(f.fd) }

// pace returns how many messages a second are times the lease.
func (f *flood) pace(lease ebpf.Way, times float64) float64 {
	var packets, octets int
	for _, s := range f.shots {
		packets, octets = packets+s.packets, octets+s.octets
	}
	n := float64(len(f.shots))
	cost := max(float64(octets)/n*8/float64(lease.Rate), float64(packets)/n/float64(lease.Packets))
	return times / cost
}

// run sends so many messages a second until ctx ends. Like a program that wants
// to get through, it does not care what the kernel says.
func (f *flood) run(ctx context.Context, perSecond float64) {
	begin := time.Now()
	var done, next int
	for ctx.Err() == nil {
		due := int(time.Since(begin).Seconds()*perSecond) - done
		if due <= 0 {
			time.Sleep(nap)
			continue
		}
		due = min(due, batch, len(f.shots)-next)
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(f.fd), uintptr(unsafe.Pointer(&f.vector[next])), uintptr(due), unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			f.errno.Store(uint64(errno))
			f.refused.Add(uint64(f.shots[next].packets))
			f.refusedOctets.Add(uint64(f.shots[next].octets))
			done++
			next = (next + 1) % len(f.shots)
			if next%batch == 0 { // no room, no link, no route: that takes a moment to change
				time.Sleep(nap)
			}
			continue
		}
		var packets, octets uint64
		for _, s := range f.shots[next : next+int(n)] {
			packets, octets = packets+uint64(s.packets), octets+uint64(s.octets)
		}
		f.packets.Add(packets)
		f.octets.Add(octets)
		done += int(n)
		next = (next + int(n)) % len(f.shots)
	}
}

// socket makes one in a namespace, with room for a flood.
func socket(ns netns.NsHandle, family, kind, proto int) (fd int, err error) {
	open := func() (err error) {
		fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC, proto)
		return err
	}
	if ns.IsOpen() {
		err = within(ns, open)
	} else {
		err = open() // who cannot enter a namespace is in the right one
	}
	if err != nil {
		return -1, fmt.Errorf("making socket: %w", err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, backlog)
	if errors.Is(err, unix.EPERM) { // in a sliver: as much as it may
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, backlog)
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// dial makes a socket whose messages go to one address.
func dial(ns netns.NsHandle, kind, proto int, to netip.AddrPort) (int, error) {
	family := unix.AF_INET
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := socket(ns, family, kind, proto)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil {
		return -1, errors.Join(fmt.Errorf("connecting to %s: %w", to, err), unix.Close(fd))
	}
	return fd, nil
}

// sockaddrBytes is a struct sockaddr_in or sockaddr_in6.
func sockaddrBytes(a netip.AddrPort) []byte {
	family, rest := uint16(unix.AF_INET), a.Addr().AsSlice()
	if a.Addr().Is6() {
		family, rest = unix.AF_INET6, append(make([]byte, 4), rest...) // flow label before
	}
	b := binary.BigEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, family), a.Port())
	return append(append(b, rest...), make([]byte, 8)...) // padding, or the scope
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// packetSocket makes a socket that sends whole frames by a device.
func packetSocket(ns netns.NsHandle, ifindex int, offload bool) (int, error) {
	fd, err := socket(ns, unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: ifindex}); err != nil {
		return -1, errors.Join(fmt.Errorf("binding packet socket: %w", err), unix.Close(fd))
	}
	if offload {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
			return -1, errors.Join(err, unix.Close(fd))
		}
	}
	return fd, nil
}
