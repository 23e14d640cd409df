// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
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
	// expect is the verdict and the rules that may be named as broken.
	raw := func(name, expect, note string, b []byte) {
		expect, rule, _ := strings.Cut(expect, " ")
		v := vector{Name: name, Note: note, Expect: expect, Rule: rule, Open: hex.EncodeToString(b)}
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

	raw("empty", "syntax S1 S2", "no bytes", nil)
	raw("text", "syntax S1 S2", "not CBOR", []byte("hello, node"))
	raw("truncated", "syntax S1 S2", "the last byte is missing", sound[:len(sound)-1])
	raw("trailing", "syntax S1 S2", "a byte after the frame", append(slices.Clone(sound), 0))
	raw("frame-of-one", "syntax S1", "no signature", append([]byte{0x81}, bstr(payload)...))
	raw("frame-of-three", "syntax S1", "something third", append(append([]byte{0x83}, sound[1:]...), 0))
	raw("frame-map", "syntax S1", "a map where the frame belongs", append([]byte{0xa1}, sound[1:]...))
	raw("frame-indefinite", "syntax S1 S2", "a frame of indefinite length", append(append([]byte{0x9f}, sound[1:]...), 0xff))
	raw("frame-long-length", "not-canonical S2", "a length of 8 bytes where 1 does", slices.Concat([]byte{0x82, 0x5b, 0, 0, 0, 0, 0, 0, 0, byte(len(payload))}, payload, bstr(make([]byte, 64))))
	raw("frame-huge-length", "syntax S1 S2", "a length of 2^63", append([]byte{0x82, 0x5b, 0x80}, make([]byte, 100)...))
	raw("signature-short", "syntax S1", "a signature of 63 bytes", append(append([]byte{0x82}, bstr(payload)...), bstr(make([]byte, 63))...))
	raw("signature-zero", "signature S11", "a signature of zeros", append(append([]byte{0x82}, bstr(payload)...), bstr(make([]byte, 64))...))
	raw("signature-flipped", "signature S11", "one bit of the signature is flipped", append(sound[:len(sound)-1:len(sound)-1], sound[len(sound)-1]^1))
	raw("payload-flipped", "signature S11", "one bit of the slice's name is flipped", bytes.Replace(sound, []byte("\x61s"), []byte("\x61r"), 1))
	raw("domain-offer", "signature S11", "signed as an offer", enclose("croft/offer/1\n", payload))
	raw("domain-none", "signature S11", "signed without a domain", enclose("", payload))
	raw("oversize", "too-big S4", "1025 bytes", make([]byte, lease.MaxStatement+1))

	raw("payload-empty", "syntax S2 S3", "nothing is signed", enclose(lease.Domain, nil))
	raw("payload-array", "syntax S3", "an array where a map belongs", enclose(lease.Domain, []byte{0x81, 0}))
	raw("payload-trailing", "syntax S2", "a byte after the map", enclose(lease.Domain, append(slices.Clone(payload), 0)))
	raw("payload-indefinite", "syntax S2", "a map of indefinite length", enclose(lease.Domain, append(append([]byte{0xbf}, payload[1:]...), 0xff)))
	raw("payload-tagged", "syntax S2 S3", "a tag before the map", enclose(lease.Domain, append([]byte{0xc1}, payload...)))
	raw("payload-nested", "syntax S2 S3", "a hundred arrays within each other", enclose(lease.Domain, bytes.Repeat([]byte{0x81}, 100)))

	ask("kind-unknown", "kind S3", "kind 23", set(0, 23))
	ask("kind-zero", "kind S3", "kind 0", set(0, 0))
	ask("kind-two-bytes", "not-canonical S2", "kind 4 in two bytes", set(0, 0x18, 4))
	ask("kind-other", "syntax S3", "an ask that says it is a close", set(0, 7))
	ask("key-two-bytes", "not-canonical S2", "key 3 in two bytes", func(p []pair) []pair { p[iRSet].key = []byte{0x18, 3}; return p })
	ask("key-twice", "syntax S2", "the slice twice", func(p []pair) []pair { return slices.Insert(p, iSlice, p[iSlice]) })
	ask("key-unknown", "syntax S3", "a field 99", func(p []pair) []pair { return append(p, pair{[]byte{0x18, 99}, []byte{0}}) })
	ask("key-text", "syntax S3", "a field named x", func(p []pair) []pair { return append(p, pair{[]byte("\x61x"), []byte{0}}) })
	ask("keys-unsorted", "not-canonical S2", "pool before request", func(p []pair) []pair { p[7], p[8] = p[8], p[7]; return p })
	ask("kind-last", "not-canonical S2", "the kind at the end", func(p []pair) []pair { return append(p[1:], p[0]) })
	ask("field-missing", "not-canonical S3", "no request", func(p []pair) []pair { return slices.Delete(p, 7, 8) })
	ask("integer-long", "not-canonical S2", "from in eight bytes", func(p []pair) []pair {
		p[iFrom].value = append([]byte{0x1b, 0, 0, 0, 0}, p[iFrom].value[1:]...)
		return p
	})
	ask("integer-float", "syntax S2 S3", "from as a float", set(iFrom, 0xfb, 0x41, 0xda, 0xcd, 0, 0, 0, 0, 0))
	ask("integer-negative", "field S6", "from is -1", set(iFrom, 0x20))
	ask("integer-null", "not-canonical S2 S3", "from is null", set(iFrom, 0xf6))
	ask("string-indefinite", "syntax S2", "the slice's name in chunks", set(iSlice, 0x7f, 0x61, 's', 0xff))
	ask("string-invalid", "syntax S2 S3", "a name that is not UTF-8", set(iSlice, 0x61, 0xff))
	ask("principal-short", "not-canonical S3", "a node of 31 bytes", func(p []pair) []pair { p[2].value = bstr(p[2].value[2:33]); return p })
	ask("principal-array", "not-canonical S3", "a node as an array of 32 integers", set(2, append([]byte{0x98, 32}, make([]byte, 32)...)...))
	ask("empty-value", "not-canonical S2", "no ports, but written", func(p []pair) []pair { return slices.Insert(p, iPool, pair{[]byte{14}, []byte{0x80}}) })

	ask("rset-empty", "field S7", "nothing of everything", set(iRSet, 0xa0))
	ask("rset-zero", "not-canonical S2 S7", "cpu=0 is written", set(iRSet, 0xa1, 0, 0))
	ask("rset-unknown", "unknown-resource S7", "resource 14", set(iRSet, 0xa1, 14, 1))
	ask("rset-unknown-large", "unknown-resource S7", "resource 300", set(iRSet, 0xa1, 0x19, 1, 44, 1))
	ask("rset-twice", "not-canonical S2", "cpu twice", set(iRSet, 0xa2, 0, 1, 0, 1))
	ask("rset-unsorted", "not-canonical S2", "memory before cpu", set(iRSet, 0xa2, 1, 1, 0, 1))
	ask("rset-long", "not-canonical S2", "cpu=1 in two bytes", set(iRSet, 0xa1, 0, 0x18, 1))
	ask("rset-too-much", "field S7", "2^61 bytes of memory", set(iRSet, 0xa1, 1, 0x1b, 0x20, 0, 0, 0, 0, 0, 0, 0))
	ask("rset-array", "syntax S3", "an array where the rset belongs", set(iRSet, 0x81, 1))
	ask("rset-negative", "syntax S3 S7", "cpu=-1", set(iRSet, 0xa1, 0, 0x20))

	ask("term-empty", "field S6", "ends where it begins", func(p []pair) []pair { p[iUntil].value = p[iFrom].value; return p })
	ask("term-backwards", "field S6", "ends before it begins", func(p []pair) []pair {
		p[iFrom].value, p[iUntil].value = p[iUntil].value, p[iFrom].value
		return p
	})
	ask("term-too-long", "field S6", "far beyond 400 days", set(iUntil, 0x1a, 0xff, 0xff, 0xff, 0xff))
	ask("term-overflow", "field S6", "until 2^63-1", set(iUntil, 0x1b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
	ask("term-beyond", "syntax S6", "until 2^64-1", set(iUntil, 0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
	ask("slice-empty", "field S9", "no label", set(iSlice, 0x60))
	ask("slice-upper", "field S9", "a capital letter", set(iSlice, 0x61, 'S'))
	ask("slice-dots", "field S9", "a path", set(iSlice, []byte("\x65../..")...))
	ask("slice-long", "field S9", "64 characters", set(iSlice, append([]byte{0x78, 64}, strings.Repeat("a", 64)...)...))
	ask("pool-escape", "field S9", "a terminal's escape sequence", set(iPool, []byte("\x64\x1b[2J")...))
	ask("ports-without-resource", "field S10", "a port, but no ports.in", func(p []pair) []pair {
		return slices.Insert(p, iPool, pair{[]byte{14}, []byte{0x81, 0x83, 6, 0, 0x18, 80}})
	})

	drawn := func(name, expect, note, drawing string) {
		raw(name, expect, note, leasetest.Draw(t, drawing).Last().Signed.Bytes())
	}
	drawn("slot-64", "field S8", "slots end at 63", "cap(n1 cpu=4) -> t64(alice)")
	drawn("redeem-slot-64", "field S8", "slots end at 63", "cap(n1 cpu=4) -> t0(alice) -> r64()")
	drawn("degree-99", "field S8", "nobody undersells", "cap(n1 cpu=4 @99)")
	drawn("degree-0", "field S8", "no degree", "cap(n1 cpu=4) -> t0(alice @0)")
	drawn("degree-10001", "field S8", "a degree above the bound", "cap(n1 cpu=4 @10001)")
	drawn("tranche-16", "field S8", "tranches end at 15", "cap(n1 cpu=4 tranche=16)")
	drawn("no-parent", "field S5", "a ticket under nothing", "cap(n1 cpu=4) -> t0(alice parent=none)")
	drawn("term-401-days", "field S6", "a day longer than any term", "cap(n1 cpu=4 0h..9624h)")
	open := *leasetest.Draw(t, "ask(alice n1 ports.in=1) -> lease(port=tcp/80:80)").Last().Statement.(*lease.Lease)
	open.Ports = []lease.Port{{Proto: lease.TCP, Inside: 80}}
	raw("lease-port-open", "field S10", "a lease names exact numbers", sealed(t, "n1", &open))
	drawn("port-twice", "field S10", "one port for two", "ask(alice n1 ports.in=2 port=tcp/80:80 port=tcp/80:81)")
	drawn("forged", "signature S11", "a ticket that its holder signed", "cap(n1 cpu=4) -> t0(alice sig=alice)")
	raw("reject-escape", "field S9", "a text that would clear the reader's screen", sealed(t, "n1", &lease.Reject{K: lease.KindReject,
		Node: leasetest.Who("n1"), Parent: lease.ID{1}, At: leasetest.Epoch, Text: "\x1b[2J", Sort: lease.Local}))
	raw("reject-sort-9", "field S14", "a sort that is none", sealed(t, "n1", &lease.Reject{K: lease.KindReject,
		Node: leasetest.Who("n1"), Parent: lease.ID{1}, At: leasetest.Epoch, Sort: 9}))
	raw("close-long-text", "field S9", "a reason of 201 bytes", sealed(t, "alice", &lease.Close{K: lease.KindClose, Issuer: leasetest.Who("alice"),
		Node: leasetest.Who("n1"), Claim: lease.ID{1}, At: leasetest.Epoch, Reason: strings.Repeat("x", lease.MaxText+1)}))
	laterVectors(t, raw, drawn)
	keyVectors(t, raw, sound)
	list = append(list, weakKey(t))
	return list
}

// laterVectors are hostile fields of what came after the first kinds.
func laterVectors(t testing.TB, raw func(name, expect, note string, b []byte), drawn func(name, expect, note, drawing string)) {
	drawn("from-1970", "field S6", "a term from before time", "ask(alice n1 cpu=1 -499656h..-499655h)") // from the second 0
	late := *leasetest.Draw(t, "cap(n1 cpu=1)").Last().Statement.(*lease.Capacity)
	late.From, late.Until = 253402300700, 253402300800
	raw("until-10000", "field S6", "a term that ends in the year 10000", sealed(t, "n1", &late))
	drawn("lead-long", "field S8", "a lead of 401 days", "cap(n1 cpu=4 lead=9624h)")
	drawn("commit-late", "field S6", "a hold that outlasts its term", "ask(alice n1 cpu=1) -> hold(commit=25h)")
	drawn("activate-late", "field S6", "activation after the end", "ask(alice n1 cpu=1) -> lease(activate=25h)")
	drawn("grace-long", "field S8", "a grace of 401 days", "ask(alice n1 cpu=1) -> lease(grace=9624h)")
	drawn("mechanism-upper", "field S9", "a mechanism that is no label", "ask(alice n1 cpu=1) -> lease(mechanism=Gang)")
	drawn("ports-17", "field S10", "a port too many", "ask(alice n1 ports.in=17"+manyPorts(17)+")")
	drawn("port-inside-0", "field S10", "a port that leads nowhere", "ask(alice n1 ports.in=1 port=tcp/80:0)")

	drawn("owner-self", "field S13", "the owner is the issuer", "ask(alice n1 cpu=1 owner=alice)")
	drawn("redeem-owner-self", "field S13", "the owner is the issuer", "cap(n1 cpu=4) -> t0(alice) -> r0(owner=alice)")
	drawn("lease-owner-self", "field S13", "the owner is the holder", "ask(alice n1 cpu=1) -> lease(owner=alice)")
	drawn("class-2", "field S12", "a class that is none", "ask(alice n1 cpu=1 class=2 weight=1)")
	drawn("weight-none", "field S12", "evictable, but of no weight", "ask(alice n1 cpu=1 class=1)")
	drawn("weight-hard", "field S12", "a weight where nothing is weighed", "ask(alice n1 cpu=1 class=0 weight=1)")
	drawn("weight-1001", "field S12", "a weight above the bound", "ask(alice n1 cpu=1 weight=1001)")
	drawn("lease-weight-1001", "field S12", "a weight above the bound", "ask(alice n1 cpu=1) -> lease(weight=1001)")
	drawn("exclusive-2", "field S12", "neither alone nor not", "ask(alice n1 cpu=1 exclusive=2)")

	drawn("capacity-fan-out-1025", "field S8", "a fan-out above the bound", "cap(n1 cpu=1 fanout=1025)")
	drawn("redeem-fan-out-1025", "field S8", "a fan-out above the bound", "cap(n1 cpu=1) -> t0(alice) -> r0(fanout=1025)")
	drawn("ask-fan-out-65535", "field S8", "a fan-out above the bound", "ask(alice n1 cpu=1 fanout=65535)")
	drawn("lease-fan-out-1025", "field S8", "a fan-out above the bound", "ask(alice n1 cpu=1) -> lease(fanout=1025)")

	drawn("ask-bid-201", "field S9", "a bid above the bound", "ask(alice n1 cpu=1 bid="+strings.Repeat("b", lease.MaxText+1)+")")
	drawn("ask-bid-invisible", "field S9", "a bid that hides a character", "ask(alice n1 cpu=1 bid=1\u200b2)")

	drawn("grant-self", "field S13", "a grant to oneself", "grant(alice alice verbs=1)")
	drawn("grant-no-verb", "field S14", "a grant of nothing", "grant(alice bob verbs=0)")
	drawn("grant-verb-128", "field S14", "a verb that is none", "grant(alice bob verbs=129)")
	drawn("grant-slice-upper", "field S9", "a slice that is no label", "grant(alice bob slice=Web verbs=1)")
	drawn("grant-term-empty", "field S6", "a grant for no time", "grant(alice bob 1h..1h verbs=1)")
	drawn("grant-forged", "signature S11", "who is granted signs", "grant(alice bob sig=bob verbs=1)")

	drawn("revoke-said-early", "field S6", "a revoke said before 1970", "ask(alice n1 cpu=1) -> lease() -> revoke(said=-499657h)")
	drawn("reject-lacks-15", "field S14", "lacks a resource that is none", "ask(alice n1 cpu=1) -> reject(exhausted lacks=15)")
	reject := func(name, expect, note string, change func(*lease.Reject)) {
		r := *leasetest.Draw(t, "ask(alice n1 cpu=1) -> reject(exhausted)").Last().Statement.(*lease.Reject)
		change(&r)
		raw(name, expect, note, sealed(t, "n1", &r))
	}
	reject("reject-instant-late", "field S6", "full in the year 10000", func(r *lease.Reject) { r.Instant = 253402300800 })
	reject("reject-sort-0", "field S14", "a refusal of no sort", func(r *lease.Reject) { r.Sort = 0 })
	reject("reject-reason-15", "field S14", "a reason that is none", func(r *lease.Reject) { r.Reason = 15 })
	reject("reject-text-turned", "field S9", "a text that runs backwards", func(r *lease.Reject) { r.Text = "full\u202etxt" })
	reject("reject-text-space", "field S9", "a space that is none", func(r *lease.Reject) { r.Text = "full\u00a0" })
	reject("reject-text-private", "field S9", "a character of nobody's", func(r *lease.Reject) { r.Text = "\ue000" })
	reject("reject-text-astral", "field S9", "a character beyond the first plane", func(r *lease.Reject) { r.Text = "\U0001f600" })
}

func manyPorts(n int) (words string) {
	for i := range n {
		words += fmt.Sprintf(" port=tcp/%d:80", 1000+i)
	}
	return words
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
	return vector{Name: "weak-key", Note: "an issuer for whom anybody can sign", Expect: "field", Rule: "S5", Open: hex.EncodeToString(s.Bytes())}
}
