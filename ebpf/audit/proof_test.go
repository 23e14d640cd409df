// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"croft/ebpf"
	"croft/lease"
	"croft/lease/leasetest"
)

// book is a node's log with all that is in it.
type book struct {
	node     string
	secret   Secret
	leaves   [][][]byte // of each segment
	trees    []Tree
	segments [][]byte
	log      Tree
}

// newBook has segments of so many rows, with a tenure and an epoch each; salt
// makes another book of it.
func newBook(t testing.TB, node string, salt byte, rows ...int) *book {
	b := &book{node: node, secret: Secret{salt}}
	for number, n := range rows {
		var leaves [][]byte
		from := int64(number+1) * 300 * second
		for i := range n {
			f := row("sa", fmt.Sprintf("10.0.0.2:%d", 40000+i), remote, from+int64(i)*second, from+int64(i+1)*second)
			leaves = append(leaves, AppendRow(nil, f))
		}
		tenure := Tenure{Sliver: "sa", Slice: "a@x", Place: 1, First: 2000, Last: 2999, From: second}
		leaves = append(leaves, EpochLeaf{K: LeafEpoch, Series: 7, Number: uint64(number), At: from, Rows: uint64(n), Seen: uint64(n), Recorded: uint64(n),
			Dropped: []uint64{}}.Bytes(), tenure.LeafBytes())
		var tree Tree
		var buf []byte
		for i, leaf := range leaves {
			var h lease.Digest
			h, buf = HashLeaf(buf, b.secret.Salt(uint64(i)), leaf)
			tree.Append(h)
		}
		root, err := tree.Root(tree.Size())
		if err != nil {
			t.Fatal(err)
		}
		s := Segment{Number: uint64(number), From: from, Until: from + 300*second, Rows: uint64(n), Leaves: uint64(len(leaves)), Root: root}.Bytes()
		b.leaves, b.trees, b.segments = append(b.leaves, leaves), append(b.trees, tree), append(b.segments, s)
		b.log.Append(HashSegment(s))
	}
	return b
}

