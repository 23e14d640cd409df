// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/net/bpf"
)

// takes runs a filter as the kernel does and returns how much of a frame it
// would copy.
func takes(t *testing.T, f Filter, frame []byte) int {
	t.Helper()
	raw, err := f.program(MinSnap)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	code, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatalf("%s: code that is none", f)
	}
	vm, err := bpf.NewVM(code)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	n, err := vm.Run(frame)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	return n
}

// would judges a frame by what an independent decoder says of it.
func (t term) would(frame []byte) bool {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: true})
	outer := p.Layers()[1] // not what is in a tunnel
	var src, dst netip.Addr
	proto := layers.IPProtocol(0)
	var ports []uint16
	fragment := false
	is4, is6 := false, false
	if ip, ok := outer.(*layers.IPv4); ok {
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
		proto, fragment, is4 = ip.Protocol, ip.FragOffset > 0, true
		ports = portsOf(ip.Payload)
	} else if ip, ok := outer.(*layers.IPv6); ok {
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
		proto, is6 = ip.NextHeader, true
		ports = portsOf(ip.Payload)
	}
	got := false
	switch t.kind {
	case "ip":
		got = is4
	case "ip6":
		got = is6
	case "arp":
		got = outer.LayerType() == layers.LayerTypeARP
	case "tcp":
		got = proto == layers.IPProtocolTCP
	case "udp":
		got = proto == layers.IPProtocolUDP
	case "icmp":
		got = is4 && proto == layers.IPProtocolICMPv4
	case "icmp6":
		got = is6 && proto == layers.IPProtocolICMPv6
	case "host", "net":
		got = t.src && t.prefix.Contains(src) || t.dst && t.prefix.Contains(dst)
	case "port":
		got = !fragment && (proto == layers.IPProtocolTCP || proto == layers.IPProtocolUDP || proto == layers.IPProtocolSCTP) &&
			(t.src && ports[0] == t.port || t.dst && ports[1] == t.port)
	}
	return got != t.not
}

func portsOf(b []byte) []uint16 {
	if len(b) < 4 {
		return []uint16{0, 0}
	}
	return []uint16{uint16(b[0])<<8 | uint16(b[1]), uint16(b[2])<<8 | uint16(b[3])}
}

var (
	someV4 = []string{"192.0.2.1", "192.0.2.200", "198.51.100.7", "10.0.0.1"}
	someV6 = []string{"2001:db8::1", "2001:db8:0:1::1", "2001:db9::", "fe80::1"}
	// A port that is also a type and a code of ICMP, and few, so that they meet.
	somePorts = []uint16{53, 80, 443, 2048}
)

func pick[T any](rnd *rand.Rand, list []T) T { return list[rnd.IntN(len(list))] }

