// SPDX-License-Identifier: Apache-2.0

package net

import (
	"bytes"
	"errors"
	"fmt"
	stdnet "net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A capture of what a sliver says to the outside and hears from it, through a
// stand-in for guard and shaper, as tshark reads it.
func TestRootCapture(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	at, in := running(t, n, Sliver{Name: "aaaa", Place: 1, Egress: 100e6, Ingress: 100e6})
	standIn(t, n, at, at.Guard.Class)

	if _, err := n.Tap(t.Context(), "bbbb", 128, Filter{}); !errors.Is(err, ErrNoSliver) {
		t.Errorf("no such sliver: %v", err)
	}
	if _, err := n.Tap(t.Context(), "aaaa", MaxSnap+1, Filter{}); !errors.Is(err, ErrConfig) {
		t.Errorf("too long: %v", err)
	}
	filter, err := ParseFilter("host 192.0.2.2 and port 7000")
	must(t, err)
	tap, err := n.Tap(t.Context(), "aaaa", 60, filter)
	must(t, err)
	defer tap.Close()

	echo := echoing(t, w.outside, "192.0.2.2:7000")
	var c stdnet.Conn
	must(t, within(in, func() (err error) { c, err = stdnet.Dial("udp", "192.0.2.2:7000"); return err }))
	defer c.Close()
	said := bytes.Repeat([]byte("x"), 600)
	const times = 10
	for range times {
		_, err := c.Write(said)
		must(t, err)
		echo(t)
		must(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
		if n, err := c.Read(make([]byte, 1000)); err != nil || n != len(said) {
			t.Fatalf("%d bytes came back, %v", n, err)
		}
	}
	// What the filter leaves out, and what the stand-in drops, which is there.
	var other stdnet.Conn
	must(t, within(in, func() (err error) { other, err = stdnet.Dial("udp", "192.0.2.2:7001"); return err }))
	defer other.Close()
	_, err = other.Write(said)
	must(t, err)
	tagged(t, in, at, said)

	path := filepath.Join(t.TempDir(), "a.pcapng")
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	done, err := Record(t.Context(), tap, file, Recording{Name: "n/aaaa", Filter: filter, Snap: 60, For: 10 * time.Second,
		Packets: 2*times + 1, Bytes: 1 << 20})
	if err != nil || done.Ended != EndedPackets || done.Received != 2*times+1 || done.Lost != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	read := func(filter string) int {
		out := tshark(t, "-r", path, "-Y", filter, "-T", "fields", "-e", "frame.number")
		return strings.Count(string(out), "\n")
	}
	sliver := at.Addresses.Source4.String()
	for what, want := range map[string]int{
		"frame":          2*times + 1,
		"_ws.malformed":  0,
		"frame.len==642": 2 * times, "frame.cap_len==60": 2 * times,
		"frame.interface_name==\"n/aaaa\"":                          2*times + 1,
		"ip.src==" + sliver + " && udp.dstport==7000 && !vlan":      times,
		"ip.dst==" + sliver + " && udp.srcport==7000":               times,
		"ip.src==" + sliver + " && frame.packet_flags_direction==2": times + 1, // outbound
		"ip.dst==" + sliver + " && frame.packet_flags_direction==1": times,
		"vlan.id==7 && ip.src==" + sliver + " && frame.cap_len==64": 1,
		"frame.time_epoch < " + fmt.Sprint(time.Now().Unix()-60):    0,
	} {
		if got := read(what); got != want {
			t.Errorf("%s: tshark finds %d packets, want %d", what, got, want)
		}
	}
}

// What is not read in time is lost, and counted: the file and the loss are all
// that came.
func TestRootCaptureSaysWhatItLost(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	at, in := running(t, n, Sliver{Name: "aaaa", Place: 1})
	standIn(t, n, at, at.Guard.Class)
	tap, err := n.Tap(t.Context(), "aaaa", 128, Filter{})
	must(t, err)
	defer tap.Close()
	var c stdnet.Conn
	must(t, within(in, func() (err error) { c, err = stdnet.Dial("udp", "192.0.2.2:9"); return err }))
	defer c.Close()
	const sent = 20_000
	for range sent {
		_, _ = c.Write([]byte("nobody listens there")) // and one who does may say so
	}
	var file bytes.Buffer
	done, err := Record(t.Context(), tap, &file, Recording{For: time.Second, Packets: 1 << 20, Bytes: 1 << 30, Snap: 128})
	if err != nil || done.Lost == 0 || done.Received != done.Packets+done.Lost || done.Received < sent {
		t.Errorf("%+v, %v: nobody read while %d packets came", done, err, sent)
	}
	t.Logf("%d of %d packets lost", done.Lost, done.Received)
}

// A capture ends when its sliver does.
func TestRootCaptureEndsWithTheSliver(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	running(t, n, Sliver{Name: "aaaa", Place: 1})
	tap, err := n.Tap(t.Context(), "aaaa", 128, Filter{})
	must(t, err)
	defer tap.Close()
	must(t, n.Remove(t.Context(), "aaaa"))
	done, err := Record(t.Context(), tap, &bytes.Buffer{}, Recording{For: time.Minute, Packets: 1 << 20, Bytes: 1 << 20, Snap: 128})
	if err != nil || done.Ended != EndedSliver {
		t.Errorf("%+v, %v", done, err)
	}
}

// echoing answers datagrams with what they said, one at a time.
func echoing(t *testing.T, ns netns.NsHandle, at string) (one func(*testing.T)) {
	t.Helper()
	var l stdnet.PacketConn
	must(t, within(ns, func() (err error) { l, err = stdnet.ListenPacket("udp", at); return err }))
	t.Cleanup(func() { l.Close() })
	buf := make([]byte, 2000)
	return func(t *testing.T) {
		must(t, l.SetDeadline(time.Now().Add(5*time.Second)))
		n, from, err := l.ReadFrom(buf)
		must(t, err)
		_, err = l.WriteTo(buf[:n], from)
		must(t, err)
	}
}

// tagged sends a datagram to port 7000 in a frame with a VLAN tag.
func tagged(t *testing.T, in netns.NsHandle, at Attachment, payload []byte) {
	t.Helper()
	var fd int
	must(t, within(in, func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	}))
	defer unix.Close(fd)
	dev := link(t, handle(t, in), insideDev)
	frame := append([]byte{2, 0, 0, 0, 0, 1}, dev.Attrs().HardwareAddr...)
	frame = append(frame, 0x81, 0, 0, 7, 8, 0)
	size := 28 + len(payload)
	frame = append(frame, 0x45, 0, byte(size>>8), byte(size), 0, 0, 0, 0, 64, ipUDP, 0, 0)
	frame = append(append(frame, at.Addresses.Source4.AsSlice()...), 192, 0, 2, 2)
	frame = append(frame, 0, 1, 7000>>8, 7000&0xff, byte((size-20)>>8), byte((size-20)&0xff), 0, 0)
	must(t, unix.Sendto(fd, append(frame, payload...), 0, &unix.SockaddrLinklayer{Ifindex: dev.Attrs().Index}))
}

func tshark(t *testing.T, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
			t.Fatal("CROFT_REQUIRE_ROOT=1, but there is no tshark: apt-get install --no-install-recommends tshark")
		}
		t.Skip("no tshark")
	}
	cmd := exec.CommandContext(t.Context(), "tshark", args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark %q: %v: %s", args, err, &complaint)
	}
	return out
}
