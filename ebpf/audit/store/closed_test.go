// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// randomRow draws from few addresses, ports and times, so that rows meet in all
// of them, and now and then from everything.
func randomRow(r *rand.Rand, at int64) ebpf.Flow {
	addr := func(base string, n int) netip.Addr {
		a := netip.MustParseAddr(base).AsSlice()
		a[len(a)-1] += byte(r.IntN(n))
		if r.IntN(10) == 0 {
			a[len(a)-2] = byte(r.IntN(256))
		}
		out, _ := netip.AddrFromSlice(a)
		return out
	}
	port := func() uint16 { return []uint16{0, 53, 443, 443, 65535, uint16(r.IntN(1 << 16))}[r.IntN(6)] }
	local, remote := "10.200.0.2", "198.41.0.4"
	switch r.IntN(8) {
	case 0, 1:
		local, remote = "fdc4::2", "2606:4700::1"
	case 2:
		local, remote = "fdc4::2", "::ffff:198.41.0.4"
	}
	f := ebpf.Flow{Place: r.IntN(3), Sliver: string(rune('a' + r.IntN(4))), Direction: ebpf.Direction(r.IntN(2)), Proto: []uint8{6, 17, 1, 58}[r.IntN(4)],
		Src: netip.AddrPortFrom(addr(local, 3), port()), Dst: netip.AddrPortFrom(addr(remote, 5), port()),
		Packets: uint64(r.IntN(5)), Bytes: r.Uint64() >> r.IntN(64), TCPFlags: uint8(r.IntN(4))}
	if f.Direction == ebpf.Ingress {
		f.Src, f.Dst = f.Dst, f.Src
	}
	if r.IntN(20) == 0 { // by the node, fragments: no addresses
		f.Proto, f.Src, f.Dst = 254, netip.AddrPortFrom(netip.Addr{}, uint16(r.IntN(9))), netip.AddrPort{}
	}
	f.First = at - int64(r.IntN(5000))*millisecond
	f.Last = f.First + int64(r.IntN(3))*int64(r.IntN(3000))*millisecond
	return f
}

func randomEpoch(r *rand.Rand, number uint64, n int) ebpf.Epoch {
	e := ebpf.Epoch{Series: 3, Number: number, At: 1_700_000_000*second + int64(number)*5*second}
	for range n {
		f := randomRow(r, e.At)
		e.Flows = append(e.Flows, f)
		e.Identity.Recorded += f.Packets
	}
	e.Identity.Seen = e.Identity.Recorded
	return e
}

// A closed segment holds exactly the rows that came, whatever they are.
func TestClosedHoldsWhatCame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		e := randomEpoch(r, 1, rapid.SampledFrom([]int{1, 2, 70, blockRows, blockRows + 1, 3 * blockRows}).Draw(t, "rows"))
		c := &content{rows: slices.Clone(e.Flows), epochs: []audit.EpochLeaf{audit.EpochOf(e)}, tenures: audit.Tenures{tenure}}
		sortRows(c.rows)
		if !slices.IsSortedFunc(c.rows, func(a, b ebpf.Flow) int { return compareRows(&a, &b) }) {
			t.Fatal("rows are not sorted")
		}
		tree := c.tree()
		root, _ := tree.Root(tree.Size())
		s := c.segment(4, root)
		b := c.encode(s)
		got, err := readClosed(b)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.rows, c.rows) || !reflect.DeepEqual(got.epochs, c.epochs) || !reflect.DeepEqual(got.tenures, c.tenures) {
			for i := range got.rows {
				if got.rows[i] != c.rows[i] {
					t.Fatalf("row %d reads back as %s, was %s", i, got.rows[i], c.rows[i])
				}
			}
			t.Fatalf("reads back otherwise")
		}
	})
}

