// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	cebpf "github.com/cilium/ebpf"

	"croft/ebpf"
)

// skb is the kernel's struct __sk_buff, as far as test runs read and write it.
type skb struct {
	Len, PktType, Mark, QueueMapping, Protocol, VlanPresent, VlanTCI, VlanProto uint32
	Priority, IngressIfindex, Ifindex, TcIndex                                  uint32
	CB                                                                          [5]uint32
	Hash, TcClassid, Data, DataEnd, NapiID, Family, Remote4, Local4             uint32
	Remote6, Local6                                                             [4]uint32
	RemotePort, LocalPort, DataMeta                                             uint32
	FlowKeys, Tstamp                                                            uint64
	WireLen, GSOSegs                                                            uint32
	Sk                                                                          uint64
	GSOSize, TstampType                                                         uint32
	HWTstamp                                                                    uint64
}

const (
	pass     = 0
	drop     = 2
	redirect = 7
	loopback = 1 // the ifindex of test runs
)

var wide = ebpf.Way{Rate: 1e12, Burst: ebpf.MaxBurst, Packets: 1e9, PacketBurst: 1e9}

func testLimits() ebpf.Limits {
	return ebpf.Limits{Egress: wide, Ingress: wide, Source4: sliver4, Source6: sliver6, MAC: sliverMAC, Deadline: 1e15}
}

// bench is a guard that judges given packets at given times: sliver "probe" on
// the loopback's ifindex, with state and without links.
type bench struct {
	testing.TB
	*Guard
	at  ebpf.Port
	now uint64
	cfg Config
}

func newBench(t testing.TB, cfg Config, at ebpf.Port, l ebpf.Limits) *bench {
	cfg.testClock, cfg.Tag = true, testTag()
	b := &bench{TB: t, Guard: openGuard(t, cfg), cfg: cfg}
	at.Sliver, at.IfIndex = "probe", loopback
	record := guardTenure{Place: uint32(at.Place), Ifindex: loopback}
	copy(record.Sliver[:], at.Sliver)
	if err := b.putState(at, l, record); err != nil {
		t.Fatal(err)
	}
	b.at = at
	b.tick(1e12)
	return b
}

func (b *bench) tick(now uint64) {
	b.Helper()
	b.now = now
	if err := b.objects.TestNow.Set(now); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) send(d ebpf.Direction, f frame, in skb) (verdict uint32, out skb) {
	b.Helper()
	verdict, err := b.objects.program(d).Run(&cebpf.RunOptions{Data: f, Context: in, ContextOut: &out})
	if err != nil {
		b.Fatal(err)
	}
	return verdict, out
}

// expect sends f and checks its fate by the counters.
func (b *bench) expect(d ebpf.Direction, f frame, want ebpf.Reason) {
	b.Helper()
	before := b.count(d)
	verdict, _ := b.send(d, f, skb{})
	after := b.count(d)
	if (verdict == drop) != (want != ebpf.ReasonNone) {
		b.Errorf("verdict %d, want reason %s", verdict, want)
	}
	for r := range ebpf.Reason(ebpf.NumReasons) {
		n := after.Dropped[r] - before.Dropped[r]
		if wantN := uint64(0); n != wantN && (r != want || n != 1) {
			b.Errorf("%d dropped for %s, want %s", n, r, want)
		} else if r == want && r != ebpf.ReasonNone && n != 1 {
			b.Errorf("not dropped for %s", r)
		}
	}
	if passed := after.PassedPackets - before.PassedPackets; passed == 1 != (want == ebpf.ReasonNone) {
		b.Errorf("%d passed, want reason %s", passed, want)
	}
}

func (b *bench) count(d ebpf.Direction) ebpf.Count {
	b.Helper()
	c, err := b.Counters(context.Background(), b.at.Sliver)
	if err != nil {
		b.Fatal(err)
	}
	if d == ebpf.Egress {
		return c.Egress
	}
	return c.Ingress
}

// drained returns the one epoch of a drain.
func (b *bench) drained() ebpf.Epoch {
	b.Helper()
	var got []ebpf.Epoch
	err := b.Drain(context.Background(), func(e ebpf.Epoch) error { got = append(got, e); return nil })
	if err != nil || len(got) != 1 {
		b.Fatalf("drain: %d epochs, %v", len(got), err)
	}
	return got[0]
}