func someFrame(t *testing.T, rnd *rand.Rand) []byte {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}
	payload := make([]byte, 8)
	for i := range 4 {
		payload[i] = byte(rnd.Uint32())
	}
	for i, port := range []uint16{pick(rnd, somePorts), pick(rnd, somePorts)} {
		payload[2*i], payload[2*i+1] = byte(port>>8), byte(port)
	}
	proto := pick(rnd, []layers.IPProtocol{layers.IPProtocolTCP, layers.IPProtocolUDP, layers.IPProtocolSCTP,
		layers.IPProtocolICMPv4, layers.IPProtocolICMPv6, layers.IPProtocolGRE})
	var network gopacket.SerializableLayer
	switch rnd.IntN(5) {
	case 0:
		eth.EthernetType = layers.EthernetTypeARP
		network = &layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
			SourceHwAddress: make([]byte, 6), DstHwAddress: make([]byte, 6),
			SourceProtAddress: netip.MustParseAddr(pick(rnd, someV4)).AsSlice(), DstProtAddress: netip.MustParseAddr(pick(rnd, someV4)).AsSlice()}
	case 1, 2:
		eth.EthernetType = layers.EthernetTypeIPv6
		network = &layers.IPv6{Version: 6, NextHeader: proto, SrcIP: netip.MustParseAddr(pick(rnd, someV6)).AsSlice(),
			DstIP: netip.MustParseAddr(pick(rnd, someV6)).AsSlice()}
	default:
		ip := &layers.IPv4{Version: 4, Protocol: proto, SrcIP: netip.MustParseAddr(pick(rnd, someV4)).AsSlice(),
			DstIP: netip.MustParseAddr(pick(rnd, someV4)).AsSlice()}
		if rnd.IntN(3) == 0 {
			ip.FragOffset = uint16(rnd.IntN(2)) * 185
			ip.Flags = layers.IPv4MoreFragments
		}
		if rnd.IntN(3) == 0 {
			ip.Options = []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 0}}
		}
		network = ip
	}
	out := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(out, gopacket.SerializeOptions{FixLengths: true}, eth, network, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func someTerm(rnd *rand.Rand) string {
	side := pick(rnd, []string{"", "src ", "dst "})
	address := pick(rnd, append(someV4, someV6...))
	s := pick(rnd, []string{"tcp", "udp", "icmp", "icmp6", "arp", "ip", "ip6", side + "host " + address,
		side + "host " + address, side + fmt.Sprintf("port %d", pick(rnd, somePorts)), side + fmt.Sprintf("port %d", pick(rnd, somePorts)),
		side + "net " + netip.PrefixFrom(netip.MustParseAddr(address), rnd.IntN(33)).Masked().String(),
		side + "net " + netip.PrefixFrom(netip.MustParseAddr(pick(rnd, someV6)), rnd.IntN(129)).Masked().String()})
	if rnd.IntN(4) == 0 {
		s = "not " + s
	}
	return s
}

func TestFilterTakesWhatItSays(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 0))
	taken := map[string]int{}
	for range 20_000 {
		var terms []string
		for range rnd.IntN(4) {
			terms = append(terms, someTerm(rnd))
		}
		text := strings.Join(terms, " and ")
		f, err := ParseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		frame := someFrame(t, rnd)
		want := true
		for _, term := range f.terms {
			want = want && term.would(frame)
		}
		if got := takes(t, f, frame); (got > 0) != want {
			t.Fatalf("%q takes %d bytes of %x, want %t", text, got, frame, want)
		}
		for _, term := range f.terms {
			if want {
				taken[term.kind]++
			}
		}
	}
	for _, kind := range strings.Fields("tcp udp icmp icmp6 arp ip ip6 host net port") {
		if taken[kind] == 0 {
			t.Errorf("no packet met %s", kind)
		}
	}
}

func TestFiltersThatAreNotUnderstood(t *testing.T) {
	for _, text := range []string{"and", "tcp and", "tcp udp", "host", "host web", "port 65536", "port -1", "src", "src tcp", "not", "not not tcp",
		"tcp or udp", "(tcp)", "host fe80::1%eth0", "net 10.0.0.0", "net ::ffff:10.0.0.0/104", "tcp[13]", strings.Repeat("tcp and ", 17) + "tcp",
		strings.Repeat(" ", maxFilter+1)} {
		if f, err := ParseFilter(text); !errors.Is(err, ErrFilter) {
			t.Errorf("%.40q: %+v, %v", text, f, err)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, text := range []string{"", "host 192.0.2.1 and port 80", "not src net 2001:db8::/33 and tcp", "dst host ::ffff:192.0.2.1"} {
		f.Add(text, []byte("frame"))
	}
	f.Fuzz(func(t *testing.T, text string, frame []byte) {
		filter, err := ParseFilter(text)
		if err != nil {
			if !errors.Is(err, ErrFilter) {
				t.Fatal(err)
			}
			return
		}
		again, err := ParseFilter(filter.String())
		if err != nil || fmt.Sprint(again.terms) != fmt.Sprint(filter.terms) {
			t.Fatalf("%q is read again as %q, %v", text, again, err)
		}
		takes(t, filter, frame)
	})
}
