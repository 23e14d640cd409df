// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// pair is one entry of a CBOR map by its bytes, so that any mistake can be made.
type pair struct{ key, value []byte }

func cborMap(pairs ...pair) []byte {
	out := []byte{0xa0 | byte(len(pairs))}
	for _, p := range pairs {
		out = append(append(out, p.key...), p.value...)
	}
	return out
}

func bstr(b []byte) []byte {
	switch {
	case len(b) < 24:
		return append([]byte{0x40 | byte(len(b))}, b...)
	case len(b) < 256:
		return append([]byte{0x58, byte(len(b))}, b...)
	}
	return append(binary.BigEndian.AppendUint16([]byte{0x59}, uint16(len(b))), b...)
}

// enclose signs a payload with alice's key, whatever it is, and frames it.
func enclose(domain string, payload []byte) []byte {
	sig := leasetest.Key("alice").Sign(append([]byte(domain), payload...))
	return append(append([]byte{0x82}, bstr(payload)...), bstr(sig)...)
}

// askPairs are the fields of a sound ask by alice, from which hostile ones differ.
func askPairs() []pair {
	alice, n1 := leasetest.Who("alice"), leasetest.Who("n1")
	at := func(sec int64) []byte {
		return binary.BigEndian.AppendUint32([]byte{0x1a}, uint32(leasetest.Epoch+sec))
	}
	return []pair{
		{[]byte{0}, []byte{4}}, {[]byte{1}, bstr(alice[:])}, {[]byte{2}, bstr(n1[:])},
		{[]byte{3}, []byte{0xa1, 0x00, 0x18, 0x64}}, // cpu=100
		{[]byte{4}, at(0)}, {[]byte{5}, at(3600)},
		{[]byte{11}, []byte("\x61s")}, {[]byte{12}, append([]byte{0x50}, make([]byte, 16)...)},
		{[]byte{15}, []byte("\x67commons")},
	}
}

const iRSet, iFrom, iUntil, iSlice, iPool = 3, 4, 5, 6, 8

