// SPDX-License-Identifier: Apache-2.0

package net

import (
	"fmt"
	stdnet "net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"croft/lease"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

func TestGrant(t *testing.T) {
	for _, c := range []struct {
		others       ceilings
		place        int
		wish, places uint64
		entries      uint64
		want         uint64
	}{
		{nil, 0, 1000, 64, 262_144, 1000},
		{nil, 0, 0, 64, 262_144, defaultLive},
		{nil, 0, 0, 1024, 262_144, 64},
		{nil, 0, 1 << 20, 64, 262_144, 65_536},
		{ceilings{1: 65_000}, 0, 1000, 64, 262_144, 536},
		{ceilings{1: 65_536, 2: 65_536}, 0, 1000, 64, 262_144, minLive},
		{ceilings{0: 65_536}, 0, 1000, 64, 262_144, 1000}, // its own is no other's
		{nil, 0, 1, 64, 262_144, minLive},
		{nil, 0, 1000, 64, 0, minLive},
	} {
		if got := c.others.grant(c.place, int(c.places), c.wish, c.entries); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	for limit, want := range map[uint64]uint64{1: 1, 2: 2, 3: 4, 1000: 1024, 1024: 1024, 1025: 2048} {
		if got := ladder(limit); got != want {
			t.Errorf("ladder of %d is %d, want %d", limit, got, want)
		}
	}
}

// datagrams sends one from each of n new ports, so that each begins a flow.
func datagrams(t *testing.T, ns netns.NsHandle, to string, n int) (open []stdnet.Conn) {
	t.Helper()
	must(t, within(ns, func() error {
		for range n {
			c, err := stdnet.Dial("udp", to)
			if err != nil {
				return err
			}
			t.Cleanup(func() { c.Close() })
			open = append(open, c)
			if _, err := c.Write([]byte("x")); err != nil {
				return err
			}
		}
		return nil
	}))
	return open
}

// heard counts what arrives at a UDP address until nothing has for a while.
func heard(t *testing.T, ns netns.NsHandle, at string) (count func() int) {
	t.Helper()
	var c stdnet.PacketConn
	must(t, within(ns, func() (err error) { c, err = stdnet.ListenPacket("udp", at); return err }))
	t.Cleanup(func() { c.Close() })
	return func() int { return len(arrivals(c)) }
}

// arrivals reads until nothing has come for a while, and returns from whom.
func arrivals(c stdnet.PacketConn) (from []stdnet.Addr) {
	buf := make([]byte, 1<<16)
	for {
		c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		_, who, err := c.ReadFrom(buf)
		if err != nil {
			return from
		}
		from = append(from, who)
	}
}

// entriesOf counts the lines of a namespace's table of connections.
func entriesOf(t *testing.T, ns netns.NsHandle, match string) int {
	t.Helper()
	out, err := command(ns, "sh", "-c", "conntrack -L 2>/dev/null")
	must(t, err)
	return len(regexp.MustCompile("(?m)^.*"+match+".*$").FindAllString(out, -1))
}

func (n *Network) countedNow(t *testing.T, place int) Counters {
	t.Helper()
	all, err := n.counters(t.Context())
	must(t, err)
	for _, c := range all {
		if c.Place == place {
			return c
		}
	}
	t.Fatalf("nothing is counted of place %d: %+v", place, all)
	return Counters{}
}

// A sliver has as many flows open as its lease says, each way, and no more,
// whoever opens them; new ones wait until old ones end.
func TestRootCeiling(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	s := Sliver{Name: "aaaa", Place: 1, Live: 20, Ports: []lease.Port{{Proto: lease.UDP, Number: 8080, Inside: 80}}}
	_, in := running(t, n, s)
	_, other := running(t, n, Sliver{Name: "bbbb", Place: 2, Live: 20})
	received := heard(t, w.outside, "192.0.2.2:7000")

	open := datagrams(t, in, "192.0.2.2:7000", 50)
	if got := received(); got != 20 {
		t.Errorf("%d of 50 flows went out, want 20", got)
	}
	if got := entriesOf(t, w.host, "dport=7000"); got != 20 {
		t.Errorf("the host has %d entries, want 20", got)
	}
	if c := n.countedNow(t, 1); c.Limit != 20 || c.Out != 20 || c.In != 0 || c.RefusedOut != 30 || c.RefusedIn != 0 || c.Sliver != "aaaa" {
		t.Errorf("counted %+v", c)
	}
	passed := 0
	for _, c := range open { // those that are open go on
		_, err := c.Write([]byte("y"))
		must(t, err)
	}
	if passed = received(); passed != 20 {
		t.Errorf("%d flows went on, want 20", passed)
	}
	datagrams(t, other, "192.0.2.2:7000", 10)
	if got := received(); got != 10 {
		t.Errorf("of another sliver %d of 10 flows went out", got)
	}

	inside := heard(t, in, "198.19.0.17:80")
	datagrams(t, w.outside, "192.0.2.1:8080", 50)
	if got := inside(); got != 20 {
		t.Errorf("%d of 50 flows came in, want 20", got)
	}
	if c := n.countedNow(t, 1); c.Out != 20 || c.In != 20 || c.RefusedIn != 30 {
		t.Errorf("counted %+v", c)
	}

	t.Run("a new daemon forgets nothing", func(t *testing.T) {
		must(t, n.Close())
		n = w.mustOpen(Config{Places: 4})
		_, err := n.Add(t.Context(), s)
		must(t, err)
		datagrams(t, in, "192.0.2.2:7000", 10)
		if got := received(); got != 0 {
			t.Errorf("%d more flows went out", got)
		}
		if c := n.countedNow(t, 1); c.Limit != 20 || c.RefusedOut < 70 {
			t.Errorf("counted %+v", c)
		}
	})
	t.Run("a larger lease", func(t *testing.T) {
		s.Live = 30 // below the next power of two, so that what is open counts
		_, err := n.Add(t.Context(), s)
		must(t, err)
		datagrams(t, in, "192.0.2.2:7000", 40)
		if got := received(); got < 10 || got > 12 { // up to 32 in all
			t.Errorf("%d more flows went out", got)
		}
		s.Live = 200
		_, err = n.Add(t.Context(), s)
		must(t, err)
		datagrams(t, in, "192.0.2.2:7000", 50)
		if got := received(); got != 50 {
			t.Errorf("%d of 50 flows went out", got)
		}
	})
	t.Run("who comes next finds nothing", func(t *testing.T) {
		must(t, n.Remove(t.Context(), "aaaa"))
		block := n.plan.sourcePorts(1)
		for _, ns := range []netns.NsHandle{w.host, n.space} {
			if got := entriesOf(t, ns, "sport="+strconv.Itoa(int(block[0])/100)); got > 0 {
				t.Errorf("%d entries of its block are left", got)
			}
			if got := entriesOf(t, ns, "dport=8080"); got > 0 {
				t.Errorf("%d entries of its public port are left", got)
			}
		}
		if got := entriesOf(t, w.host, "dport=7000"); got != 10 {
			t.Errorf("the host has %d entries, want the 10 of the other sliver", got)
		}
		_, err := n.Add(t.Context(), Sliver{Name: "cccc", Place: 1, Live: 20})
		must(t, err)
		if c := n.countedNow(t, 1); c.Out+c.In+c.RefusedOut+c.RefusedIn != 0 || c.Limit != 20 {
			t.Errorf("counted %+v", c)
		}
	})
}

// Flows that are closed are in no count and have entries all the same: how many
// there are is bounded by how fast flows begin, whichever way.
func TestRootClosedFlows(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	const live, rate = 200, 200 / paceShare
	_, in := running(t, n, Sliver{Name: "aaaa", Place: 1, Live: live, Ports: []lease.Port{{Proto: lease.TCP, Number: 8080, Inside: 80}}})
	listen(t, w.outside, "192.0.2.2:7009")
	listen(t, in, "198.19.0.17:80")
	// attempt makes TCP connections for three seconds, and breaks each off as soon as
	// it is there, or has not come within some milliseconds.
	attempt := func(ns netns.NsHandle, to unix.Sockaddr, patience int) (made, came int) {
		t.Helper()
		must(t, within(ns, func() error {
			for until := time.Now().Add(3 * time.Second); time.Now().Before(until); made++ {
				s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return err
				}
				must(t, unix.SetsockoptLinger(s, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
				unix.Connect(s, to) // goes on without us
				poll := []unix.PollFd{{Fd: int32(s), Events: unix.POLLOUT}}
				if n, _ := unix.Poll(poll, patience); n == 1 && poll[0].Revents == unix.POLLOUT {
					came++
				}
				unix.Close(s)
			}
			return nil
		}))
		return made, came
	}
	for _, c := range []struct {
		what     string
		from     netns.NsHandle
		to       *unix.SockaddrInet4
		port     string
		patience int
	}{
		{"out", in, &unix.SockaddrInet4{Port: 7009, Addr: outsideAddr4.As4()}, "dport=7009", 2},
		{"in", w.outside, &unix.SockaddrInet4{Port: 8080, Addr: hostAddr4.As4()}, "dport=8080", 2},
		{"flood in", w.outside, &unix.SockaddrInet4{Port: 8080, Addr: hostAddr4.As4()}, "dport=8080", 0},
	} {
		made, came := attempt(c.from, c.to, c.patience)
		for name, ns := range map[string]netns.NsHandle{"host": w.host, "node": n.space} {
			got := entriesOf(t, ns, c.port)
			t.Logf("%s: %d attempts, %d came about, %d entries in the %s's table", c.what, made, came, got, name)
			most := live + 2*rate
			if c.from == w.outside && name == "host" { // where what the node's namespace refuses is for three seconds
				most += 4 * int(max(n.entries/unansweredShare/3/doorShare, minLive))
			}
			if got > most || c.patience == 0 && made < most {
				t.Errorf("%s: %d entries of %d attempts in the %s's table, want %d at most", c.what, got, made, name, most)
			}
		}
		if counted := n.countedNow(t, 1); counted.RefusedOut+counted.RefusedIn == 0 {
			t.Errorf("%s: nothing is counted: %+v", c.what, counted)
		}
	}
}

// What a sliver leaves in the tables goes soon, in the host's too, whose own
// times are longer.
func TestRootTimeouts(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	_, in := running(t, n, Sliver{Name: "aaaa", Place: 1})
	var l stdnet.Listener
	must(t, within(w.outside, func() (err error) { l, err = stdnet.Listen("tcp", "[::]:7001"); return err }))
	t.Cleanup(func() { l.Close() })
	for _, to := range []string{"192.0.2.2:7001", "[2001:db8::2]:7001"} {
		var c stdnet.Conn
		must(t, within(in, func() (err error) { c, err = stdnet.DialTimeout("tcp", to, 10*time.Second); return err }))
		t.Cleanup(func() { c.Close() })
	}
	datagrams(t, in, "192.0.2.2:7000", 1)
	datagrams(t, in, "[2001:db8::2]:7000", 1)
	for name, ns := range map[string]netns.NsHandle{"host": w.host, "node": n.space} {
		out, err := command(ns, "sh", "-c", "conntrack -L 2>/dev/null")
		must(t, err)
		left := func(pattern string) (longest int) {
			all := regexp.MustCompile(pattern).FindAllStringSubmatch(out, -1)
			if len(all) != 2 {
				t.Errorf("%s: %d entries of %q in\n%s", name, len(all), pattern, out)
			}
			for _, m := range all {
				s, err := strconv.Atoi(m[1])
				must(t, err)
				longest = max(longest, s)
			}
			return longest
		}
		if s := left(`(?m)^tcp +6 (\d+) ESTABLISHED .*dport=7001`); s > 7440 || s < 7000 {
			t.Errorf("%s keeps a silent TCP connection for %d s", name, s)
		}
		if s := left(`(?m)^udp +17 (\d+) .*dport=7000`); s > 15 {
			t.Errorf("%s keeps an unanswered datagram's flow for %d s", name, s)
		}
	}
}

// A packet that conntrack cannot follow has no block's port: it must not leave,
// least of all under a port that is another sliver's.
func TestRootInvalidPacketsStay(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	at, in := running(t, n, Sliver{Name: "aaaa", Place: 1})
	const syn, rst, synFin = 2, 4, 3
	for _, c := range []struct{ from, to netip.Addr }{{at.Addresses.Source4, outsideAddr4}, {at.Addresses.Source6, outsideAddr6}} {
		seen := sniffTCP(t, w.outside, c.to)
		port := n.plan.sourcePorts(2)[0] // of another place
		sendTCP(t, in, c.from, c.to, port, syn)
		if from := seen(syn); len(from) != 1 {
			t.Fatalf("a whole packet to %s is seen from %q", c.to, from)
		}
		for _, flags := range []byte{rst, synFin} {
			sendTCP(t, in, c.from, c.to, port, flags)
			if from := seen(flags); len(from) > 0 {
				t.Errorf("to %s, flags %d: it left as %q", c.to, flags, from)
			}
		}
	}
}

func rawTCP(ns netns.NsHandle, a netip.Addr) (s int, err error) {
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	err = within(ns, func() (err error) {
		s, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
		return err
	})
	return s, err
}

// sendTCP sends a segment without payload to port 7000.
func sendTCP(t *testing.T, ns netns.NsHandle, from, to netip.Addr, port uint16, flags byte) {
	t.Helper()
	s, err := rawTCP(ns, to)
	must(t, err)
	defer unix.Close(s)
	b := make([]byte, 20)
	b[0], b[1], b[2], b[3] = byte(port>>8), byte(port), 7000>>8, 7000&0xff
	b[7], b[12], b[13], b[14], b[15] = 1, 5<<4, flags, 0xff, 0xff
	sum := checksum(b, from, to)
	b[16], b[17] = byte(sum>>8), byte(sum)
	if to.Is4() {
		must(t, unix.Sendto(s, b, 0, &unix.SockaddrInet4{Addr: to.As4()}))
	} else {
		must(t, unix.Sendto(s, b, 0, &unix.SockaddrInet6{Addr: to.As16()}))
	}
}

// sniffTCP returns from whom segments to port 7000 with just these flags came,
// until none has for a while.
func sniffTCP(t *testing.T, ns netns.NsHandle, at netip.Addr) func(flags byte) []string {
	t.Helper()
	s, err := rawTCP(ns, at)
	must(t, err)
	t.Cleanup(func() { unix.Close(s) })
	must(t, unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 500_000}))
	return func(flags byte) (from []string) {
		buf := make([]byte, 2048)
		for {
			size, sender, err := unix.Recvfrom(s, buf, 0)
			if err != nil {
				return from
			}
			segment, who := buf[:size], netip.Addr{}
			switch a := sender.(type) {
			case *unix.SockaddrInet4: // with its IP header
				segment, who = segment[20:], netip.AddrFrom4(a.Addr)
			case *unix.SockaddrInet6:
				who = netip.AddrFrom16(a.Addr)
			}
			if len(segment) >= 20 && segment[13] == flags && int(segment[2])<<8|int(segment[3]) == 7000 {
				from = append(from, fmt.Sprintf("%s port %d", who, int(segment[0])<<8|int(segment[1])))
			}
		}
	}
}

// checksum of a TCP segment over its pseudo header (RFC 9293, section 3.1).
func checksum(segment []byte, src, dst netip.Addr) uint16 {
	b := slices.Concat(src.AsSlice(), dst.AsSlice(), []byte{0, unix.IPPROTO_TCP, 0, byte(len(segment))}, segment)
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