func TestRootVerdicts(t *testing.T) {
	const rsvp, udpNo, tcpNo, icmpNo, icmp6No = 46, 17, 6, 1, 58
	node := netip.MustParseAddr("198.51.5.5")
	cfg := Config{
		Opened:    []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")},
		Closed:    []netip.Prefix{netip.PrefixFrom(node, 32)},
		Resolvers: []netip.Addr{netip.MustParseAddr("169.254.53.1")},
	}
	b := newBench(t, cfg, ebpf.Port{}, testLimits())
	to4 := func(dst string) frame { return udp(5000, 6000, 10).ip4(sliver4, netip.MustParseAddr(dst), udpNo).out() }
	to6 := func(dst string) frame { return udp(5000, 6000, 10).ip6(sliver6, netip.MustParseAddr(dst), udpNo).out() }
	nd := func(dst string, hops byte) frame {
		return icmp(135, 0, 0).ip6(sliver6, netip.MustParseAddr(dst), icmp6No).set(7, hops).out()
	}
	deep := func(n int) frame {
		f := udp(1, 2, 3)
		next := byte(udpNo)
		for range n {
			f, next = f.ext(next), 60
		}
		return f.ip6(sliver6, remote6, next).out()
	}
	for _, c := range []struct {
		name string
		f    frame
		d    ebpf.Direction
		want ebpf.Reason
	}{
		{"udp4", to4("198.41.0.4"), ebpf.Egress, ebpf.ReasonNone},
		{"udp6", to6("2606:4700::1"), ebpf.Egress, ebpf.ReasonNone},
		{"tcp4", tcp(1, 2, 2, 0).ip4(sliver4, remote4, tcpNo).out(), ebpf.Egress, ebpf.ReasonNone},
		{"ping4", icmp(8, 0, 77).ip4(sliver4, remote4, icmpNo).out(), ebpf.Egress, ebpf.ReasonNone},
		{"other protocol", frame(make([]byte, 12)).ip4(sliver4, remote4, rsvp).out(), ebpf.Egress, ebpf.ReasonNone},
		{"extension headers", deep(5), ebpf.Egress, ebpf.ReasonNone},
		{"too many of them", deep(6), ebpf.Egress, ebpf.ReasonHeader},

		{"opened", to4("10.77.1.1"), ebpf.Egress, ebpf.ReasonNone},
		{"private", to4("10.78.1.1"), ebpf.Egress, ebpf.ReasonClosed},
		{"metadata", to4("169.254.169.254"), ebpf.Egress, ebpf.ReasonClosed},
		{"loopback", to4("127.0.0.1"), ebpf.Egress, ebpf.ReasonClosed},
		{"multicast", to4("224.0.0.251"), ebpf.Egress, ebpf.ReasonClosed},
		{"broadcast", to4("255.255.255.255"), ebpf.Egress, ebpf.ReasonClosed},
		{"the node", to4("198.51.5.5"), ebpf.Egress, ebpf.ReasonClosed},
		{"unique local", to6("fd00::1"), ebpf.Egress, ebpf.ReasonClosed},
		{"mapped", to6("::ffff:8.8.8.8"), ebpf.Egress, ebpf.ReasonClosed},
		{"nat64 of private", to6("64:ff9b::10.78.1.1"), ebpf.Egress, ebpf.ReasonClosed},
		{"6to4 of metadata", to6("2002:a9fe:a9fe::1"), ebpf.Egress, ebpf.ReasonClosed},
		{"teredo", to6("2001::1"), ebpf.Egress, ebpf.ReasonClosed},
		{"multicast6", to6("ff02::fb"), ebpf.Egress, ebpf.ReasonClosed},
		{"resolver", udp(5000, 53, 10).ip4(sliver4, cfg.Resolvers[0], udpNo).out(), ebpf.Egress, ebpf.ReasonNone},
		{"resolver, not dns", to4("169.254.53.1"), ebpf.Egress, ebpf.ReasonClosed},

		{"spoofed v4", udp(1, 2, 3).ip4(remote4, sliver4, udpNo).out(), ebpf.Egress, ebpf.ReasonSource},
		{"spoofed v6", udp(1, 2, 3).ip6(remote6, sliver6, udpNo).out(), ebpf.Egress, ebpf.ReasonSource},
		{"spoofed mac", udp(1, 2, 3).ip4(sliver4, remote4, udpNo).eth(hostMAC, hostMAC, 0x800), ebpf.Egress, ebpf.ReasonSource},
		{"fragment, first", udp(1, 2, 3).ip4(sliver4, remote4, udpNo).set(6, 0x20).out(), ebpf.Egress, ebpf.ReasonFragment},
		{"fragment, later", udp(1, 2, 3).ip4(sliver4, remote4, udpNo).set(7, 9).out(), ebpf.Egress, ebpf.ReasonFragment},
		{"do not fragment", udp(1, 2, 3).ip4(sliver4, remote4, udpNo).set(6, 0x40).out(), ebpf.Egress, ebpf.ReasonNone},
		{"fragment6", udp(1, 2, 3).ext(udpNo).ip6(sliver6, remote6, 44).out(), ebpf.Egress, ebpf.ReasonFragment},
		{"routing header", udp(1, 2, 3).ext(udpNo).ip6(sliver6, remote6, 43).out(), ebpf.Egress, ebpf.ReasonHeader},
		{"v4 options", frame(make([]byte, 12)).ip4(sliver4, remote4, udpNo).set(0, 0x46).out(), ebpf.Egress, ebpf.ReasonHeader},
		{"version", to4("198.41.0.4").set(14, 0x55), ebpf.Egress, ebpf.ReasonMalformed},
		{"header length", to4("198.41.0.4").set(14, 0x44), ebpf.Egress, ebpf.ReasonMalformed},
		{"total length", to4("198.41.0.4").set(17, 99), ebpf.Egress, ebpf.ReasonMalformed},
		{"payload length", to6("2606:4700::1").set(19, 99), ebpf.Egress, ebpf.ReasonMalformed},
		{"cut tcp", frame(make([]byte, 10)).ip4(sliver4, remote4, tcpNo).out(), ebpf.Egress, ebpf.ReasonMalformed},
		{"not ip", frame(make([]byte, 30)).eth(sliverMAC, hostMAC, 0x88cc), ebpf.Egress, ebpf.ReasonProtocol},

		{"own arp", arp(1, sliverMAC, sliver4, netip.MustParseAddr("10.200.0.1")).eth(sliverMAC, hostMAC, 0x806), ebpf.Egress, ebpf.ReasonNone},
		{"arp for another", arp(2, sliverMAC, remote4, sliver4).eth(sliverMAC, hostMAC, 0x806), ebpf.Egress, ebpf.ReasonSource},
		{"arp of another", arp(2, hostMAC, sliver4, sliver4).eth(sliverMAC, hostMAC, 0x806), ebpf.Egress, ebpf.ReasonSource},
		{"neighbour", nd("fe80::1", 255), ebpf.Egress, ebpf.ReasonNone},
		{"neighbour, group", nd("ff02::1:ff00:1", 255), ebpf.Egress, ebpf.ReasonNone},
		{"neighbour, far", nd("fd00::1", 255), ebpf.Egress, ebpf.ReasonClosed},
		{"neighbour, routed", nd("fe80::1", 64), ebpf.Egress, ebpf.ReasonClosed},

		{"udp4 in", udp(1, 2, 3).ip4(remote4, sliver4, udpNo).in(), ebpf.Ingress, ebpf.ReasonNone},
		{"private in", udp(1, 2, 3).ip4(netip.MustParseAddr("10.78.1.1"), sliver4, udpNo).in(), ebpf.Ingress, ebpf.ReasonNone},
		{"fragment in", udp(1, 2, 3).ip4(remote4, sliver4, udpNo).set(6, 0x20).in(), ebpf.Ingress, ebpf.ReasonNone},
		{"fragment6 in", udp(1, 2, 3).ext(udpNo).ip6(remote6, sliver6, 44).in(), ebpf.Ingress, ebpf.ReasonNone},
		{"arp in", arp(1, hostMAC, netip.MustParseAddr("10.200.0.1"), sliver4).eth(hostMAC, sliverMAC, 0x806), ebpf.Ingress, ebpf.ReasonNone},
		{"malformed in", udp(1, 2, 3).ip4(remote4, sliver4, udpNo).set(0, 0x44).in(), ebpf.Ingress, ebpf.ReasonMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := *b
			b.TB = t
			b.expect(c.d, c.f, c.want)
		})
	}
	e := b.drained()
	if err := e.Identity.Check(); err != nil {
		t.Fatal(err)
	}
	fragments := 0
	for _, f := range e.Flows {
		if f.Proto == ebpf.ProtoFragment {
			fragments++
			if f.Packets != 2 || f.Src.IsValid() {
				t.Errorf("inbound fragments: %s", f)
			}
		}
	}
	if fragments != 1 {
		t.Errorf("%d rows of inbound fragments, want one", fragments)
	}
}

