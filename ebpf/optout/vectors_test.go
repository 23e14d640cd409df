// SPDX-License-Identifier: Apache-2.0

package optout_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"croft/ebpf/optout"
	"croft/lease"
	"croft/lease/leasetest"
)

// A vector is bytes that travel, in hex, and what a verifier must say of them.
type vector struct {
	Name        string `json:"name"`
	Note        string `json:"note"`
	Expect      string `json:"expect"`         // "ok" or a word of docs/protocol/optout.md
	Rule        string `json:"rule,omitempty"` // of that page: what is broken
	Attestation string `json:"attestation,omitempty"`
	Entry       string `json:"entry,omitempty"`
	Presence    string `json:"presence,omitempty"` // nonce, size of the address, address, answer
	Rank        string `json:"rank,omitempty"`     // instant, size of addresses, address, those of nodes
	Shows       string `json:"shows,omitempty"`    // where the verdict is ok
}

// judge says what the bytes show.
func (v vector) judge() (string, error) {
	b, err := hex.DecodeString(v.Attestation + v.Entry + v.Presence + v.Rank)
	if err != nil {
		return "", err
	}
	switch {
	case v.Attestation != "":
		a, err := optout.Open(b)
		return "attestation " + a.String(), err
	case v.Entry != "":
		e, err := optout.OpenEntry(b)
		return fmt.Sprintf("entry id=%x addr=%s from=%d until=%d", e.ID[:], e.Addr, e.From, e.Until), err
	case v.Presence != "":
		addr, _ := netip.AddrFromSlice(b[17 : 17+b[16]])
		node, err := optout.OpenPresence(base64.RawURLEncoding.EncodeToString(b[17+b[16]:]), addr, [16]byte(b))
		return fmt.Sprintf("presence node=%s addr=%s", node, addr), err
	}
	at, size := int64(binary.BigEndian.Uint64(b)), int(b[8])
	var addrs []netip.Addr
	for packed := range slices.Chunk(b[9:], size) {
		a, _ := netip.AddrFromSlice(packed)
		addrs = append(addrs, a)
	}
	var nodes []optout.Node
	for i, a := range addrs[1:] {
		nodes = append(nodes, optout.Node{Principal: leasetest.Who(fmt.Sprint("n", i)), Site: leasetest.Who("s"), Port: 1, Addrs: []netip.Addr{a}})
	}
	out := "rank"
	for _, n := range optout.Chosen(nodes, addrs[0], at) {
		if network := " " + n.Network(addrs[0]).String(); !strings.HasSuffix(out, network) { // two nodes of one network stand together
			out += network
		}
	}
	return out, nil
}

var rewrite = flag.Bool("rewrite", false, "write testdata/vectors anew")

func TestVectors(t *testing.T) {
	for _, v := range leasetest.Vectors(t, "testdata/vectors/optout.json", *rewrite, vectors(t)) {
		shown, err := v.judge()
		verdict := leasetest.Word(err)
		if verdict != v.Expect || err == nil && shown != v.Shows {
			t.Errorf("%s (%s): got %s %s (%v), want %s %s", v.Name, v.Note, verdict, shown, err, v.Expect, v.Shows)
		}
	}
}

// attestation and presence are signed as they stand, whatever is in them.
type attestation struct {
	Node  []byte `cbor:"1,keyasint"`
	Addr  []byte `cbor:"2,keyasint"`
	From  int64  `cbor:"3,keyasint"`
	Until int64  `cbor:"4,keyasint"`
	Nonce []byte `cbor:"5,keyasint"`
}

type presence struct {
	Node  []byte `cbor:"1,keyasint"`
	Addr  []byte `cbor:"2,keyasint"`
	Nonce []byte `cbor:"3,keyasint"`
}

func seal(t testing.TB, domain string, v any, name string) []byte {
	t.Helper()
	s, err := lease.SealAs(domain, v, leasetest.Key(name))
	if err != nil {
		t.Fatal(err)
	}
	return s.Bytes()
}

