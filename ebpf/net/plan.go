// SPDX-License-Identifier: Apache-2.0

package net

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
)

// Resolver is the address at which every sliver finds its node's resolver. It
// is also the gateway of its IPv4 route.
var Resolver = netip.MustParseAddr("169.254.53.53")

// gateway6 stands in a sliver's IPv6 route. Nobody answers for it: the
// neighbour entry is static.
var gateway6 = netip.MustParseAddr("fe80::1")

// The benchmark range (RFC 2544) is in nobody's use on a machine that is in
// service, and no sliver may send to it. Slivers of all nodes share one part of
// it, as nothing outside a node's namespace sees it; uplinks are in another.
var (
	sliverPool = netip.MustParsePrefix("198.19.0.0/17")
	uplinkPool = netip.MustParsePrefix("198.19.128.0/17")
)

// uplinks is the number of /31 in uplinkPool.
const uplinks = 1 << 14

// IsUplink reports whether an address is a node's own between its host and its
// namespace: nobody else reaches it.
func IsUplink(a netip.Addr) bool { return uplinkPool.Contains(a) }

const (
	netnsDir  = "/run/netns"
	firstHost = 16 // place 0's address in its pool
	uplinkNS  = "up0"
	ifbName   = "shape"
	insideDev = "eth0"
	hostDev   = "cs" // and the place
	uplinkDev = "cr-"
)

// plan is everything that follows from a node's tag and number of places alone:
// names, addresses, port blocks. A daemon that starts anew finds the same.
type plan struct {
	tag    string
	places int
	uplink netip.Prefix // /31: even end in the host, odd end in the node's namespace
}

func newPlan(tag string, places int) (plan, error) {
	if err := checkTag(tag); err != nil {
		return plan{}, err
	}
	if places == 0 {
		places = DefaultPlaces
	}
	if places < 1 || places > MaxPlaces {
		return plan{}, fmt.Errorf("%d places, want 1 to %d: %w", places, MaxPlaces, ErrConfig)
	}
	return plan{tag: tag, places: places, uplink: uplinkCandidate(tag, 0)}, nil
}

func checkTag(tag string) error {
	ok := len(tag) == 6
	for i := 0; ok && i < len(tag); i++ {
		c := tag[i]
		ok = 'a' <= c && c <= 'z' || '2' <= c && c <= '7'
	}
	if !ok {
		return fmt.Errorf("tag %.20q, want 6 of a-z and 2-7: %w", tag, ErrConfig)
	}
	return nil
}

// uplinkCandidate is the n-th /31 that a tag tries: the first that the host does
// not use already is taken.
func uplinkCandidate(tag string, n int) netip.Prefix {
	h := sha256.Sum256([]byte("croft uplink " + tag))
	slot := (uint32(binary.BigEndian.Uint16(h[:])) + uint32(n)) % uplinks
	base := binary.BigEndian.Uint32(addr4(uplinkPool.Addr())) + slot*2
	return netip.PrefixFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, base))), 31)
}

func addr4(a netip.Addr) []byte { b := a.As4(); return b[:] }

func (p plan) namespace() string            { return "croft-" + p.tag }
func (p plan) table() string                { return "croft-" + p.tag }
func (p plan) uplinkName() string           { return uplinkDev + p.tag }
func (p plan) sliverNS(place int) string    { return p.namespace() + "-" + strconv.Itoa(place) }
func (p plan) hostEnd(place int) string     { return hostDev + strconv.Itoa(place) }
func (p plan) host4() netip.Addr            { return p.uplink.Addr() }
func (p plan) node4() netip.Addr            { return p.uplink.Addr().Next() }
func (p plan) host6() netip.Addr            { return p.ula(0, 1) }
func (p plan) node6() netip.Addr            { return p.ula(0, 2) }
func (p plan) sliver6(place int) netip.Addr { return p.ula(1, firstHost+uint16(place)) }

func (p plan) sliver4(place int) netip.Addr {
	n := binary.BigEndian.Uint32(addr4(sliverPool.Addr())) + firstHost + uint32(place)
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

// placeAt is the place that an IPv4 address belongs to.
func (p plan) placeAt(a netip.Addr) (int, bool) {
	if !a.Is4() || !sliverPool.Contains(a) {
		return 0, false
	}
	place := int(binary.BigEndian.Uint32(addr4(a))-binary.BigEndian.Uint32(addr4(sliverPool.Addr()))) - firstHost
	return place, place >= 0 && place < p.places
}

// ula is an address in the node's own unique local prefix (RFC 4193): 40 bits
// of a hash of the tag.
func (p plan) ula(subnet, host uint16) netip.Addr {
	h := sha256.Sum256([]byte("croft ula " + p.tag))
	a := [16]byte{0: 0xfd}
	copy(a[1:6], h[:])
	binary.BigEndian.PutUint16(a[6:], subnet)
	binary.BigEndian.PutUint16(a[14:], host)
	return netip.AddrFrom16(a)
}

// sourcePorts is the block of a place, first to last.
func (p plan) sourcePorts(place int) [2]uint16 {
	size := (LastSource - FirstSource + 1) / p.places
	first := FirstSource + place*size
	return [2]uint16{uint16(first), uint16(first + size - 1)}
}

// zone is the place's conntrack zone; 0 is the kernel's default and the way back.
func (p plan) zone(place int) int { return place + 1 }

// macInside and macHost are the two ends of a sliver's veth. Locally
// administered; each place has its own, so that a guard can tell them.
func (p plan) macInside(place int) [6]byte {
	return [6]byte{0x02, 0xc7, 0x0f, 0x01, byte(place >> 8), byte(place)}
}

func (p plan) macHost(place int) [6]byte {
	return [6]byte{0x02, 0xc7, 0x0f, 0x02, byte(place >> 8), byte(place)}
}

// macUplink is of the uplink's end 0 (host) or 1 (node's namespace).
func (p plan) macUplink(end byte) [6]byte {
	h := sha256.Sum256([]byte("croft mac " + p.tag))
	return [6]byte{0x02, 0xc7, 0x10 + end, h[0], h[1], h[2]}
}

// placeOf reads the place back from the name of a veth's host end.
func placeOf(link string) (int, bool) {
	digits, ok := strings.CutPrefix(link, hostDev)
	if !ok {
		return 0, false
	}
	place, err := strconv.Atoi(digits)
	return place, err == nil && place >= 0 && strconv.Itoa(place) == digits
}

func netnsPath(name string) string { return filepath.Join(netnsDir, name) }