func TestRootClassAndRedirect(t *testing.T) {
	b := newBench(t, Config{}, ebpf.Port{Class: 0x10008, IFB: 9}, testLimits())
	f := udp(1, 2, 3).ip4(sliver4, remote4, 17)
	if v, out := b.send(ebpf.Egress, f.out(), skb{}); v != redirect || out.Priority != 0x1000a {
		t.Errorf("egress: verdict %d, priority %#x", v, out.Priority)
	}
	back := udp(2, 1, 3).ip4(remote4, sliver4, 17)
	if v, out := b.send(ebpf.Ingress, back.in(), skb{}); v != pass || out.Priority != 0x1000a {
		t.Errorf("ingress: verdict %d, priority %#x", v, out.Priority)
	}
	own := arp(1, sliverMAC, sliver4, netip.MustParseAddr("10.200.0.1")).eth(sliverMAC, hostMAC, 0x806)
	if v, _ := b.send(ebpf.Egress, own, skb{}); v != pass {
		t.Errorf("arp: verdict %d, want pass", v)
	}
}

func TestRootDeadline(t *testing.T) {
	l := testLimits()
	l.Deadline = 2e12
	b := newBench(t, Config{}, ebpf.Port{}, l)
	f := udp(1, 2, 3).ip4(sliver4, remote4, 17).out()
	b.tick(2e12 - 1)
	b.expect(ebpf.Egress, f, ebpf.ReasonNone)
	b.tick(2e12)
	b.expect(ebpf.Egress, f, ebpf.ReasonDeadline)
	b.expect(ebpf.Ingress, udp(1, 2, 3).ip4(remote4, sliver4, 17).in(), ebpf.ReasonDeadline)
	l.Deadline = 3e12
	if err := b.Update(t.Context(), "probe", l); err != nil {
		t.Fatal(err)
	}
	b.expect(ebpf.Egress, f, ebpf.ReasonNone)
}