func vectors(t testing.TB) (list []vector) {
	const from, hour = 1_800_000_000, 3600
	four, six := target.AsSlice(), netip.MustParseAddr("2001:db8::9").AsSlice()
	nonce := bytes.Repeat([]byte{7}, 16)
	add := func(v vector) {
		if v.Expect == "ok" {
			var err error
			if v.Shows, err = v.judge(); err != nil {
				t.Fatalf("%s: %v", v.Name, err)
			}
		}
		list = append(list, v)
	}
	one := func(name, expect, rule, note string, b []byte) {
		add(vector{Name: "attestation-" + name, Note: note, Expect: expect, Rule: rule, Attestation: hex.EncodeToString(b)})
	}
	made := func(name string, change func(*attestation)) []byte {
		who := leasetest.Who(name)
		a := attestation{who[:], four, from, from + hour, nonce}
		if change != nil {
			change(&a)
		}
		return seal(t, optout.Domain, a, name)
	}
	signed := func(name, expect, rule, note string, change func(*attestation)) {
		one(name, expect, rule, note, made("a1", change))
	}
	addr := func(b ...byte) func(*attestation) { return func(a *attestation) { a.Addr = append([]byte{}, b...) } }
	mapped := netip.MustParseAddr("::ffff:203.0.113.9").As16()

	good := made("a1", nil)
	one("good", "ok", "", "an IPv4 address for an hour", good)
	signed("six", "ok", "", "an IPv6 address", addr(six...))
	signed("week", "ok", "", "the longest term", func(a *attestation) { a.Until = from + optout.MaxTerm })
	one("cut", "malformed", "O1", "a byte is missing", good[:len(good)-1])
	one("after", "malformed", "O1", "a byte after it", append(slices.Clone(good), 0))
	one("loose", "not-canonical", "O1", "the pair's head takes two bytes", append([]byte{0x98, 2}, good[1:]...))
	one("long", "too-big", "O1", "193 bytes", make([]byte, optout.MaxAttestation+1))
	one("text", "malformed", "O1", "a payload that is no map", seal(t, optout.Domain, "me", "a1"))
	one("forged", "signature", "O4", "a bit of the signature is another", append(slices.Clone(good[:len(good)-1]), good[len(good)-1]^1))
	other := leasetest.Who("b1")
	signed("another", "signature", "O4", "signed by another node", func(a *attestation) { a.Node = other[:] })
	self := leasetest.Who("a1")
	one("domain", "signature", "O4", "signed as a presence", seal(t, optout.PresenceDomain, attestation{self[:], four, from, from + hour, nonce}, "a1"))
	signed("nobody", "field", "O2", "the node is zero", func(a *attestation) { a.Node = make([]byte, 32) })
	signed("short-node", "not-canonical", "O1", "a node of 31 bytes", func(a *attestation) { a.Node = a.Node[:31] })
	signed("short-nonce", "not-canonical", "O1", "a nonce of 15 bytes", func(a *attestation) { a.Nonce = nonce[:15] })
	signed("five-bytes", "malformed", "O3", "an address of five bytes", addr(1, 2, 3, 4, 5))
	signed("no-address", "field", "O3", "an address of no bytes", addr())
	signed("zone", "field", "O3", "an address with a zone", addr(append(slices.Clone(six), 'e')...))
	signed("multicast", "field", "O3", "224.0.0.1", addr(224, 0, 0, 1))
	signed("broadcast", "field", "O3", "255.255.255.255", addr(255, 255, 255, 255))
	signed("loopback", "field", "O3", "127.0.0.1", addr(127, 0, 0, 1))
	signed("link-local", "field", "O3", "fe80::1", addr(netip.MustParseAddr("fe80::1").AsSlice()...))
	signed("unspecified", "field", "O3", "::", addr(make([]byte, 16)...))
	signed("mapped", "field", "O3", "an IPv4 address in IPv6 form", addr(mapped[:]...))
	signed("beginning", "field", "O3", "from the year 1970", func(a *attestation) { a.From = 0 })
	signed("no-term", "field", "O3", "until when it begins", func(a *attestation) { a.Until = a.From })
	signed("too-long", "field", "O3", "a second more than a week", func(a *attestation) { a.Until = a.From + optout.MaxTerm + 1 })

	names := []string{"a1", "b1", "c1"}
	slices.SortFunc(names, func(x, y string) int {
		a, b := leasetest.Who(x), leasetest.Who(y)
		return bytes.Compare(a[:], b[:])
	})
	joined := func(parts ...[]byte) []byte {
		b, err := lease.Encode(struct {
			By [][]byte `cbor:"1,keyasint"`
		}{append([][]byte{}, parts...)})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	three := func(change func(i int, a *attestation)) []byte {
		var parts [][]byte
		for i, name := range names {
			parts = append(parts, made(name, func(a *attestation) {
				if change != nil {
					change(i, a)
				}
			}))
		}
		return joined(parts...)
	}
	entry := func(name, expect, rule, note string, b []byte) {
		add(vector{Name: "entry-" + name, Note: note, Expect: expect, Rule: rule, Entry: hex.EncodeToString(b)})
	}
	whole := three(nil)
	x, y, z := made(names[0], nil), made(names[1], nil), made(names[2], nil)
	entry("good", "ok", "", "three nodes at one instant", whole)
	entry("spread", "ok", "", "as far apart as may be; it holds from the latest", three(func(i int, a *attestation) { a.From += int64(i) * hour / 2; a.Until += hour + int64(i) }))
	entry("six", "ok", "", "an IPv6 address", three(func(_ int, a *attestation) { a.Addr = six }))
	entry("cut", "malformed", "O5", "a byte is missing", whole[:len(whole)-1])
	entry("loose", "not-canonical", "O5", "the map's head takes two bytes", append([]byte{0xb8, 1}, whole[1:]...))
	entry("long", "too-big", "O5", "591 bytes", make([]byte, optout.MaxEntry+1))
	entry("two", "field", "O6", "two attestations", joined(x, y))
	entry("four", "field", "O6", "four attestations, of small ones", joined(x, y, z, []byte{}))
	entry("none", "field", "O6", "an empty list", joined())
	entry("order", "field", "O7", "not ascending", joined(y, x, z))
	entry("twice", "field", "O7", "one node twice", joined(x, x, z))
	entry("addresses", "field", "O7", "for two addresses", three(func(i int, a *attestation) { a.Addr = []byte{203, 0, 113, byte(9 + i/2)} }))
	entry("apart", "field", "O7", "a second more than an hour apart", three(func(i int, a *attestation) {
		a.From += int64(i) * (hour + 2) / 2
		a.Until += 2 * hour
	}))
	entry("over", "field", "O7", "one ends when another begins", three(func(i int, a *attestation) {
		if i == 0 {
			a.Until = from + 60
		} else {
			a.From += 60
		}
	}))
	entry("forged", "signature", "O4", "one signature is not the node's", joined(x, append(slices.Clone(y[:len(y)-1]), y[len(y)-1]^1), z))
	entry("within", "not-canonical", "O1", "one of them is not in the one form", joined(x, append([]byte{0x98, 2}, y[1:]...), z))

	asked := func(name, expect, rule, note string, b []byte) {
		q := append(append(slices.Clone(nonce), byte(len(four))), four...)
		add(vector{Name: "presence-" + name, Note: note, Expect: expect, Rule: rule, Presence: hex.EncodeToString(append(q, b...))})
	}
	who := leasetest.Who("a1")
	here := presence{who[:], four, nonce}
	answer := seal(t, optout.PresenceDomain, here, "a1")
	asked("good", "ok", "", "a node is where it was asked", answer)
	asked("elsewhere", "field", "O3", "an answer for another address", seal(t, optout.PresenceDomain, presence{who[:], []byte{203, 0, 113, 10}, nonce}, "a1"))
	asked("old", "field", "O3", "an answer to another question", seal(t, optout.PresenceDomain, presence{who[:], four, make([]byte, 16)}, "a1"))
	asked("forged", "signature", "O4", "signed by another node", seal(t, optout.PresenceDomain, here, "b1"))
	asked("attested", "signature", "O4", "signed as an attestation", seal(t, optout.Domain, here, "a1"))
	asked("nobody", "field", "O2", "the node is zero", seal(t, optout.PresenceDomain, presence{make([]byte, 32), four, nonce}, "a1"))
	asked("cut", "malformed", "O1", "a byte is missing", answer[:len(answer)-1])
	asked("long", "too-big", "O1", "257 bytes", make([]byte, optout.MaxPresence+1))

	rank := func(name, note string, at time.Time, addrs ...string) {
		b := binary.BigEndian.AppendUint64(nil, uint64(at.Unix()))
		for i, s := range addrs {
			packed := netip.MustParseAddr(s).AsSlice()
			if i == 0 {
				b = append(b, byte(len(packed)))
			}
			b = append(b, packed...)
		}
		add(vector{Name: "rank-" + name, Note: note, Expect: "ok", Rank: hex.EncodeToString(b)})
	}
	nodes4, nodes6 := []string{target.String()}, []string{"2001:db8::9"}
	for i := range 20 {
		nodes4 = append(nodes4, fmt.Sprintf("192.0.%d.%d", i, i+1))
		nodes6 = append(nodes6, fmt.Sprintf("2001:db8:%x:100::1", i))
	}
	rank("few", "fewer networks than eight, two nodes in one", noon, target.String(), "192.0.2.1", "192.0.2.2", "198.51.100.1")
	rank("four", "eight of twenty networks", noon, nodes4...)
	rank("midnight", "another day, another eight", noon.Add(12*time.Hour), nodes4...)
	rank("evening", "the last second of the day", noon.Add(12*time.Hour-time.Second), nodes4...)
	rank("six", "eight of twenty /56", noon, nodes6...)
	return list
}

// A verifier in another language, written from docs/protocol/optout.md alone, agrees
// with every vector.
func TestSecondImplementation(t *testing.T) { leasetest.Agrees(t, "../..") }
