// SPDX-License-Identifier: Apache-2.0

package export

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"croft/ebpf"
	"croft/ebpf/audit"
)

var exported = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// each yields rows, then err if there is one.
func each(rows []Record, err error) Records {
	return func(yield func(Record, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
		if err != nil {
			yield(Record{}, err)
		}
	}
}

// draw makes a row of any shape; half of its numbers are extremes.
func draw(rnd *rand.Rand) Record {
	n64 := func() uint64 { return []uint64{0, 1, math.MaxUint64, rnd.Uint64()}[rnd.IntN(4)] }
	n16 := func() uint16 { return uint16([]uint64{0, 1, 65535, rnd.Uint64()}[rnd.IntN(4)]) }
	names := []string{"", "web@k", "müller@z", strings.Repeat("a", 254), strings.Repeat("b", 255), strings.Repeat("c", maxName)}
	r := Record{Node: []string{"n1", "n2"}[rnd.IntN(2)], Row: audit.Row{Slice: names[rnd.IntN(len(names))], Flow: ebpf.Flow{
		Sliver: names[rnd.IntN(len(names))], Direction: ebpf.Direction(rnd.IntN(2)), Packets: n64(), Bytes: n64(),
		First: rnd.Int64N(4e18), TCPFlags: uint8(rnd.Uint32())}}}
	r.Last = r.First + rnd.Int64N(1e12)
	address := func(n int) netip.AddrPort {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		a, _ := netip.AddrFromSlice(b)
		return netip.AddrPortFrom(a, n16())
	}
	switch kind := rnd.IntN(5); kind {
	case 0: // ARP, fragments, what the node moved
		r.Proto = []uint8{ebpf.ProtoARP, ebpf.ProtoFragment, 254}[rnd.IntN(3)]
		r.Src = netip.AddrPortFrom(netip.Addr{}, n16())
	case 1, 2:
		r.Proto, r.Src, r.Dst = []uint8{protoTCP, 17, protoICMP, protoICMPv6, 47}[rnd.IntN(5)], address(4), address(4)
	default:
		r.Proto, r.Src, r.Dst = []uint8{protoTCP, 17, protoICMP, protoICMPv6, 132}[rnd.IntN(5)], address(16), address(16)
	}
	return r
}

func draws(seed uint64, n int) (rows []Record) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range n {
		rows = append(rows, draw(rnd))
	}
	return rows
}

func TestParquetIsReadBack(t *testing.T) {
	rows := draws(1, rowGroup+1000)
	var file bytes.Buffer
	if err := Parquet(&file, each(rows, nil)); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.RowGroups()); n != 2 {
		t.Errorf("%d row groups, want 2: memory is bounded by one", n)
	}
	got, err := parquet.Read[table](bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil || len(got) != len(rows) {
		t.Fatalf("%d rows of %d, %v", len(got), len(rows), err)
	}
	for i, r := range rows {
		if want := columns(r); !reflect.DeepEqual(got[i], want) {
			t.Fatalf("row %d is %+v, want %+v", i, got[i], want)
		}
	}
	for name, want := range map[string]string{"first": "TIMESTAMP", "source_port": "INT(16,false)", "source": "STRING"} {
		if got := f.Root().Column(name).Type().String(); !strings.HasPrefix(got, want) {
			t.Errorf("column %s is %s, want %s", name, got, want)
		}
	}
}

