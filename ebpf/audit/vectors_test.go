// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// A vector is the bytes of a head or proof and what a verifier must say of them.
type vector struct {
	Name   string `json:"name"`
	Note   string `json:"note"`
	Expect string `json:"expect"`         // a verdict: "ok" or a word of docs/protocol/audit.md
	Rule   string `json:"rule,omitempty"` // of that page: what is broken
	Head   string `json:"head,omitempty"` // hex
	Proof  string `json:"audit,omitempty"`
	Word   string `json:"word,omitempty"`
	Said   string `json:"said,omitempty"`
	Seen   string `json:"seen,omitempty"`
	Shows  string `json:"shows,omitempty"` // where the verdict is ok: kind, node, sizes, segment, leaves
}

func (v vector) judge() (string, error) {
	if v.Head != "" {
		b, err := hex.DecodeString(v.Head)
		if err != nil {
			return "", err
		}
		h, err := OpenHead(b)
		return fmt.Sprintf("head node=%s size=%d", h.Node, h.Size), err
	}
	if v.Word != "" {
		b, err := hex.DecodeString(v.Word)
		if err != nil {
			return "", err
		}
		w, err := OpenWitnessed(b)
		return fmt.Sprintf("word witness=%s first=%d node=%s size=%d", w.Witness, w.First, w.Head.Node, w.Head.Size), err
	}
	if v.Said != "" {
		b, err := hex.DecodeString(v.Said)
		if err != nil {
			return "", err
		}
		a, err := OpenAssertion(b)
		return fmt.Sprintf("answer node=%s slices=%d", a.Node, len(a.Slices)), err
	}
	if v.Seen != "" {
		b, err := hex.DecodeString(v.Seen)
		if err != nil {
			return "", err
		}
		s, err := OpenSighting(b)
		return fmt.Sprintf("sighting node=%s who=%s at=%d", s.Node, s.Who, s.At), err
	}
	b, err := hex.DecodeString(v.Proof)
	if err != nil {
		return "", err
	}
	s, err := VerifyProof(b)
	return shows(s), err
}

func shows(s Shown) string {
	out := fmt.Sprintf("%s node=%s size=%d", s.Kind, s.Head.Node, s.Head.Size)
	if s.Kind != ProofInclusion {
		return fmt.Sprintf("%s next=%d", out, s.Next.Size)
	}
	return fmt.Sprintf("%s segment=%d rows=%d epochs=%d tenures=%d alarms=%d", out, s.Segment.Number, len(s.Rows), len(s.Epochs), len(s.Tenures), len(s.Alarms))
}

func TestVectors(t *testing.T) {
	rewrite := flag.Lookup("rewrite").Value.String() == "true" // of datadriven
	for _, v := range leasetest.Vectors(t, "testdata/vectors/audit.json", rewrite, vectors(t)) {
		shown, err := v.judge()
		verdict := "ok"
		if err != nil {
			verdict = Code(err)
		}
		if verdict != v.Expect || err == nil && shown != v.Shows {
			t.Errorf("%s (%s): got %s %s (%v), want %s %s", v.Name, v.Note, verdict, shown, err, v.Expect, v.Shows)
		}
	}
}