func hostileVectors(t testing.TB) (list []vector) {
	raw := func(name, expect, note string, b []byte) {
		v := vector{Name: name, Note: note, Expect: expect, Open: hex.EncodeToString(b)}
		if o, err := lease.Open(b); err == nil && expect == "ok" {
			v.ID = o.ID.String()
		}
		list = append(list, v)
	}
	// ask changes the pairs of a sound ask.
	ask := func(name, expect, note string, change func([]pair) []pair) {
		raw(name, expect, note, enclose(lease.Domain, cborMap(change(askPairs())...)))
	}
	set := func(i int, value ...byte) func([]pair) []pair {
		return func(p []pair) []pair { p[i].value = value; return p }
	}
	payload := cborMap(askPairs()...)
	sound := enclose(lease.Domain, payload)
	raw("sound", "ok", "the ask that the others are made from", sound)

	raw("empty", "syntax", "no bytes", nil)
	raw("text", "syntax", "not CBOR", []byte("hello, node"))
	raw("truncated", "syntax", "the last byte is missing", sound[:len(sound)-1])
	raw("trailing", "syntax", "a byte after the frame", append(slices.Clone(sound), 0))
	raw("frame-of-one", "syntax", "no signature", append([]byte{0x81}, bstr(payload)...))
	raw("frame-of-three", "syntax", "something third", append(append([]byte{0x83}, sound[1:]...), 0))
	raw("frame-map", "syntax", "a map where the frame belongs", append([]byte{0xa1}, sound[1:]...))
	raw("frame-indefinite", "syntax", "a frame of indefinite length", append(append([]byte{0x9f}, sound[1:]...), 0xff))
	raw("frame-long-length", "not-canonical", "a length of 8 bytes where 1 does", slices.Concat([]byte{0x82, 0x5b, 0, 0, 0, 0, 0, 0, 0, byte(len(payload))}, payload, bstr(make([]byte, 64))))
	raw("frame-huge-length", "syntax", "a length of 2^63", append([]byte{0x82, 0x5b, 0x80}, make([]byte, 100)...))
	raw("signature-short", "syntax", "a signature of 63 bytes", append(append([]byte{0x82}, bstr(payload)...), bstr(make([]byte, 63))...))
	raw("signature-zero", "signature", "a signature of zeros", append(append([]byte{0x82}, bstr(payload)...), bstr(make([]byte, 64))...))
	raw("signature-flipped", "signature", "one bit of the signature is flipped", append(sound[:len(sound)-1:len(sound)-1], sound[len(sound)-1]^1))
	raw("payload-flipped", "signature", "one bit of the slice's name is flipped", bytes.Replace(sound, []byte("\x61s"), []byte("\x61r"), 1))
	raw("domain-offer", "signature", "signed as an offer", enclose("croft/offer/1\n", payload))
	raw("domain-none", "signature", "signed without a domain", enclose("", payload))
	raw("oversize", "too-big", "1025 bytes", make([]byte, lease.MaxStatement+1))

	raw("payload-empty", "syntax", "nothing is signed", enclose(lease.Domain, nil))
	raw("payload-array", "syntax", "an array where a map belongs", enclose(lease.Domain, []byte{0x81, 0}))
	raw("payload-trailing", "syntax", "a byte after the map", enclose(lease.Domain, append(slices.Clone(payload), 0)))
	raw("payload-indefinite", "syntax", "a map of indefinite length", enclose(lease.Domain, append(append([]byte{0xbf}, payload[1:]...), 0xff)))
	raw("payload-tagged", "syntax", "a tag before the map", enclose(lease.Domain, append([]byte{0xc1}, payload...)))
	raw("payload-nested", "syntax", "a hundred arrays within each other", enclose(lease.Domain, bytes.Repeat([]byte{0x81}, 100)))

	ask("kind-unknown", "kind", "kind 23", set(0, 23))
	ask("kind-zero", "kind", "kind 0", set(0, 0))
	ask("kind-two-bytes", "not-canonical", "kind 4 in two bytes", set(0, 0x18, 4))
	ask("kind-other", "syntax", "an ask that says it is a close", set(0, 7))
	ask("key-two-bytes", "not-canonical", "key 3 in two bytes", func(p []pair) []pair { p[iRSet].key = []byte{0x18, 3}; return p })
	ask("key-twice", "syntax", "the slice twice", func(p []pair) []pair { return slices.Insert(p, iSlice, p[iSlice]) })
	ask("key-unknown", "syntax", "a field 99", func(p []pair) []pair { return append(p, pair{[]byte{0x18, 99}, []byte{0}}) })
	ask("key-text", "syntax", "a field named x", func(p []pair) []pair { return append(p, pair{[]byte("\x61x"), []byte{0}}) })
	ask("keys-unsorted", "not-canonical", "pool before request", func(p []pair) []pair { p[7], p[8] = p[8], p[7]; return p })
	ask("kind-last", "not-canonical", "the kind at the end", func(p []pair) []pair { return append(p[1:], p[0]) })
	ask("field-missing", "not-canonical", "no request", func(p []pair) []pair { return slices.Delete(p, 7, 8) })
	ask("integer-long", "not-canonical", "from in eight bytes", func(p []pair) []pair {
		p[iFrom].value = append([]byte{0x1b, 0, 0, 0, 0}, p[iFrom].value[1:]...)
		return p
	})
	ask("integer-float", "syntax", "from as a float", set(iFrom, 0xfb, 0x41, 0xda, 0xcd, 0, 0, 0, 0, 0))
	ask("integer-negative", "field", "from is -1", set(iFrom, 0x20))
	ask("integer-null", "not-canonical", "from is null", set(iFrom, 0xf6))
	ask("string-indefinite", "syntax", "the slice's name in chunks", set(iSlice, 0x7f, 0x61, 's', 0xff))
	ask("string-invalid", "syntax", "a name that is not UTF-8", set(iSlice, 0x61, 0xff))
	ask("principal-short", "not-canonical", "a node of 31 bytes", func(p []pair) []pair { p[2].value = bstr(p[2].value[2:33]); return p })
	ask("principal-array", "not-canonical", "a node as an array of 32 integers", set(2, append([]byte{0x98, 32}, make([]byte, 32)...)...))
	ask("empty-value", "not-canonical", "no ports, but written", func(p []pair) []pair { return slices.Insert(p, iPool, pair{[]byte{14}, []byte{0x80}}) })

	ask("rset-empty", "field", "nothing of everything", set(iRSet, 0xa0))
	ask("rset-zero", "not-canonical", "cpu=0 is written", set(iRSet, 0xa1, 0, 0))
	ask("rset-unknown", "unknown-resource", "resource 14", set(iRSet, 0xa1, 14, 1))
	ask("rset-unknown-large", "unknown-resource", "resource 300", set(iRSet, 0xa1, 0x19, 1, 44, 1))
	ask("rset-twice", "not-canonical", "cpu twice", set(iRSet, 0xa2, 0, 1, 0, 1))
	ask("rset-unsorted", "not-canonical", "memory before cpu", set(iRSet, 0xa2, 1, 1, 0, 1))
	ask("rset-long", "not-canonical", "cpu=1 in two bytes", set(iRSet, 0xa1, 0, 0x18, 1))
	ask("rset-too-much", "field", "2^61 bytes of memory", set(iRSet, 0xa1, 1, 0x1b, 0x20, 0, 0, 0, 0, 0, 0, 0))
	ask("rset-array", "syntax", "an array where the rset belongs", set(iRSet, 0x81, 1))
	ask("rset-negative", "syntax", "cpu=-1", set(iRSet, 0xa1, 0, 0x20))

	ask("term-empty", "field", "ends where it begins", func(p []pair) []pair { p[iUntil].value = p[iFrom].value; return p })
	ask("term-backwards", "field", "ends before it begins", func(p []pair) []pair {
		p[iFrom].value, p[iUntil].value = p[iUntil].value, p[iFrom].value
		return p
	})
	ask("term-too-long", "field", "far beyond 400 days", set(iUntil, 0x1a, 0xff, 0xff, 0xff, 0xff))
	ask("term-overflow", "field", "until 2^63-1", set(iUntil, 0x1b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
	ask("term-beyond", "syntax", "until 2^64-1", set(iUntil, 0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
	ask("slice-empty", "field", "no label", set(iSlice, 0x60))
	ask("slice-upper", "field", "a capital letter", set(iSlice, 0x61, 'S'))
	ask("slice-dots", "field", "a path", set(iSlice, []byte("\x65../..")...))
	ask("slice-long", "field", "64 characters", set(iSlice, append([]byte{0x78, 64}, strings.Repeat("a", 64)...)...))
	ask("pool-escape", "field", "a terminal's escape sequence", set(iPool, []byte("\x64\x1b[2J")...))
	ask("ports-without-resource", "field", "a port, but no ports.in", func(p []pair) []pair {
		return slices.Insert(p, iPool, pair{[]byte{14}, []byte{0x81, 0x83, 6, 0, 0x18, 80}})
	})

	drawn := func(name, expect, note, drawing string) {
		raw(name, expect, note, leasetest.Draw(t, drawing).Last().Signed.Bytes())
	}
	drawn("slot-64", "field", "slots end at 63", "cap(n1 cpu=4) -> t64(alice)")
	drawn("redeem-slot-64", "field", "slots end at 63", "cap(n1 cpu=4) -> t0(alice) -> r64()")
	drawn("degree-99", "field", "nobody undersells", "cap(n1 cpu=4 @99)")
	drawn("degree-0", "field", "no degree", "cap(n1 cpu=4) -> t0(alice @0)")
	drawn("degree-10001", "field", "a degree above the bound", "cap(n1 cpu=4 @10001)")
	drawn("tranche-16", "field", "tranches end at 15", "cap(n1 cpu=4 tranche=16)")
	drawn("no-parent", "field", "a ticket under nothing", "cap(n1 cpu=4) -> t0(alice parent=none)")
	drawn("term-401-days", "field", "a day longer than any term", "cap(n1 cpu=4 0h..9624h)")
	open := *leasetest.Draw(t, "ask(alice n1 ports.in=1) -> lease(port=tcp/80:80)").Last().Statement.(*lease.Lease)
	open.Ports = []lease.Port{{Proto: lease.TCP, Inside: 80}}
	raw("lease-port-open", "field", "a lease names exact numbers", sealed(t, "n1", &open))
	drawn("port-twice", "field", "one port for two", "ask(alice n1 ports.in=2 port=tcp/80:80 port=tcp/80:81)")
	drawn("forged", "signature", "a ticket that its holder signed", "cap(n1 cpu=4) -> t0(alice sig=alice)")
	raw("reject-escape", "field", "a text that would clear the reader's screen", sealed(t, "n1", &lease.Reject{K: lease.KindReject,
		Node: leasetest.Who("n1"), Parent: lease.ID{1}, At: leasetest.Epoch, Text: "\x1b[2J", Sort: lease.Local}))
	raw("reject-sort-9", "field", "a sort that is none", sealed(t, "n1", &lease.Reject{K: lease.KindReject,
		Node: leasetest.Who("n1"), Parent: lease.ID{1}, At: leasetest.Epoch, Sort: 9}))
	raw("close-long-text", "field", "a reason of 201 bytes", sealed(t, "alice", &lease.Close{K: lease.KindClose, Issuer: leasetest.Who("alice"),
		Node: leasetest.Who("n1"), Claim: lease.ID{1}, At: leasetest.Epoch, Reason: strings.Repeat("x", lease.MaxText+1)}))
	list = append(list, weakKey(t))
	return list
}

func sealed(t testing.TB, by string, st lease.Statement) []byte {
	s, err := lease.SealAs(lease.Domain, st, leasetest.Key(by))
	if err != nil {
		t.Fatal(err)
	}
	return s.Bytes()
}

// weakKey is an ask by the neutral element: R the neutral element and S zero are
// its signature of any message, as crypto/ed25519 confirms.
func weakKey(t testing.TB) vector {
	neutral := lease.Principal{1}
	n1 := leasetest.Who("n1")
	pairs := askPairs()
	pairs[1].value, pairs[2].value = bstr(neutral[:]), bstr(n1[:])
	s := lease.Signed{Payload: cborMap(pairs...), Sig: append([]byte{1}, make([]byte, 63)...)}
	if err := s.VerifyAs(lease.Domain, neutral); err != nil {
		t.Fatalf("the weak key's signature must verify, for the vector to show anything: %v", err)
	}
	return vector{Name: "weak-key", Note: "an issuer for whom anybody can sign", Expect: "field", Open: hex.EncodeToString(s.Bytes())}
}
