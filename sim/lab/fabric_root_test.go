// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"regexp"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// distance pings between sites: a round trip takes at least both ways.
func distance(t *testing.T, l *Lab) {
	s, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sites := DefaultSites()
	for _, c := range []struct {
		from, to string
		oneWay   time.Duration
	}{
		{"uni-a/n1", "198.18.1.12", 0},
		{"uni-a/n1", "198.18.2.11", Distance(sites[0], sites[1])},
		{"lab-c/n1", "198.18.1.12", Distance(sites[2], sites[0])},
		{"outside", "198.18.3.11", Distance(outside, sites[2])},
		{"isp-b/n2", s.Outside.String(), Distance(outside, sites[1])},
	} {
		rtt := ping(t, l, c.from, c.to)
		t.Logf("%s to %s: %v, of which distance %v", c.from, c.to, rtt, 2*c.oneWay)
		// ping prints three digits, so it may round down.
		if rtt < 2*c.oneWay-10*time.Microsecond {
			t.Errorf("%s to %s: %v, less than twice %v", c.from, c.to, rtt, c.oneWay)
		}
	}
	after, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if w := after.Traffic.Wires["uni-a > isp-b"]; w.Packets < 3 || w.Dropped != 0 {
		t.Errorf("the relay counted %+v", after.Traffic)
	}
}

// ping returns the shortest of three round trips.
func ping(t *testing.T, l *Lab, from, to string) time.Duration {
	t.Helper()
	var out bytes.Buffer
	code, err := l.Exec(t.Context(), from, []string{"ping", "-n", "-c3", "-i0.2", "-W5", to}, IO{Out: &out, Err: &out})
	if err != nil || code != 0 {
		t.Fatalf("ping from %s to %s: status %d, %v\n%s", from, to, code, err, &out)
	}
	m := regexp.MustCompile(`rtt min/[^=]*= ([0-9.]+)/`).FindStringSubmatch(out.String())
	if m == nil {
		t.Fatalf("ping printed:\n%s", &out)
	}
	ms, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// bulk sends 8 MiB over the ocean and compares them: what the relay leaves of
// checksums and segmentation for the other side to do must come out right.
func bulk(t *testing.T, l *Lab) {
	s, err := load(l.Dir())
	if err != nil {
		t.Fatal(err)
	}
	from, _ := s.Plan.node("uni-a/n1")
	to, _ := s.Plan.node("lab-c/n1")
	data := make([]byte, 8<<20)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	var listener net.Listener
	err = within(to.NetNS, func() (err error) {
		listener, err = net.Listen("tcp4", to.Address.String()+":9000")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	got := make(chan []byte, 1)
	go func() {
		defer close(got)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		all, _ := io.ReadAll(conn)
		got <- all
	}()
	var conn net.Conn
	err = within(from.NetNS, func() (err error) {
		// Without a deadline the dial stays on this thread.
		conn, err = net.Dial("tcp4", listener.Addr().String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write(data); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if all := <-got; !bytes.Equal(all, data) {
		t.Errorf("%d bytes came of %d, or others", len(all), len(data))
	}
	counted, err := traffic(t.Context(), l.Dir())
	if err != nil {
		t.Fatal(err)
	}
	w := counted.Wires["uni-a > lab-c"]
	t.Logf("%d bytes in %d packets", w.Bytes, w.Packets)
	if w.Bytes/w.Packets < 1600 {
		t.Errorf("%d bytes in %d packets: segmentation was not left to the other side", w.Bytes, w.Packets)
	}
}

// datagrams sends many in one call, as QUIC does, and expects each on its own.
func datagrams(t *testing.T, l *Lab) {
	const size, count = 1200, 20
	r, err := load(l.Dir())
	if err != nil {
		t.Fatal(err)
	}
	from, _ := r.Plan.node("uni-a/n1")
	to, _ := r.Plan.node("isp-b/n1")
	var sender, receiver *net.UDPConn
	for n, conn := range map[*node]**net.UDPConn{&from: &sender, &to: &receiver} {
		err := within(n.NetNS, func() (err error) {
			*conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: n.Address.AsSlice(), Port: 9001})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer (*conn).Close()
		(*conn).SetDeadline(time.Now().Add(10 * time.Second))
	}
	segment := binary.NativeEndian.AppendUint16(nil, size)
	control := make([]byte, unix.CmsgSpace(len(segment)))
	head := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	head.Level, head.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	head.SetLen(unix.CmsgLen(len(segment)))
	copy(control[unix.CmsgLen(0):], segment)
	data := make([]byte, size*count)
	for i := range data {
		data[i] = byte(i / size)
	}
	if _, _, err := sender.WriteMsgUDP(data, control, receiver.LocalAddr().(*net.UDPAddr)); err != nil {
		t.Fatal(err)
	}
	for i := range count {
		got := make([]byte, 1<<16)
		n, err := receiver.Read(got)
		if err != nil || !bytes.Equal(got[:n], data[i*size:(i+1)*size]) {
			t.Fatalf("datagram %d: %d bytes, %v", i, n, err)
		}
	}
}