func vectors(t testing.TB) (list []vector) {
	b, other, stranger := newBook(t, "n1", 1, 3, 9, 1, 4, 2), newBook(t, "n1", 2, 3, 9, 1, 4, 2), newBook(t, "n2", 1, 3, 9, 1, 4, 2)
	say := func(name, expect, rule, note string, v vector) {
		v.Name, v.Note, v.Expect, v.Rule = name, note, expect, rule
		if expect == "ok" {
			shown, err := v.judge()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			v.Shows = shown
		}
		list = append(list, v)
	}
	head := func(name, expect, rule, note string, b []byte) {
		say(name, expect, rule, note, vector{Head: hex.EncodeToString(b)})
	}
	raw := func(name, expect, rule, note string, b []byte) {
		say(name, expect, rule, note, vector{Proof: hex.EncodeToString(b)})
	}
	proof := func(name, expect, rule, note string, p Proof) { raw(name, expect, rule, note, p.Bytes()) }
	signed := func(domain string, v any, by string) []byte {
		s, err := lease.SealAs(domain, v, leasetest.Key(by))
		if err != nil {
			t.Fatal(err)
		}
		return s.Bytes()
	}

	good := b.head(t, 5)
	head("head", "ok", "", "a head of five segments", good.Bytes)
	head("head-cut", "syntax", "H1", "a byte is missing", good.Bytes[:len(good.Bytes)-1])
	head("head-long", "too-big", "H1", "257 bytes", make([]byte, MaxHead+1))
	head("head-list", "syntax", "H1", "the payload is a list", signed(HeadDomain, []int{1}, "n1"))
	loose := encoded(good.Head) // its size, 5, as 0x18 0x05
	loose = slices.Insert(loose, bytes.Index(loose, []byte{2, 5, 3})+1, 0x18)
	odd := lease.Signed{Payload: loose, Sig: leasetest.Key("n1").Sign(append([]byte(HeadDomain), loose...))}.Bytes()
	head("head-loose", "not-canonical", "H1", "its size is not in shortest form", odd)
	h := good.Head
	h.Size = 0
	head("head-empty", "field", "H2", "of no segments", signed(HeadDomain, h, "n1"))
	h.Size = MaxSegments + 1
	head("head-beyond", "field", "H2", "of 2^40 + 1 segments", signed(HeadDomain, h, "n1"))
	h = good.Head
	h.At = 0
	head("head-never", "field", "H2", "signed at no time", signed(HeadDomain, h, "n1"))
	h = good.Head
	h.Node = lease.Principal{1}
	head("head-weak", "field", "H2", "of a key for which anybody can sign", signed(HeadDomain, h, "n1"))
	head("head-other-key", "signature", "H3", "signed by another", signed(HeadDomain, good.Head, "n2"))
	head("head-other-domain", "signature", "H3", "signed as a claim", signed(lease.Domain, good.Head, "n1"))

	proof("inclusion", "ok", "", "a row and the tenure of its sliver", b.inclusion(t, 5, 1, 4, 10))
	proof("inclusion-first", "ok", "", "of a log of one segment", b.inclusion(t, 1, 0, 0, 3, 4))
	proof("inclusion-last", "ok", "", "of the last leaf of the last segment", b.inclusion(t, 5, 4, 3))
	p := b.inclusion(t, 5, 1, 4, 10)
	p.Leaves[0].Salt[3]++
	proof("inclusion-salt", "proof-leaf", "I3", "a salt that is another", p)
	p = b.inclusion(t, 5, 1, 4, 10)
	p.Leaves[0].Index = 5
	proof("inclusion-index", "proof-leaf", "I3", "the leaf at another index", p)
	p = b.inclusion(t, 5, 1, 4, 10)
	p.Leaves[0].Path = p.Leaves[0].Path[:len(p.Leaves[0].Path)-1]
	proof("inclusion-short", "proof-leaf", "I3", "a path that ends early", p)
	p = b.inclusion(t, 5, 1, 4)
	p.Leaves[0].Index = 11
	proof("inclusion-outside", "proof-leaf", "I3", "an index beyond the segment", p)
	p = b.inclusion(t, 5, 1, 4, 10)
	slices.Reverse(p.Leaves)
	proof("inclusion-order", "proof-order", "P4", "leaves that do not ascend", p)
	p = b.inclusion(t, 5, 1, 4)
	p.Leaves = append(p.Leaves, p.Leaves[0])
	proof("inclusion-twice", "proof-order", "P4", "one leaf twice", p)
	p = b.inclusion(t, 5, 1)
	p.Leaves = []Opening{}
	proof("inclusion-none", "proof-shape", "P2", "no leaf", p)
	p = b.inclusion(t, 5, 1, 4)
	p.Segment = other.segments[1]
	proof("inclusion-segment", "proof-segment", "I2", "a segment of another log", p)
	p = b.inclusion(t, 5, 4, 0)
	p.Head = b.head(t, 4).Bytes
	proof("inclusion-later", "proof-segment", "I2", "a segment behind the head", p)
	p = b.inclusion(t, 5, 1, 4)
	p.Path = append(p.Path, lease.Digest{1})
	proof("inclusion-long", "proof-segment", "I2", "a path that goes on above the root", p)
	p = b.inclusion(t, 5, 1, 4)
	p.Head = signed(HeadDomain, good.Head, "n2")
	proof("inclusion-forged", "signature", "H3", "a head signed by another", p)
	p = b.inclusion(t, 5, 1, 4)
	p.Path = make([]lease.Digest, maxPath+1)
	proof("inclusion-deep", "proof-shape", "P2", "a path of 41", p)
	for _, odd := range []struct {
		name, expect, rule, note string
		leaf                     any
	}{
		{"row-direction", "field", "I5", "direction 2", rowLeaf{K: LeafRow, Sliver: "sa", Direction: 2, Src: []byte{}, Dst: []byte{}}},
		{"row-families", "field", "I5", "addresses of two lengths", rowLeaf{K: LeafRow, Sliver: "sa", Src: make([]byte, 4), Dst: make([]byte, 16)}},
		{"row-backwards", "field", "I5", "last before first", rowLeaf{K: LeafRow, Sliver: "sa", Src: []byte{}, Dst: []byte{}, First: 2, Last: 1}},
		{"row-nobody", "field", "I5", "no sliver", rowLeaf{K: LeafRow, Src: []byte{}, Dst: []byte{}}},
		{"epoch-zeros", "field", "I5", "drops end in 0", EpochLeaf{K: LeafEpoch, At: 1, Dropped: []uint64{0}}},
		{"tenure-ports", "field", "I5", "first above last", tenureLeaf{K: LeafTenure, T: Tenure{Sliver: "s", Slice: "a", From: 1, First: 2, Last: 1}}},
		{"alarm-kind", "field", "I5", "kind 0", Alarm{K: LeafAlarm, At: 1}},
		{"leaf-kind", "kind", "I4", "a leaf of kind 9", []any{9, 1}},
		{"leaf-short", "syntax", "I4", "a row without its end", []any{1, "sa", 0, 0, 6}},
		{"row", "ok", "", "a row that the node moved itself", rowLeaf{K: LeafRow, Sliver: "sa", Proto: 254, Src: []byte{}, SrcPort: 3, Dst: []byte{}, Packets: 1, Bytes: 9, First: 1, Last: 1}},
		{"alarm", "ok", "", "an alarm", NewAlarm(AlarmGap, epochAt(5), "epochs 3 to 4 of this series are missing")},
	} {
		proof("leaf-"+odd.name, odd.expect, odd.rule, odd.note, single(t, encoded(odd.leaf)))
	}

	proof("consistency", "ok", "", "from three segments to five", b.consistency(t, 3, 5))
	proof("consistency-power", "ok", "", "from four segments to five", b.consistency(t, 4, 5))
	proof("consistency-same", "ok", "", "of one head", b.consistency(t, 5, 5))
	c := b.consistency(t, 3, 5)
	c.Old = other.head(t, 3).Bytes
	proof("consistency-rewritten", "proof-grown", "C2", "from a log that was rewritten", c)
	c = b.consistency(t, 3, 5)
	c.Path[0][0]++
	proof("consistency-path", "proof-grown", "C2", "a hash that is another", c)
	c = b.consistency(t, 5, 5)
	c.Old = other.head(t, 5).Bytes
	proof("consistency-fork", "proof-grown", "C1", "two heads of one size", c)
	c = b.consistency(t, 5, 5)
	c.Path = []lease.Digest{{1}}
	proof("consistency-idle", "proof-grown", "C1", "a path where none is needed", c)
	c = b.consistency(t, 3, 5)
	c.Old, c.New = c.New, c.Old
	proof("consistency-back", "proof-order", "P4", "to a smaller log", c)
	c = b.consistency(t, 3, 5)
	c.Old = stranger.head(t, 3).Bytes
	proof("consistency-nodes", "proof-nodes", "P3", "from another node's head", c)
	c = b.consistency(t, 3, 5)
	c.Path = make([]lease.Digest, maxPath+2)
	proof("consistency-deep", "proof-shape", "P2", "a path of 42", c)

	f, _ := ForkOfHeads(good, other.head(t, 5))
	proof("fork", "ok", "", "two heads of one size", f)
	split, _ := ForkOfInclusions(b.inclusion(t, 3, 1, 0), other.inclusion(t, 5, 1, 0))
	proof("fork-split", "ok", "", "two heads of two sizes, with another segment 1 each", split)
	g := *f
	g.A, g.B = f.B, f.A
	proof("fork-order", "proof-order", "P4", "heads in another order", &g)
	g = *f
	g.Split = split.Split
	proof("fork-idle", "proof-shape", "P2", "a split where none is needed", &g)
	later := good.Head
	later.At++
	again, err := SealHead(later, leasetest.Key("n1"))
	if err != nil {
		t.Fatal(err)
	}
	g = Fork{K: ProofFork, A: good.Bytes, B: again.Bytes}
	proof("fork-time", "proof-one", "F1", "heads that differ in time alone", &g)
	g = Fork{K: ProofFork, A: b.head(t, 3).Bytes, B: good.Bytes}
	proof("fork-grown", "proof-shape", "P2", "two heads of one log", &g)
	g = *split
	same := split.Split[0]
	same.B, same.PathB = same.A, b.inclusion(t, 5, 1, 0).Path
	g.B, g.Split = good.Bytes, []Split{same}
	proof("fork-same", "proof-one", "F2", "the same segment in both", &g)
	wrong := split.Split[0]
	wrong.Index = 2
	g = *split
	g.Split = []Split{wrong}
	proof("fork-index", "proof-one", "F2", "another index", &g)
	regrown := func(old *book, size uint64) *Fork {
		grew := growth(t, other, size, 5)
		return &Fork{K: ProofFork, A: old.head(t, size).Bytes, B: grew.Head, Regrown: []Regrown{{Root: grew.Root, Path: grew.Path}}}
	}
	proof("fork-regrown", "ok", "", "a larger log that began otherwise", regrown(b, 3))
	proof("fork-regrown-power", "ok", "", "and of a size that is a power of two", regrown(b, 4))
	proof("fork-regrown-same", "proof-one", "F3", "a larger log that began so", regrown(other, 3))
	h3 := regrown(b, 3)
	h3.Regrown[0].Root[0]++
	proof("fork-regrown-root", "proof-one", "F3", "a root that is not that of the larger log", h3)
	h3 = regrown(b, 3)
	h3.Split = split.Split
	proof("fork-both", "proof-shape", "P2", "a split and a beginning", h3)
	g = *f
	g.B = stranger.head(t, 5).Bytes
	proof("fork-nodes", "proof-nodes", "P3", "heads of two nodes", &g)

	words := func(name, expect, rule, note string, b []byte) {
		say(name, expect, rule, note, vector{Word: hex.EncodeToString(b)})
	}
	w := Witnessed{Witness: leasetest.Who("w"), Head: good.Bytes, First: 2, At: second}
	words("word", "ok", "", "a witness had a head of five, and one of two before", signed(WitnessDomain, w, "w"))
	words("word-other-key", "signature", "W3", "signed by another", signed(WitnessDomain, w, "n2"))
	words("word-other-domain", "signature", "W3", "signed as a head", signed(HeadDomain, w, "w"))
	words("word-long", "too-big", "W1", "513 bytes", make([]byte, MaxWitnessed+1))
	words("word-list", "syntax", "W1", "the payload is a list", signed(WitnessDomain, []int{1}, "w"))
	bad := w
	bad.First = 6
	words("word-first", "field", "W2", "it began after the head", signed(WitnessDomain, bad, "w"))
	bad = w
	bad.Head = signed(HeadDomain, good.Head, "n2")
	words("word-forged", "signature", "H3", "a head that the node did not sign", signed(WitnessDomain, bad, "w"))
	bad = w
	bad.Witness = leasetest.Who("n1")
	words("word-own", "field", "W2", "of the node itself", signed(WitnessDomain, bad, "n1"))

	said := func(name, expect, rule, note string, b []byte) {
		say(name, expect, rule, note, vector{Said: hex.EncodeToString(b)})
	}
	a := asserted(t, "n1", 1, func(a *Assertion) { a.Slices, a.Pending = []string{"a@x", "b@y"}, second }).Assertion
	said("answer", "ok", "", "one of two slices, not committed to yet", signed(AssertionDomain, a, "n1"))
	none := a
	none.Slices, none.NAT, none.Proto, none.Pending = nil, true, 17, 0
	said("answer-none", "ok", "", "no slice, of UDP, behind a translator", signed(AssertionDomain, none, "n1"))
	said("answer-other-key", "signature", "Q3", "signed by another", signed(AssertionDomain, a, "n2"))
	said("answer-list", "syntax", "Q1", "the payload is a list", signed(AssertionDomain, []int{1}, "n1"))
	said("answer-long", "too-big", "Q1", "20,481 bytes", make([]byte, MaxAssertion+1))
	worse := a
	worse.Slices = []string{"b@y", "a@x"}
	said("answer-order", "field", "Q2", "slices that do not ascend", signed(AssertionDomain, worse, "n1"))
	worse = a
	worse.Dst = Endpoint{Addr: []byte{1, 2, 3}, Port: 1}
	said("answer-address", "field", "Q2", "a destination of three bytes", signed(AssertionDomain, worse, "n1"))
	worse = a
	worse.Within = 3601 * second
	said("answer-wide", "field", "Q2", "more than an hour to each side", signed(AssertionDomain, worse, "n1"))

	worse = none
	worse.Withheld = 3
	said("answer-withheld", "ok", "", "three slices that are not named", signed(AssertionDomain, worse, "n1"))
	worse.Withheld = MaxWithheld + 1
	said("answer-crowd", "field", "Q2", "more slices that are not named than any node has", signed(AssertionDomain, worse, "n1"))

	seen := func(name, expect, rule, note string, b []byte) {
		say(name, expect, rule, note, vector{Seen: hex.EncodeToString(b)})
	}
	g4 := sighting(t, "n1", "me", holding, seenAt).Sighting
	g6 := sighting(t, "n1", "me", netip.MustParseAddr("2001:db8::9"), seenAt).Sighting
	seen("sighting", "ok", "", "of an IPv4 address", signed(SightingDomain, g4, "n1"))
	seen("sighting-6", "ok", "", "of an IPv6 address", signed(SightingDomain, g6, "n1"))
	seen("sighting-other-key", "signature", "G3", "signed by another", signed(SightingDomain, g4, "n2"))
	seen("sighting-other-domain", "signature", "G3", "signed as an answer", signed(AssertionDomain, g4, "n1"))
	seen("sighting-long", "too-big", "G1", "193 bytes", make([]byte, MaxSighting+1))
	seen("sighting-list", "syntax", "G1", "the payload is a list", signed(SightingDomain, []int{1}, "n1"))
	never := g4
	never.At = 0
	seen("sighting-never", "field", "G2", "at no time", signed(SightingDomain, never, "n1"))
	for _, odd := range []struct{ name, addr, note string }{
		{"loopback", "127.0.0.1", "of the loopback address"}, {"multicast", "224.0.0.5", "of a group of addresses"},
		{"link", "fe80::1", "of an address of one link"}, {"mapped", "::ffff:203.0.113.9", "of an IPv4 address as IPv6"}, {"none", "::", "of no address"},
		{"broadcast", "255.255.255.255", "of everybody's address"},
	} {
		g := g4
		g.Addr = netip.MustParseAddr(odd.addr)
		seen("sighting-"+odd.name, "field", "G2", odd.note, signed(SightingDomain, g, "n1"))
	}

	raw("nothing", "syntax", "P1", "a list", []byte{0x80, 0, 0})
	raw("unknown", "kind", "P1", "a proof of kind 9", []byte{0xa1, 0, 9})
	raw("after", "syntax", "P1", "a byte after it", append(b.consistency(t, 5, 5).Bytes(), 0))
	raw("loose", "not-canonical", "P1", "an empty path that is written", append(append([]byte{0xa4}, b.consistency(t, 5, 5).Bytes()[1:]...), 3, 0x80))
	return list
}

// single is a proof of one leaf in a log of one segment.
func single(t testing.TB, leaf []byte) *Inclusion {
	salt := Secret{5}.Salt(0)
	root, _ := HashLeaf(nil, salt, leaf)
	s := Segment{Leaves: 1, Root: root}.Bytes()
	h, err := SealHead(Head{Node: leasetest.Who("n1"), Size: 1, Root: HashSegment(s), At: second}, leasetest.Key("n1"))
	if err != nil {
		t.Fatal(err)
	}
	return &Inclusion{K: ProofInclusion, Head: h.Bytes, Segment: s, Leaves: []Opening{{Salt: salt, Leaf: leaf, Path: []lease.Digest{}}}}
}

// A verifier in another language, written from docs/protocol/audit.md alone, agrees
// with every vector.
func TestSecondImplementation(t *testing.T) { leasetest.Agrees(t, "../..") }