// A month of a busy node does not fit into memory.
func TestParquetNeedsLittleMemory(t *testing.T) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const groups = 12
	var after [2]uint64 // half-way through the second and the last row group
	rows := func(yield func(Record, error) bool) {
		r := Record{Node: "n", Row: audit.Row{Slice: "web@k", Flow: ebpf.Flow{Sliver: "s", Proto: protoTCP}}}
		rnd := rand.New(rand.NewPCG(2, 0))
		for i := range groups * rowGroup {
			r.Packets, r.Bytes, r.First, r.Last = rnd.Uint64(), rnd.Uint64(), rnd.Int64(), rnd.Int64()
			if !yield(r, nil) {
				return
			}
			switch i {
			case rowGroup * 3 / 2:
				after[0] = heap()
			case rowGroup * (2*groups - 1) / 2:
				after[1] = heap()
			}
		}
	}
	if err := Parquet(io.Discard, rows); err != nil {
		t.Fatal(err)
	}
	// A row group has 2 MB here, and each of the compressor's histories 8 MB.
	if after[1] > after[0]+17<<20 {
		t.Errorf("%d MB in use %d row groups later, %d MB before", after[1]>>20, groups-2, after[0]>>20)
	}
}

func TestCSVHasTheSameRows(t *testing.T) {
	rows := draws(3, 500)
	var file bytes.Buffer
	if err := CSV(&file, each(rows, nil)); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&file).ReadAll()
	if err != nil || len(lines) != len(rows)+1 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	schema := parquet.SchemaOf(table{})
	for i, f := range schema.Fields() {
		if lines[0][i] != f.Name() {
			t.Errorf("column %d is %s, of Parquet %s", i, lines[0][i], f.Name())
		}
	}
	for i, r := range rows {
		line := lines[i+1]
		if line[2] != r.Sliver || line[15] != number64(r.Bytes) || (line[5] == "") != !r.Src.IsValid() && r.Src.Addr().IsValid() {
			t.Fatalf("row %d: %q for %+v", i, line, r)
		}
		if last, err := time.Parse(time.RFC3339Nano, line[17]); err != nil || last.UnixNano() != r.Last {
			t.Fatalf("row %d ends %s, want %d ns: %v", i, line[17], r.Last, err)
		}
	}
}

func number64(n uint64) string { return string(appendUint(nil, n)) }

func appendUint(b []byte, n uint64) []byte {
	if n >= 10 {
		b = appendUint(b, n/10)
	}
	return append(b, byte('0'+n%10))
}

func TestRowsThatAreRefused(t *testing.T) {
	four, six := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("[2001:db8::1]:1")
	good := Record{Node: "n", Row: audit.Row{Slice: "s", Flow: ebpf.Flow{Sliver: "x", Src: four, Dst: four}}}
	writers := map[string]func(io.Writer, Records) error{"parquet": Parquet, "csv": CSV,
		"ipfix": func(w io.Writer, r Records) error { return IPFIX(w, exported, r) }}
	for name, change := range map[string]func(*Record){
		"two families":   func(r *Record) { r.Dst = six },
		"one address":    func(r *Record) { r.Dst = netip.AddrPort{} },
		"a zone":         func(r *Record) { r.Src = netip.MustParseAddrPort("[fe80::1%eth0]:1"); r.Dst = six },
		"no UTF-8":       func(r *Record) { r.Sliver = "\xff" },
		"a long name":    func(r *Record) { r.Slice = strings.Repeat("a", maxName+1) },
		"no direction":   func(r *Record) { r.Direction = 2 },
		"before 1970":    func(r *Record) { r.First = -1 },
		"after the next": func(r *Record) { r.Last = math.MaxInt64 },
	} {
		for form, write := range writers {
			if strings.HasPrefix(name, "before") || strings.HasPrefix(name, "after") {
				if form != "ipfix" { // the others have signed 64 bits
					continue
				}
			}
			r := good
			change(&r)
			if err := write(io.Discard, each([]Record{good, r}, nil)); !errors.Is(err, ErrRow) {
				t.Errorf("%s, %s: %v, want ErrRow", form, name, err)
			}
		}
	}
	gone := errors.New("the node is gone")
	for form, write := range writers {
		if err := write(io.Discard, each([]Record{good}, gone)); !errors.Is(err, gone) {
			t.Errorf("%s: %v, want the rows' own error", form, err)
		}
		if err := write(full{}, each(draws(4, 100_000), nil)); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%s: %v, want the disk's error", form, err)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// FuzzIPFIX has any row written and read again by a reader that knows RFC 7011
// and the templates in the file, no more.
func FuzzIPFIX(f *testing.F) {
	f.Add(uint64(1), uint16(3), "web@k", "sliver", int64(1), int64(2), uint64(3), uint64(4))
	f.Add(uint64(2), uint16(400), strings.Repeat("x", 255), "", int64(4e18), int64(math.MaxInt64), uint64(math.MaxUint64), uint64(0))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16, slice, sliver string, first, last int64, packets, octets uint64) {
		rows := draws(seed, int(n%500))
		odd := draw(rand.New(rand.NewPCG(seed, 1)))
		odd.Slice, odd.Sliver, odd.First, odd.Last, odd.Packets, odd.Bytes = slice, sliver, first, last, packets, octets
		rows = append(rows, odd)
		var file bytes.Buffer
		if err := IPFIX(&file, exported, each(rows, nil)); err != nil {
			if !errors.Is(err, ErrRow) {
				t.Fatal(err)
			}
			return
		}
		judge(t, file.Bytes(), rows)
	})
}

