// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"croft/ebpf"
	"croft/lease"
)

const second = int64(1e9)

var remote = netip.MustParseAddrPort("198.41.0.4:443")

func row(sliver, src string, dst netip.AddrPort, first, last int64) ebpf.Flow {
	return ebpf.Flow{Sliver: sliver, Proto: 6, Src: netip.MustParseAddrPort(src), Dst: dst, Packets: 1, Bytes: 40, First: first, Last: last}
}

// Place 1 passes from slice a to slice b at 100 s; slice c serves on port 443.
//
//	block 2000-2999   aaaaaaaaaa│bbbbbbbbbb
//	block 3000-3999   cccccccccccccccccccc   public 8443 is its 443
//	                  0         100        200 s
var (
	tenures = Tenures{}.
		Put(Tenure{Sliver: "sa", Slice: "a@x", Place: 1, First: 2000, Last: 2999, From: 1, Until: 99 * second}).
		Put(Tenure{Sliver: "sb", Slice: "b@y", Place: 1, First: 2000, Last: 2999, From: 100 * second}).
		Put(Tenure{Sliver: "sc", Slice: "c@z", Place: 2, First: 3000, Last: 3999, From: 1, Ports: []lease.Port{{Proto: lease.TCP, Number: 8443, Inside: 443}}})
	records = []ebpf.Flow{
		row("sa", "10.0.0.2:50000", remote, 10*second, 20*second),
		row("sb", "10.0.0.2:50000", remote, 110*second, 120*second),
		row("sc", "10.0.0.3:443", remote, 10*second, 20*second),
		row("sc", "10.0.0.3:50001", remote, 115*second, 116*second),
	}
)

func TestWho(t *testing.T) {
	for _, c := range []struct {
		name   string
		port   uint16
		at     int64
		within int64
		want   string
	}{
		{"the holder then", 2500, 15 * second, 0, "a@x"},
		{"the holder now", 2500, 115 * second, 0, "b@y"},
		{"both, around the change", 2500, 65 * second, 50 * second, "a@x b@y"},
		{"held, sent nothing", 2500, 50 * second, 5 * second, ""},
		{"another's block", 3500, 115 * second, 0, "c@z"},
		{"a public port", 8443, 15 * second, 0, "c@z"},
		{"a public port, another flow", 8443, 115 * second, 0, ""},
		{"nobody's port", 99, 15 * second, 0, ""},
		{"port not known", 0, 15 * second, 0, "a@x c@z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := Who{Src: netip.AddrPortFrom(netip.MustParseAddr("198.51.5.5"), c.port), Dst: remote, At: c.at, Within: c.within}
			if err := q.Check(); err != nil {
				t.Fatal(err)
			}
			got := Join(q, tenures, slices.Values(records))
			var names string
			for i, s := range got.Slices {
				if i > 0 {
					names += " "
				}
				names += s
			}
			if names != c.want {
				t.Fatalf("%s: %q, want %q (%+v)", got.Verdict(), names, c.want, got.Answers)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	for want, slices := range map[string][]string{"none": nil, "exact": {"a"}, "one of 3 slices": {"a", "b", "c"}} {
		if got := (Finding{Slices: slices}).Verdict(); got != want {
			t.Errorf("%v: %q, want %q", slices, got, want)
		}
	}
}

func TestWhoIsCut(t *testing.T) {
	q := Who{Src: netip.MustParseAddrPort("198.51.5.5:2500"), Dst: remote, At: 15 * second}
	many := func(yield func(ebpf.Flow) bool) {
		for range MaxRows + 1 {
			if !yield(records[0]) {
				return
			}
		}
	}
	if f := Join(q, tenures, many); !f.Cut || len(f.Answers[0].Rows) != MaxRows {
		t.Fatalf("cut %v, %d rows", f.Cut, len(f.Answers[0].Rows))
	}
}

func TestFlows(t *testing.T) {
	p := Select(Flows{Slice: "c@z", From: 0, Until: 200 * second}, tenures, slices.Values(records))
	if len(p.Rows) != 2 || p.Rows[0].Slice != "c@z" || p.Rows[1].First != 115*second || p.Cut {
		t.Fatalf("%+v", p)
	}
	p = Select(Flows{Slice: "c@z", From: 21 * second, Until: 114 * second}, tenures, slices.Values(records))
	if len(p.Rows) != 0 {
		t.Fatalf("between its flows: %+v", p)
	}
	if p = Select(Flows{Until: 200 * second}, tenures, slices.Values(records)); len(p.Rows) != 4 {
		t.Fatalf("the owner sees %d rows of 4", len(p.Rows))
	}
}

func TestTenuresPutReplaces(t *testing.T) {
	ts := Tenures{}.Put(Tenure{Sliver: "s", Slice: "a", From: 5}).Put(Tenure{Sliver: "s", Slice: "a", From: 5, Until: 9})
	if len(ts) != 1 || ts[0].Until != 9 {
		t.Fatalf("%+v", ts)
	}
	if left := ts.EndedBefore(10); len(left) != 0 || len(ts) != 1 {
		t.Fatalf("%+v of %+v", left, ts)
	}
	if left := ts.EndedBefore(9); len(left) != 1 {
		t.Fatalf("%+v", left)
	}
}

func TestChecks(t *testing.T) {
	for name, err := range map[string]error{
		"no destination": Who{At: 1}.Check(),
		"no time":        Who{Dst: remote}.Check(),
		"everything":     Who{Dst: remote, At: 1, Within: int64(MaxWithin) + 1}.Check(),
		"backwards":      Flows{From: 2, Until: 1}.Check(),
		"no sliver":      Tenure{Slice: "a", From: 1}.Check(),
		"block":          Tenure{Sliver: "s", Slice: "a", From: 1, First: 2, Last: 1}.Check(),
	} {
		if !errors.Is(err, ErrField) {
			t.Errorf("%s: %v, want ErrField", name, err)
		}
	}
}