func TestRootNoSliver(t *testing.T) {
	b := newBench(t, Config{}, ebpf.Port{}, testLimits())
	f := udp(1, 2, 3).ip4(sliver4, remote4, 17).out()
	b.expect(ebpf.Egress, f, ebpf.ReasonNone)
	if err := b.Detach(t.Context(), "probe"); err != nil {
		t.Fatal(err)
	}
	if v, _ := b.send(ebpf.Egress, f, skb{}); v != drop {
		t.Fatalf("verdict %d at a port without state", v)
	}
	e := b.drained()
	want := ebpf.Identity{Seen: 2, Recorded: 1, NoSliver: 1}
	if e.Identity != want {
		t.Fatalf("identity %+v, want %+v", e.Identity, want)
	}
	if len(e.Flows) != 1 || e.Flows[0].Sliver != "probe" {
		t.Fatalf("rows of a detached sliver: %v", e.Flows)
	}
}

// The packets that pass in one burst and after given waits are exact.
func TestRootPacketRateIsExact(t *testing.T) {
	l := testLimits()
	l.Egress.Packets, l.Egress.PacketBurst = 2000, 500
	b := newBench(t, Config{}, ebpf.Port{}, l)
	f := udp(1, 2, 3).ip4(sliver4, remote4, 17).out()
	flood := func(n int) uint64 {
		before := b.count(ebpf.Egress)
		if _, err := b.objects.Egress.Run(&cebpf.RunOptions{Data: f, Repeat: uint32(n)}); err != nil {
			t.Fatal(err)
		}
		after := b.count(ebpf.Egress)
		if n := after.Dropped[ebpf.ReasonPackets] - before.Dropped[ebpf.ReasonPackets]; n+after.PassedPackets-before.PassedPackets != after.SeenPackets-before.SeenPackets {
			t.Fatalf("%d dropped of %+v", n, after)
		}
		return after.PassedPackets - before.PassedPackets
	}
	if got := flood(3000); got != 500 {
		t.Errorf("first burst: %d passed, want 500", got)
	}
	b.tick(b.now + 10e6)
	if got := flood(3000); got != 20 {
		t.Errorf("after 10 ms: %d passed, want 20", got)
	}
	b.tick(b.now + 499_999)
	if got := flood(10); got != 0 {
		t.Errorf("1 ns before the next: %d passed", got)
	}
	b.tick(b.now + 1)
	if got := flood(10); got != 1 {
		t.Errorf("then: %d passed, want 1", got)
	}
}