// Every question has the answer that all rows in one heap give, from open and from
// closed segments, and a page that was cut goes on where it ended.
func TestAnswersAreThoseOfAllRows(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	s := open(t, t.TempDir(), Options{Span: 40 * time.Second, disk: lazy{}})
	var tenures audit.Tenures
	for i := range 4 {
		from := 1_700_000_000*second + int64(i)*20*second
		tenures = tenures.Put(audit.Tenure{Sliver: string(rune('a' + i)), Slice: fmt.Sprintf("s%d@k", i%3), Place: i, First: uint16(1000 * i), Last: uint16(1000*i + 999), From: from})
	}
	for _, x := range tenures {
		must(t, s.AppendTenure(x))
	}
	var all []ebpf.Flow
	for n := range uint64(40) {
		e := randomEpoch(r, n+1, 400)
		must(t, s.Append(e))
		for _, f := range e.Flows {
			all = append(all, audit.Coarse(f))
		}
		if n%3 == 2 {
			turn(t, s, e.At/second)
		}
	}
	if len(s.records) < 3 || len(s.open) == 0 {
		t.Fatalf("%d closed, %d open", len(s.records), len(s.open))
	}
	for range 300 {
		seed := all[r.IntN(len(all))]
		q := audit.Who{Src: netip.AddrPortFrom(netip.MustParseAddr("203.0.113.1"), uint16(r.IntN(4000))), Dst: audit.RemoteOf(seed), Proto: seed.Proto,
			At: seed.First + int64(r.IntN(9)-4)*second, Within: int64(r.IntN(60)) * second}
		if r.IntN(3) == 0 {
			q.Src = netip.AddrPortFrom(q.Src.Addr(), 0)
		}
		if q.Check() != nil {
			continue
		}
		got, err := s.Who(t.Context(), q)
		must(t, err)
		want := audit.Join(q, tenures, slices.Values(all))
		if rows := func(f audit.Finding) (n int) {
			for _, a := range f.Answers {
				n += len(a.Rows)
			}
			return n
		}; rows(got) != rows(want) || !slices.Equal(got.Slices, want.Slices) {
			t.Fatalf("%+v: %s with %d rows, want %s with %d", q, got.Verdict(), rows(got), want.Verdict(), rows(want))
		}
	}
	for _, from := range []int64{0, all[3000].First, all[9000].First} {
		for _, slice := range []string{"", "s1@k"} {
			q := audit.Flows{Slice: slice, From: from, Until: all[12000].Last}
			pages(t, all, func(f ebpf.Flow) bool { _, ok := q.Takes(f, tenures); return ok }, func(after audit.Cursor) (audit.Page, error) {
				q.After = after
				return s.Flows(t.Context(), q)
			})
		}
		q := audit.Remote{Dst: netip.AddrPortFrom(netip.MustParseAddr("198.41.0.5"), 0), From: from, Until: 1 << 62}
		pages(t, all, func(f ebpf.Flow) bool { _, ok := q.Takes(f, tenures); return ok }, func(after audit.Cursor) (audit.Page, error) {
			q.After = after
			return s.Remote(t.Context(), q)
		})
	}
}

// pages follows an answer to its end, and holds it against all rows.
func pages(t *testing.T, all []ebpf.Flow, takes func(ebpf.Flow) bool, ask func(audit.Cursor) (audit.Page, error)) {
	t.Helper()
	want := slices.DeleteFunc(slices.Clone(all), func(f ebpf.Flow) bool { return !takes(f) })
	slices.SortFunc(want, func(a, b ebpf.Flow) int { return compareRows(&a, &b) })
	var got []ebpf.Flow
	var after audit.Cursor
	for {
		p, err := ask(after)
		must(t, err)
		for _, r := range p.Rows {
			got = append(got, r.Flow)
		}
		if !p.Cut {
			break
		}
		if again, err := audit.ParseCursor(p.Next.String()); err != nil || again != p.Next || p.Next == after {
			t.Fatalf("cursor %s after %s: %v", p.Next, after, err)
		}
		after = p.Next
	}
	slices.SortFunc(got, func(a, b ebpf.Flow) int { return compareRows(&a, &b) })
	if !slices.Equal(got, want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
}

// More rows of one instant than an answer holds are all shown.
func TestManyRowsOfOneInstant(t *testing.T) {
	s := open(t, t.TempDir(), Options{disk: lazy{}})
	must(t, s.AppendTenure(tenure))
	e := epoch(1, 3*audit.MaxRows)
	for i := range e.Flows {
		e.Flows[i].Src = netip.AddrPortFrom(sliver.Addr(), uint16(i))
	}
	must(t, s.Append(e))
	for _, form := range []string{"open", "closed"} {
		seen := map[uint16]bool{}
		q := audit.Flows{Slice: "web@k", Until: 1 << 62}
		for {
			p, err := s.Flows(t.Context(), q)
			must(t, err)
			for _, r := range p.Rows {
				seen[r.Src.Port()] = true
			}
			if q.After = p.Next; !p.Cut {
				break
			}
		}
		if len(seen) != 3*audit.MaxRows {
			t.Fatalf("%s: %d of %d rows", form, len(seen), 3*audit.MaxRows)
		}
		turn(t, s, 400)
	}
}

// A question reads little of a segment.
func TestQuestionReadsLittle(t *testing.T) {
	s := open(t, t.TempDir(), Options{disk: lazy{}})
	r := rand.New(rand.NewPCG(5, 5))
	e := ebpf.Epoch{Series: 1, Number: 1, At: 1000 * second}
	for range 60_000 {
		e.Flows = append(e.Flows, ebpf.Flow{Sliver: "sa", Proto: 6, Src: netip.AddrPortFrom(sliver.Addr(), uint16(r.Uint32())),
			Dst:     netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(r.IntN(200)), byte(r.Uint32()), byte(r.Uint32()), 1}), 443),
			Packets: 1, First: e.At - int64(r.IntN(5000))*millisecond, Last: e.At})
	}
	must(t, s.AppendTenure(tenure))
	must(t, s.Append(e))
	turn(t, s, 2000)
	f, err := s.Who(t.Context(), audit.Who{Src: netip.MustParseAddrPort("203.0.113.1:20500"), Dst: e.Flows[777].Dst, At: e.At, Within: 5 * second})
	must(t, err)
	if f.Verdict() != "exact" || f.Read > 64<<10 {
		t.Fatalf("%s after %d bytes", f.Verdict(), f.Read)
	}
}