// judge reads a file of rows and holds it against them, in the order in which
// each node's come.
func judge(t *testing.T, file []byte, rows []Record) {
	t.Helper()
	want := map[string][]Record{}
	for _, r := range rows {
		want[r.Node] = append(want[r.Node], r)
	}
	got := map[string][]Record{}
	type state struct {
		sequence       uint32
		name           string
		templates      map[uint16][]field
		messages, sent uint64
		closed         bool
	}
	domains := map[uint32]*state{}
	for len(file) > 0 {
		if len(file) < 16 || binary.BigEndian.Uint16(file) != 10 {
			t.Fatalf("no header: %x", file[:min(len(file), 16)])
		}
		length := int(binary.BigEndian.Uint16(file[2:]))
		m := file[:length]
		file = file[length:]
		if at := binary.BigEndian.Uint32(m[4:]); int64(at) != exported.Unix() {
			t.Fatalf("exported at %d", at)
		}
		id := binary.BigEndian.Uint32(m[12:])
		d := domains[id]
		if d == nil {
			d = &state{templates: map[uint16][]field{}}
			domains[id] = d
		}
		if seq := binary.BigEndian.Uint32(m[8:]); seq != d.sequence {
			t.Fatalf("domain %d: sequence number %d, want %d", id, seq, d.sequence)
		}
		for set := range sets(t, m[16:]) {
			switch kind, body := binary.BigEndian.Uint16(set), set[4:]; {
			case kind == 2, kind == 3:
				readTemplates(t, kind == 3, body, d.templates)
			default:
				fields := d.templates[kind]
				if fields == nil {
					t.Fatalf("set %d has no template", kind)
				}
				for len(body) > 0 {
					var values map[uint32][]byte
					values, body = readRecord(t, fields, body)
					d.sequence++
					switch kind {
					case domainOptions.id:
						d.name = string(values[300])
					case typeOptions.id:
					case countOptions.id:
						d.closed = true
						n := binary.BigEndian.Uint64
						if n(values[41]) != d.messages || n(values[42]) != uint64(len(got[d.name])) || n(values[40]) != d.sent {
							t.Errorf("domain %d says %d messages, %d flows, %d octets; they are %d, %d, %d", id,
								n(values[41]), n(values[42]), n(values[40]), d.messages, len(got[d.name]), d.sent)
						}
					default:
						got[d.name] = append(got[d.name], rowOf(d.name, values))
					}
				}
			}
		}
		d.messages++
		d.sent += uint64(length)
	}
	for id, d := range domains {
		if !d.closed {
			t.Errorf("domain %d ends without its account", id)
		}
	}
	for node, list := range want {
		if len(got[node]) != len(list) {
			t.Fatalf("node %s: %d rows, want %d", node, len(got[node]), len(list))
		}
		for i, r := range list {
			if kind := r.shape(); kind != shapePorts {
				r.TCPFlags = 0
			}
			if got[node][i] != r {
				t.Fatalf("node %s, row %d:\n got %+v\nwant %+v", node, i, got[node][i], r)
			}
		}
	}
}