func (b *book) head(t testing.TB, size uint64) OpenedHead {
	t.Helper()
	root, err := b.log.Root(size)
	if err != nil {
		t.Fatal(err)
	}
	h, err := SealHead(Head{Node: leasetest.Who(b.node), Size: size, Root: root, At: int64(size+1) * 300 * second}, leasetest.Key(b.node))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (b *book) inclusion(t testing.TB, size, segment uint64, leaves ...uint64) *Inclusion {
	t.Helper()
	path, err := b.log.Path(segment, size)
	if err != nil {
		t.Fatal(err)
	}
	p := &Inclusion{K: ProofInclusion, Head: b.head(t, size).Bytes, Segment: b.segments[segment], Path: path}
	for _, i := range leaves {
		path, err := b.trees[segment].Path(i, b.trees[segment].Size())
		if err != nil {
			t.Fatal(err)
		}
		p.Leaves = append(p.Leaves, Opening{Index: i, Salt: b.secret.Salt(i), Leaf: b.leaves[segment][i], Path: path})
	}
	return p
}

func (b *book) consistency(t testing.TB, old, size uint64) *Consistency {
	t.Helper()
	path, err := b.log.Since(old, size)
	if err != nil {
		t.Fatal(err)
	}
	return &Consistency{K: ProofConsistency, Old: b.head(t, old).Bytes, New: b.head(t, size).Bytes, Path: path}
}

func TestInclusionAnswersTheQuestion(t *testing.T) {
	b := newBook(t, "n1", 1, 3, 9, 1, 4, 2)
	for size := uint64(1); size <= 5; size++ {
		for segment := range size {
			last := b.trees[segment].Size() - 1
			s, err := VerifyProof(b.inclusion(t, size, segment, 0, last).Bytes())
			if err != nil {
				t.Fatalf("segment %d of %d: %v", segment, size, err)
			}
			q := Who{Src: netip.MustParseAddrPort("198.51.5.5:2500"), Dst: remote, At: s.Segment.From, Within: second}
			f := Join(q, s.Tenures, slices.Values(s.Rows))
			if f.Verdict() != "exact" || f.Slices[0] != "a@x" || s.Segment.Number != segment || s.Head.Size != size {
				t.Fatalf("segment %d of %d: %+v", segment, size, f)
			}
		}
	}
}

// Not one byte of a proof can be another and it still shows something else.
func TestNoByteOfAProofCanChange(t *testing.T) {
	b, other := newBook(t, "n1", 1, 3, 9, 1), newBook(t, "n1", 2, 3, 9, 1)
	fork, _ := ForkOfHeads(b.head(t, 3), other.head(t, 3))
	split, _ := ForkOfInclusions(b.inclusion(t, 3, 1, 0), other.inclusion(t, 2, 1, 0))
	for name, p := range map[string]Proof{"inclusion": b.inclusion(t, 3, 1, 2, 10), "consistency": b.consistency(t, 2, 3), "fork": fork, "split": split} {
		good := p.Bytes()
		want, err := VerifyProof(good)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again, err := ReadProof(good); err != nil || !reflect.DeepEqual(again.Bytes(), good) {
			t.Fatalf("%s does not read back: %v", name, err)
		}
		for at := range good {
			for _, flip := range []byte{1, 0x80} {
				bad := slices.Clone(good)
				bad[at] ^= flip
				if got, err := VerifyProof(bad); err == nil {
					t.Errorf("%s with byte %d changed shows %+v, was %+v", name, at, got, want)
				}
			}
		}
		for cut := range good {
			if _, err := VerifyProof(good[:cut]); err == nil {
				t.Errorf("%s cut at %d verifies", name, cut)
			}
		}
	}
}

func TestConsistency(t *testing.T) {
	b, other := newBook(t, "n1", 1, 1, 1, 1, 1, 1, 1, 1), newBook(t, "n1", 2, 1, 1, 1, 1, 1, 1, 1)
	for size := uint64(1); size <= 7; size++ {
		for old := uint64(1); old <= size; old++ {
			s, err := VerifyProof(b.consistency(t, old, size).Bytes())
			if err != nil || s.Head.Size != old || s.Next.Size != size {
				t.Fatalf("%d to %d: %v", old, size, err)
			}
			p := b.consistency(t, old, size)
			p.Old = other.head(t, old).Bytes
			if _, err := p.Verify(); !errors.Is(err, ErrProofGrown) {
				t.Errorf("%d to %d of another log: %v", old, size, err)
			}
		}
	}
	p := b.consistency(t, 3, 7)
	p.Old, p.New = p.New, p.Old
	if _, err := p.Verify(); !errors.Is(err, ErrProofOrder) {
		t.Errorf("backwards: %v", err)
	}
	p = b.consistency(t, 3, 7)
	p.Old = newBook(t, "n2", 1, 1, 1, 1).head(t, 3).Bytes
	if _, err := p.Verify(); !errors.Is(err, ErrProofNodes) {
		t.Errorf("of two nodes: %v", err)
	}
}

// A node that rewrote segment 1 and signed a head anew is caught by anybody who
// has seen a head of that size, or a segment of each log.
func TestFork(t *testing.T) {
	b, rewritten := newBook(t, "n1", 1, 3, 9, 1, 4), newBook(t, "n1", 1, 3, 8, 1, 4)
	if f, ok := ForkOfHeads(b.head(t, 1), rewritten.head(t, 1)); ok {
		t.Errorf("before they part: %+v", f)
	}
	f, ok := ForkOfHeads(b.head(t, 4), rewritten.head(t, 4))
	if !ok {
		t.Fatal("two heads of one size are no fork")
	}
	if s, err := VerifyProof(f.Bytes()); err != nil || s.Head.Node != leasetest.Who("n1") {
		t.Errorf("heads: %v", err)
	}
	f.A, f.B = f.B, f.A
	if _, err := f.Verify(); !errors.Is(err, ErrProofOrder) {
		t.Errorf("in another order: %v", err)
	}
	for _, sizes := range [][2]uint64{{2, 4}, {4, 2}, {3, 3}} {
		x, y := b.inclusion(t, sizes[0], 1, 0), rewritten.inclusion(t, sizes[1], 1, 0)
		f, ok := ForkOfInclusions(x, y)
		if !ok {
			t.Fatalf("sizes %v are no fork", sizes)
		}
		if s, err := VerifyProof(f.Bytes()); err != nil || s.Head.Size > s.Next.Size {
			t.Errorf("sizes %v: %v", sizes, err)
		}
	}
	if f, ok := ForkOfInclusions(b.inclusion(t, 2, 0, 0), rewritten.inclusion(t, 4, 0, 0)); ok {
		t.Errorf("a segment that is the same in both: %+v", f)
	}
	honest := &Fork{K: ProofFork, A: b.head(t, 2).Bytes, B: b.head(t, 4).Bytes}
	if _, err := honest.Verify(); !errors.Is(err, ErrProofShape) {
		t.Errorf("two heads of one log: %v", err)
	}
	honest.Split = []Split{{Index: 1, A: HashSegment(b.segments[1]), PathA: b.inclusion(t, 2, 1, 0).Path, B: HashSegment(b.segments[1]), PathB: b.inclusion(t, 4, 1, 0).Path}}
	if _, err := honest.Verify(); !errors.Is(err, ErrProofOne) {
		t.Errorf("the same segment: %v", err)
	}
	honest.A, honest.Split = honest.B, nil
	if _, err := honest.Verify(); !errors.Is(err, ErrProofOne) {
		t.Errorf("one head: %v", err)
	}
}

// What a proof shows of other leaves does not tell what they say, even to who
// guesses right.
func TestSaltHidesOtherLeaves(t *testing.T) {
	b := newBook(t, "n1", 9, 2)
	p := b.inclusion(t, 1, 0, 0)
	neighbour := b.leaves[0][1]
	for _, guess := range []lease.Digest{sha256.Sum256(append([]byte{0}, neighbour...)), sha256.Sum256(neighbour)} {
		if slices.Contains(p.Leaves[0].Path, guess) {
			t.Fatal("a guess is confirmed")
		}
	}
	h, _ := HashLeaf(nil, b.secret.Salt(1), neighbour)
	if !slices.Contains(p.Leaves[0].Path, h) {
		t.Fatal("the neighbour's hash is not there: the test looks in the wrong place")
	}
	if b.secret.Salt(0) == b.secret.Salt(1) {
		t.Fatal("one salt for two leaves")
	}
}

func TestProofsSurviveMail(t *testing.T) {
	b := newBook(t, "n1", 1, 3, 2)
	x, y := b.inclusion(t, 2, 1, 0), b.consistency(t, 1, 2)
	mail := "Dear site,\n\n> " + strings.ReplaceAll(string(Armour(x)), "\n", "\r\n> ") + "\nand\n" + string(Armour(y))
	got, err := ParseArmour([]byte(mail))
	if err != nil || len(got) != 2 || !reflect.DeepEqual(got[0].Bytes(), x.Bytes()) || !reflect.DeepEqual(got[1].Bytes(), y.Bytes()) {
		t.Fatalf("%d proofs, %v", len(got), err)
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":  {"", lease.ErrSyntax},
		"a ticket": {string(lease.Armour([][]byte{{1}})), lease.ErrSyntax},
		"cut":      {string(Armour(x))[:400], lease.ErrSyntax},
		"a list":   {string(lease.ArmourAs(proofLabel, []byte{0x80, 0, 0})), lease.ErrSyntax},
		"unknown":  {string(lease.ArmourAs(proofLabel, []byte{0xa1, 0, 9})), lease.ErrKind},
		"too long": {mail + strings.Repeat(" ", MaxProofText), lease.ErrTooBig},
	} {
		if _, err := ParseArmour([]byte(c.text)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// The quick encoding is the one that verifiers read.
func TestRowLeafIsCanonical(t *testing.T) {
	rows := []ebpf.Flow{
		row("sa", "10.0.0.2:50000", remote, 10*second, 20*second),
		{Sliver: strings.Repeat("s", 40), Place: 70000, Direction: ebpf.Ingress, Proto: 254, Src: netip.AddrPortFrom(netip.Addr{}, 3),
			Packets: 1 << 40, Bytes: 300, First: -5, Last: 255, TCPFlags: 0x12},
		{Sliver: "sb", Proto: 17, Src: netip.MustParseAddrPort("[fdc4::2]:24"), Dst: netip.MustParseAddrPort("[::ffff:1.2.3.4]:256"), Packets: 65536, First: 1, Last: 1},
	}
	for _, f := range rows {
		b := AppendRow(nil, f)
		var l Leaves
		if err := l.Read(b); err != nil || !reflect.DeepEqual(l.Rows[0], f) {
			t.Errorf("%s reads back as %+v, %v", f, l.Rows, err)
		}
	}
	f := Coarse(ebpf.Flow{First: 1_999_999, Last: 2_000_001})
	if f.First != 1_000_000 || f.Last != 3_000_000 || Coarse(f) != f {
		t.Errorf("coarse: %+v", f)
	}
}

func TestProofTooBig(t *testing.T) {
	if _, err := VerifyProof(make([]byte, MaxProof+1)); !errors.Is(err, lease.ErrTooBig) {
		t.Error(err)
	}
	p := newBook(t, "n1", 1, MaxOpenings).inclusion(t, 1, 0, 0)
	for i := range p.Leaves { // the longest that the rules allow
		p.Leaves[i].Leaf = make([]byte, MaxLeaf)
	}
	for len(p.Leaves) < MaxOpenings {
		p.Leaves = append(p.Leaves, Opening{Index: uint64(len(p.Leaves)), Leaf: make([]byte, MaxLeaf), Path: make([]lease.Digest, 22)})
	}
	p.Path = make([]lease.Digest, maxPath)
	if n := len(p.Bytes()); n > MaxProof {
		t.Errorf("a proof of the most leaves takes %d bytes, limit %d", n, MaxProof)
	}
}

func FuzzReadProof(f *testing.F) {
	b, other := newBook(f, "n1", 1, 3, 9, 1), newBook(f, "n1", 2, 3, 9, 1)
	fork, _ := ForkOfHeads(b.head(f, 3), other.head(f, 3))
	split, _ := ForkOfInclusions(b.inclusion(f, 3, 1, 0), other.inclusion(f, 2, 1, 0))
	for _, p := range []Proof{b.inclusion(f, 3, 1, 2, 10), b.consistency(f, 2, 3), fork, split} {
		f.Add(p.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ReadProof(b)
		if err != nil {
			return
		}
		if !slices.Equal(p.Bytes(), b) {
			t.Fatalf("%x reads back as %x", b, p.Bytes())
		}
		p.Verify()
	})
}

func FuzzReadLeaf(f *testing.F) {
	b := newBook(f, "n1", 1, 1)
	for _, leaf := range b.leaves[0] {
		f.Add(leaf)
	}
	f.Add(NewAlarm(AlarmGap, ebpf.Epoch{At: 1}, "x").Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		var l Leaves
		if l.Read(b) != nil {
			return
		}
		if again := l.again(); !slices.Equal(again, b) {
			t.Fatalf("%x reads back as %x", b, again)
		}
	})
}

// again writes the one leaf that was read.
func (l Leaves) again() []byte {
	switch {
	case len(l.Rows) > 0:
		return AppendRow(nil, l.Rows[0])
	case len(l.Epochs) > 0:
		return l.Epochs[0].Bytes()
	case len(l.Tenures) > 0:
		return l.Tenures[0].LeafBytes()
	}
	return l.Alarms[0].Bytes()
}

func FuzzParseSegment(f *testing.F) {
	f.Add(newBook(f, "n1", 1, 1).segments[0])
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := ParseSegment(b); err == nil && !slices.Equal(s.Bytes(), b) {
			t.Fatal("does not read back")
		}
	})
}

func epochAt(at int64) ebpf.Epoch { return ebpf.Epoch{Series: 1, Number: 5, At: at} }