// The burst is what passes at once; then half of what the rate gives is for
// sparse flows, and all of it passes.
func TestRootByteRateIsExact(t *testing.T) {
	l := testLimits()
	l.Ingress.Rate, l.Ingress.Burst = 8e6, 12_000
	b := newBench(t, Config{}, ebpf.Port{}, l)
	f := udp(1, 2, 972).ip4(remote4, sliver4, 17).in() // 1,000 octets of L3
	other := udp(7, 2, 972).ip4(remote4, sliver4, 17).in()
	for range 12 {
		b.expect(ebpf.Ingress, f, ebpf.ReasonNone)
	}
	b.expect(ebpf.Ingress, f, ebpf.ReasonBytes)
	b.tick(b.now + 2e6 - 1)
	b.expect(ebpf.Ingress, f, ebpf.ReasonBytes)
	b.expect(ebpf.Ingress, other, ebpf.ReasonBytes)
	b.tick(b.now + 1)
	b.expect(ebpf.Ingress, f, ebpf.ReasonNone)
	b.expect(ebpf.Ingress, f, ebpf.ReasonBytes)
	b.expect(ebpf.Ingress, other, ebpf.ReasonNone)
	if c := b.count(ebpf.Ingress); c.PassedBytes != 14_000 || c.SeenBytes != 18_000 {
		t.Fatalf("%+v", c)
	}
}

// A GSO packet is what it becomes on the wire.
func TestRootGSOCountsSegments(t *testing.T) {
	b := newBench(t, Config{}, ebpf.Port{}, testLimits())
	f := tcp(1, 2, 0x10, 3000).ip4(sliver4, remote4, 6).out()
	b.send(ebpf.Egress, f, skb{GSOSegs: 10, GSOSize: 300})
	want := ebpf.Count{SeenPackets: 10, SeenBytes: 10*40 + 3000, PassedPackets: 10, PassedBytes: 10*40 + 3000}
	if got := b.count(ebpf.Egress); got != want {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	// A packet socket's header names a size and leaves the count to be found.
	f = udp(1, 2, 3000).ip6(sliver6, remote6, 17).out()
	b.send(ebpf.Egress, f, skb{GSOSize: 1000})
	if got := b.count(ebpf.Egress); got.PassedPackets != 13 || got.PassedBytes != 10*40+3000+3*48+3000 {
		t.Fatalf("3,000 octets in segments of 1,000: %+v, want 3 packets with a header each", got)
	}
	e := b.drained()
	if e.Identity.Seen != 13 || e.Identity.Recorded != 13 {
		t.Fatalf("%+v", e.Identity)
	}
}

func TestRootRowsSayWhatPassed(t *testing.T) {
	b := newBench(t, Config{}, ebpf.Port{Place: 5}, testLimits())
	b.send(ebpf.Egress, tcp(40000, 80, 0x02, 0).ip4(sliver4, remote4, 6).out(), skb{})
	b.tick(b.now + 5e9)
	b.send(ebpf.Egress, tcp(40000, 80, 0x11, 100).ip4(sliver4, remote4, 6).out(), skb{})
	b.send(ebpf.Ingress, icmp(0, 0, 0x1234).ip6(remote6, sliver6, 58).in(), skb{})
	b.send(ebpf.Ingress, icmp(129, 0, 0x1234).ip6(remote6, sliver6, 58).in(), skb{})
	e := b.drained()
	if len(e.Flows) != 3 {
		t.Fatalf("rows %v", e.Flows)
	}
	f := e.Flows[0]
	if f.Sliver != "probe" || f.Place != 5 || f.Direction != ebpf.Egress || f.Proto != 6 || f.Packets != 2 || f.Bytes != 180 ||
		f.TCPFlags != 0x13 || f.Last-f.First != 5e9 ||
		f.Src != netip.AddrPortFrom(sliver4, 40000) || f.Dst != netip.AddrPortFrom(remote4, 80) {
		t.Errorf("row %s flags %#x", f, f.TCPFlags)
	}
	f = e.Flows[2]
	if f.Src != netip.AddrPortFrom(remote6, 129<<8) || f.Dst != netip.AddrPortFrom(sliver6, 0x1234) {
		t.Errorf("echo reply %s", f)
	}
	must(t, b.Drain(t.Context(), func(e ebpf.Epoch) error { return fmt.Errorf("nothing was seen in %+v", e) }))
	b.send(ebpf.Ingress, icmp(129, 0, 0x1234).ip6(remote6, sliver6, 58).in(), skb{})
	if again := b.drained(); len(again.Flows) != 1 || again.Number != e.Number+1 || again.Series != e.Series {
		t.Errorf("the next epoch: %+v", again)
	}
}

// A full table passes packets on and says how many it could not record.
func TestRootFullTableIsCounted(t *testing.T) {
	b := newBench(t, Config{MaxFlows: 8}, ebpf.Port{}, testLimits())
	for port := range uint16(20) {
		b.send(ebpf.Egress, udp(1000+port, 53, 1).ip4(sliver4, remote4, 17).out(), skb{})
	}
	e := b.drained()
	if e.Identity.Seen != 20 || e.Identity.Recorded != 8 || e.Identity.Unrecorded != 12 {
		t.Fatalf("%+v", e.Identity)
	}
}