type field struct {
	id     uint32 // with the enterprise in the upper half
	length uint16
}

func sets(t *testing.T, b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := int(binary.BigEndian.Uint16(b[2:]))
			if n < 4 || n > len(b) {
				t.Fatalf("set of %d bytes, %d left", n, len(b))
			}
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

func readTemplates(t *testing.T, options bool, b []byte, into map[uint16][]field) {
	for len(b) > 0 {
		id, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		b = b[4:]
		if options {
			if scope := binary.BigEndian.Uint16(b); scope == 0 || int(scope) > n {
				t.Fatalf("template %d has %d scope fields", id, scope)
			}
			b = b[2:]
		}
		var fields []field
		for range n {
			f := field{uint32(binary.BigEndian.Uint16(b)), binary.BigEndian.Uint16(b[2:])}
			b = b[4:]
			if f.id&0x8000 != 0 {
				f.id = f.id&0x7fff | binary.BigEndian.Uint32(b)<<16
				b = b[4:]
			}
			fields = append(fields, f)
		}
		into[id] = fields
	}
}

func readRecord(t *testing.T, fields []field, b []byte) (map[uint32][]byte, []byte) {
	values := map[uint32][]byte{}
	for _, f := range fields {
		n := int(f.length)
		if f.length == 65535 {
			n, b = int(b[0]), b[1:]
			if n == 255 {
				n, b = int(binary.BigEndian.Uint16(b)), b[2:]
			}
		}
		if n > len(b) {
			t.Fatalf("field %d of %d bytes, %d left", f.id, n, len(b))
		}
		values[f.id], b = b[:n], b[n:]
	}
	return values, b
}

// rowOf makes a row of what a collector has.
func rowOf(node string, v map[uint32][]byte) Record {
	own := func(n uint32) []byte { return v[enterprise<<16|n] }
	r := Record{Node: node, Row: audit.Row{Slice: string(own(1)), Flow: ebpf.Flow{Sliver: string(own(2)), Proto: v[4][0],
		Packets: binary.BigEndian.Uint64(v[2]), Bytes: binary.BigEndian.Uint64(v[1]), First: unixOf(v[156]), Last: unixOf(v[157])}}}
	if v[61][0] == 0 {
		r.Direction = ebpf.Ingress
	}
	port := func(b []byte) uint16 {
		if b == nil {
			return 0
		}
		return binary.BigEndian.Uint16(b)
	}
	src, _ := netip.AddrFromSlice(append(v[8], v[27]...))
	dst, _ := netip.AddrFromSlice(append(v[12], v[28]...))
	r.Src = netip.AddrPortFrom(src, port(v[7])|port(v[32])|port(v[139])|port(own(4)))
	r.Dst = netip.AddrPortFrom(dst, port(v[11])|port(own(3)))
	if f := v[6]; f != nil {
		r.TCPFlags = f[1]
	}
	return r
}

// unixOf cuts an NTP timestamp to nanoseconds since 1970.
func unixOf(b []byte) int64 {
	sec, fraction := int64(binary.BigEndian.Uint32(b)), uint64(binary.BigEndian.Uint32(b[4:]))
	if sec < 1<<31 {
		sec += 1 << 32
	}
	return (sec-2_208_988_800)*1e9 + int64(fraction*1e9>>32)
}

func TestIPFIXOfManyNodes(t *testing.T) {
	var file bytes.Buffer
	rows := draws(5, 20_000) // the two nodes take turns, as rows of a sorted list would
	if err := IPFIX(&file, exported, each(rows, nil)); err != nil {
		t.Fatal(err)
	}
	judge(t, file.Bytes(), rows)
	file.Reset()
	if err := IPFIX(&file, exported, each(nil, nil)); err != nil || file.Len() != 0 {
		t.Errorf("no rows make %d bytes, %v", file.Len(), err)
	}
}