// readClosed reads a closed segment from bytes.
func readClosed(b []byte) (*content, error) {
	var n int64
	c := &closed{read: &n, tail: b}
	if err := c.foot(int64(len(b))); err != nil {
		return nil, err
	}
	return c.content()
}

func TestEpochRoundTrip(t *testing.T) {
	e := epoch(3, 4)
	e.Flows[1].Sliver, e.Flows[1].Place = "sb", 9
	e.Flows[2].Src, e.Flows[2].Dst, e.Flows[2].Proto = netip.AddrPortFrom(netip.Addr{}, 3), netip.AddrPort{}, 254
	e.Flows[3].Src, e.Flows[3].Dst = netip.MustParseAddrPort("[fdc4::2]:0"), netip.MustParseAddrPort("[2606:4700::1]:77")
	got, err := decode(encodeEpoch(e))
	must(t, err)
	if !reflect.DeepEqual(got, &e) {
		t.Fatalf("got  %+v\nwant %+v", got, &e)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encodeEpoch(epoch(1, 2)))
	b, _ := encodeTenure(tenure)
	f.Add(b)
	b, _ = encodeState(state{Series: []seen{{Series: 1, Number: 2}}})
	f.Add(b)
	f.Add(encodeAlarm(audit.NewAlarm(audit.AlarmGap, ebpf.Epoch{At: 1}, "x")))
	f.Add(encodeSegment(audit.Segment{Number: 3, Leaves: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decode(b)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		if e, ok := v.(*ebpf.Epoch); ok {
			again, err := decode(encodeEpoch(*e))
			if err != nil || fmt.Sprint(again) != fmt.Sprint(e) {
				t.Fatalf("%+v reads back as %+v, %v", e, again, err)
			}
		}
	})
}

func FuzzReadBlock(f *testing.F) {
	r := rand.New(rand.NewPCG(6, 6))
	n := numbering{end: map[end]uint64{}, shape: map[shape]uint64{}}
	rows := randomEpoch(r, 1, 200).Flows
	sortRows(rows)
	n.base = rows[0].First/millisecond - 10_000
	f.Add(n.appendBlock(nil, rows))
	f.Add(n.appendBlock(nil, rows[:3]))
	f.Fuzz(func(t *testing.T, b []byte) {
		if rows, err := n.readBlock(b); err != nil && !errors.Is(err, ErrSyntax) || len(rows) > blockRows {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
	})
}

func FuzzReadIndexAndBook(f *testing.F) {
	e := epoch(1, 3)
	c := &content{rows: e.Flows, epochs: []audit.EpochLeaf{audit.EpochOf(e)}, tenures: audit.Tenures{tenure}, alarms: audit.AlarmsOf(e, 0)}
	n := numbering{end: map[end]uint64{}, shape: map[shape]uint64{}}
	n.appendBlock(nil, c.rows)
	f.Add(n.index(audit.Segment{Leaves: 5, Rows: 3}, []entry{{size: 9, rows: 3, remote: remote}}))
	f.Add(c.book())
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, _, err := readIndex(b); err != nil && !errors.Is(err, ErrSyntax) {
			t.Fatal(err)
		}
		if _, err := readBook(b); err != nil && !errors.Is(err, ErrSyntax) {
			t.Fatal(err)
		}
	})
}
