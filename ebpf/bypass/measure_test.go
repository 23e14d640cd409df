// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"net/netip"
	"testing"

	"croft/ebpf"

	"golang.org/x/sys/unix"
)

// readings makes samples at tenths of a second from counts of 1,000-octet packets.
func readings(packets ...uint64) (all []sample) {
	for i, n := range packets {
		at := int64(i) * 1e8
		all = append(all, sample{before: at, after: at, count: count{n, n * 1000}})
	}
	return all
}

func TestWorst(t *testing.T) {
	way := ebpf.Way{Rate: 8_000_000, Burst: 10_000, Packets: 100_000, PacketBurst: 1000} // 1,000 such packets/s, and 10
	flat := func(perTenth uint64) (n []uint64) {
		for i := range uint64(31) {
			n = append(n, i*perTenth)
		}
		return n
	}
	late := flat(0)
	late[30] = 3010 // all of it in the last tenth, but within the whole
	for _, c := range []struct {
		name    string
		packets []uint64
		ends    int64
		hole    bool
	}{
		{"nothing", flat(0), 0, false},
		{"just the lease", flat(100), 0, false},
		{"a little more", flat(102), 0, true},
		{"a second's worth thrice in a second", late, 0, true},
		{"on after the end", flat(100), 1e9, true},
		{"quiet after the end", append(flat(100)[:10], flat(0)[:0]...), 9e8, false},
	} {
		got := worst(readings(c.packets...), way, c.ends)
		if got > 1 != c.hole {
			t.Errorf("%s: %.3f of what is allowed, a hole: %v", c.name, got, c.hole)
		}
	}
	way = ebpf.Way{Rate: 8e9, Burst: 1e6, Packets: 100, PacketBurst: 10}
	if got := worst(readings(flat(11)...), way, 0); got <= 1 {
		t.Errorf("110 packets/s of 100: %.3f", got)
	}
	if got := worst(readings(flat(10)...), way, 0); got > 1 {
		t.Errorf("100 packets/s of 100: %.3f", got)
	}
}

// A verdict is held only if there was something to hold.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name string
		r    Result
		it   Item
		dmg  error
		want Verdict
	}{
		{"held", Result{Used: 1, Offered: 40, Control: 9}, Item{}, nil, Held},
		{"held, although something else stops it too", Result{Used: 1, Offered: 40, Control: 9}, Item{Stops: "the kernel"}, nil, Held},
		{"over", Result{Used: 1.01, Offered: 40, Control: 9}, Item{}, nil, Hole},
		{"over, whatever the control says", Result{Used: 1.01, Offered: 1, Control: 0}, Item{Stops: "the kernel"}, nil, Hole},
		{"over, known", Result{Used: 1.01, Offered: 40, Control: 9}, Item{Known: "root"}, nil, Known},
		{"little, where nothing may", Result{Used: 0.1, Offered: 40, Control: 9, Received: Traffic{Packets: 1}}, Item{none: true}, nil, Hole},
		{"nothing, where nothing may", Result{Offered: 40, Control: 9}, Item{none: true}, nil, Held},
		{"damage", Result{Offered: 40, Control: 9}, Item{}, ErrHole, Hole},
		{"too little sent", Result{Used: 0.5, Offered: 19, Control: 9}, Item{}, nil, Weak},
		{"an attack that is none", Result{Offered: 40, Control: 1}, Item{}, nil, Weak},
		{"an attack that is none, as said", Result{Offered: 40, Control: 1}, Item{Stops: "the kernel"}, nil, Moot},
	} {
		if c.r.judge(c.it, c.dmg); c.r.Verdict != c.want {
			t.Errorf("%s: %s, want %s", c.name, c.r.Verdict, c.want)
		}
		if good := c.r.Err() == nil; good != (c.want == Held || c.want == Moot) {
			t.Errorf("%s: error %v", c.name, c.r.Err())
		}
		if (c.r.Why == "") != (c.want == Held) {
			t.Errorf("%s: why %q", c.name, c.r.Why)
		}
	}
}

func TestOnTheWire(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:2")
	a6, b6 := netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:2")
	mac := make([]byte, 6)
	for _, c := range []struct {
		name            string
		ip              []byte
		gso             int
		packets, octets int
	}{
		{"whole", packet(a.Addr(), b.Addr(), unix.IPPROTO_UDP, udp(a, b, 1000)), 0, 1, 1028},
		{"UDP in segments", packet(a.Addr(), b.Addr(), unix.IPPROTO_UDP, udp(a, b, 1000)), 300, 4, 1000 + 4*28},
		{"TCP in segments", packet(a.Addr(), b.Addr(), unix.IPPROTO_TCP, tcp(a, b, 1000, true)), 500, 2, 1000 + 2*40},
		{"IPv6 in segments", packet(a6.Addr(), b6.Addr(), unix.IPPROTO_TCP, tcp(a6, b6, 1000, true)), 1, 1000, 1000 + 1000*60},
	} {
		frame := ether(mac, mac, unix.ETH_P_IP, c.ip)
		if p, o := onTheWire(frame[etherHeader:], len(frame)-etherHeader, c.gso); p != c.packets || o != c.octets {
			t.Errorf("%s: %d packets, %d octets, want %d and %d", c.name, p, o, c.packets, c.octets)
		}
	}
	if p, o := onTheWire(nil, 0, 0); p != 1 || o != 0 {
		t.Errorf("an empty frame: %d packets, %d octets", p, o)
	}
}

// Only what no router forwards is the link's own talk.
func TestLinkTalk(t *testing.T) {
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	mac := make([]byte, 6)
	six := func(hops, kind byte) []byte {
		return ether(mac, mac, unix.ETH_P_IPV6, ip6{src: a, dst: b, next: unix.IPPROTO_ICMPV6, hops: hops, payload: icmp(a, b, kind, 0, make([]byte, 20))}.bytes())
	}
	for _, c := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"ARP", ether(mac, mac, unix.ETH_P_ARP, make([]byte, 28)), true},
		{"solicitation", six(255, 135), true},
		{"solicitation that was forwarded", six(254, 135), false},
		{"echo request", six(255, 128), false},
		{"UDP", ether(mac, mac, unix.ETH_P_IP, make([]byte, 60)), false},
		{"cut short", ether(mac, mac, unix.ETH_P_IPV6, []byte{0x60}), false},
	} {
		if got := linkTalk(c.frame); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// Checksums of what is crafted are right: a receiver's sum over all is all ones.
func TestChecksums(t *testing.T) {
	for _, pair := range [][2]string{{"192.0.2.1:1", "192.0.2.2:2"}, {"[2001:db8::1]:1", "[2001:db8::2]:2"}} {
		a, b := netip.MustParseAddrPort(pair[0]), netip.MustParseAddrPort(pair[1])
		for _, n := range []int{0, 1, 1400} {
			u, s := udp(a, b, n), tcp(a, b, n, false)
			if got := sum(pseudo(a.Addr(), b.Addr(), unix.IPPROTO_UDP, len(u)), u); got != 0xffff {
				t.Errorf("UDP of %d: %#x", n, got)
			}
			if got := sum(pseudo(a.Addr(), b.Addr(), unix.IPPROTO_TCP, len(s)), s); got != 0xffff {
				t.Errorf("TCP of %d: %#x", n, got)
			}
		}
	}
	ip := ip4{src: netip.MustParseAddr("192.0.2.1"), dst: netip.MustParseAddr("192.0.2.2"), proto: 17, options: []byte{1, 1, 1, 1}}.bytes()
	if got := sum(0, ip); got != 0xffff {
		t.Errorf("IPv4: %#x", got)
	}
}
