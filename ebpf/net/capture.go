// SPDX-License-Identifier: Apache-2.0

package net

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Packet is one captured frame.
type Packet struct {
	At     time.Time
	Out    bool   // from the sliver
	Length int    // of the frame, in bytes
	Data   []byte // its beginning; until the next call of Next
}

// Tap hears a sliver's packets at the host end of its veth. The kernel shows it
//
//   - what comes from the sliver before the guard sees it: what the guard drops
//     is there too;
//   - what goes to the sliver after guard and shaper: what they dropped is not.
//
// A packet that a stack or a device is to cut into segments is one, and longer
// than the link's. A Tap is a socket and goes with the process. It is for one
// goroutine.
type Tap struct {
	file     *os.File
	conn     syscall.RawConn
	buf, oob []byte

	received, lost uint64
}

// Tap opens a capture of the first snap bytes of the packets that f takes.
// [ErrNoSliver] when there is no such sliver here.
func (n *Network) Tap(ctx context.Context, sliver string, snap int, f Filter) (*Tap, error) {
	if snap < MinSnap || snap > MaxSnap {
		return nil, fmt.Errorf("capturing %d bytes of a packet, want %d to %d: %w", snap, MinSnap, MaxSnap, ErrConfig)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.usable(ctx); err != nil {
		return nil, err
	}
	p, err := n.find(sliver)
	if err != nil {
		return nil, fmt.Errorf("capturing at sliver %.20q: %w", sliver, err)
	}
	var t *Tap
	err = within(n.space, func() (err error) {
		t, err = tap(p.link.Attrs().Index, snap, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("capturing at sliver %s: %w", sliver, err)
	}
	return t, nil
}

// tap opens the socket. It hears nothing before it is bound, with the filter on.
func tap(ifindex, snap int, f Filter) (_ *Tap, err error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, missing(os.NewSyscallError("socket", err), "kernel: af_packet", "packets cannot be captured")
	}
	t := &Tap{file: os.NewFile(uintptr(fd), "capture"), buf: make([]byte, snap+vlanTag), oob: make([]byte, 256)}
	defer func() {
		if err != nil {
			t.file.Close()
		}
	}()
	raw, err := f.program(snap)
	if err != nil {
		return nil, fmt.Errorf("compiling filter %q: %w", f, err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}); err != nil {
		return nil, os.NewSyscallError("setting the filter", err)
	}
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, tapBuffer},
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1},
		{unix.SOL_PACKET, unix.PACKET_AUXDATA, 1},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return nil, os.NewSyscallError("setsockopt", err)
		}
	}
	all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifindex}); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	t.conn, err = t.file.SyscallConn()
	return t, err
}

// Next waits for a packet until a time: then the error is
// os.ErrDeadlineExceeded. When the sliver's link goes it is [ErrNoSliver].
func (t *Tap) Next(until time.Time) (p Packet, err error) {
	if err := t.file.SetReadDeadline(until); err != nil {
		return p, err
	}
	var oobn int
	var from unix.Sockaddr
	var got int
	wait := t.conn.Read(func(fd uintptr) bool {
		got, oobn, _, from, err = unix.Recvmsg(int(fd), t.buf[vlanTag:], t.oob, unix.MSG_DONTWAIT)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	switch {
	case wait != nil:
		return p, wait
	case errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return p, fmt.Errorf("the link is gone: %w", ErrNoSliver)
	case err != nil:
		return p, os.NewSyscallError("recvmsg", err)
	}
	if ll, ok := from.(*unix.SockaddrLinklayer); ok {
		p.Out = ll.Pkttype != unix.PACKET_OUTGOING
	}
	p.Length, p.Data = got, t.buf[vlanTag:vlanTag+got]
	return p, t.notes(&p, t.oob[:oobn])
}

// vlanTag is the length of an 802.1Q tag, which the kernel takes out of the
// frame and puts into the notes.
const vlanTag = 4

// notes reads what the kernel says beside a packet.
func (t *Tap) notes(p *Packet, oob []byte) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return err
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})):
			p.At = time.Unix((*unix.Timespec)(unsafe.Pointer(&m.Data[0])).Unix())
		case m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= int(unsafe.Sizeof(unix.TpacketAuxdata{})):
			aux := (*unix.TpacketAuxdata)(unsafe.Pointer(&m.Data[0]))
			p.Length = int(aux.Len)
			if aux.Status&unix.TP_STATUS_VLAN_VALID != 0 && len(p.Data) >= 12 {
				p.Data = t.buf[:len(p.Data)+vlanTag]
				copy(p.Data, p.Data[vlanTag:vlanTag+12])
				tpid := uint16(unix.ETH_P_8021Q)
				if aux.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
					tpid = aux.Vlan_tpid
				}
				binary.BigEndian.PutUint16(p.Data[12:], tpid)
				binary.BigEndian.PutUint16(p.Data[14:], aux.Vlan_tci)
				p.Length += vlanTag
			}
		}
	}
	return nil
}

// Counts returns how many packets the filter took since the beginning, and how
// many of them were lost because nobody read them in time.
func (t *Tap) Counts() (received, lost uint64, err error) {
	var s *unix.TpacketStats
	control := t.conn.Control(func(fd uintptr) {
		s, err = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS) // since the last time
	})
	if err = errors.Join(control, err); err != nil {
		return 0, 0, fmt.Errorf("reading what was lost: %w", err)
	}
	t.received += uint64(s.Packets)
	t.lost += uint64(s.Drops)
	return t.received, t.lost, nil
}

// Close ends the capture.
func (t *Tap) Close() error { return t.file.Close() }
