// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"croft/ebpf"
	"croft/lease"
)

// Who asks whose packets went from Src to Dst around At. Src's address is the
// node's public one, which its owner compares; port 0 is not known. Proto 0 is
// not known either.
type Who struct {
	Src, Dst netip.AddrPort
	Proto    uint8
	At       int64 // Unix ns
	Within   int64 // ns to both sides of At
}

// Check reports whether q can be answered.
func (q Who) Check() error {
	if !q.Dst.Addr().IsValid() || q.At <= 0 || q.Within < 0 || q.Within > int64(MaxWithin) {
		return fmt.Errorf("question %+v: %w", q, ErrField)
	}
	return nil
}

// Window returns the time that q is about, both ends in it.
func (q Who) Window() (from, until int64) { return q.At - q.Within, q.At + q.Within }

// Ref is where a row is in the node's log. Of a segment that is not closed yet
// it has no leaf, and nothing can be proved.
type Ref struct {
	Segment, Leaf uint64
	Closed        bool
}

// Row is a recorded flow with its slice.
type Row struct {
	Slice string
	ebpf.Flow
	Ref Ref
}

// Answer is one sliver that fits: when it held the port, and the rows that
// show packets to the destination.
type Answer struct {
	Tenure Tenure
	Rows   []Row
}

// Finding is what one node says to a [Who].
type Finding struct {
	Answers []Answer // by sliver
	Slices  []string // of them, each once, sorted
	// Withheld is how many more slices fit, which who asks is not told.
	Withheld int
	Since    int64 // the node's records begin here, Unix ns
	Cut      bool  // there were more than MaxRows rows, or more than MaxRead to read
	Read     int64 // bytes read from the disk for it
}

// Verdict puts the finding into words.
func (f Finding) Verdict() string {
	return Verdict{Slices: f.Slices, Withheld: f.Withheld}.String()
}

// Only leaves in a finding what may be told to one who may know some slices, and
// counts the others.
func (f Finding) Only(may func(slice string) bool) Finding {
	named := slices.DeleteFunc(slices.Clone(f.Slices), func(s string) bool { return !may(s) })
	f.Withheld += len(f.Slices) - len(named)
	f.Slices = named
	f.Answers = slices.DeleteFunc(slices.Clone(f.Answers), func(a Answer) bool { return !slices.Contains(named, a.Tenure.Slice) })
	return f
}

// Join answers q from tenures and rows. Of a sliver that held the port, rows
// from the sliver to the destination count: their source port is the one before
// translation, except for a leased public port, whose inside is known.
func Join(q Who, tenures Tenures, rows iter.Seq[ebpf.Flow]) Finding {
	in := NewInquiry(q, tenures)
	for row := range rows {
		if !in.Take(row, Ref{}) {
			break
		}
	}
	return in.Finding()
}

// Inquiry is [Join] for who brings the rows one by one.
type Inquiry struct {
	q           Who
	from, until int64
	candidates  map[string][]Tenure
	f           Finding
	count       int
}

// NewInquiry begins one.
func NewInquiry(q Who, tenures Tenures) *Inquiry {
	in := &Inquiry{q: q, candidates: map[string][]Tenure{}}
	in.from, in.until = q.Window()
	for _, t := range tenures {
		if t.During(in.from, in.until) && t.sends(q.Proto, q.Src.Port()) {
			in.candidates[t.Sliver] = append(in.candidates[t.Sliver], t)
		}
	}
	return in
}

// Possible reports whether any row can fit: whether somebody held the port.
func (in *Inquiry) Possible() bool { return len(in.candidates) > 0 }

// Take adds a row if it fits, and reports whether more are of use.
func (in *Inquiry) Take(row ebpf.Flow, at Ref) bool {
	q := in.q
	if row.Direction != ebpf.Egress || row.Last < in.from || row.First > in.until ||
		row.Dst.Addr() != q.Dst.Addr() || q.Dst.Port() != 0 && row.Dst.Port() != q.Dst.Port() ||
		q.Proto != 0 && row.Proto != q.Proto {
		return true
	}
	for _, t := range in.candidates[row.Sliver] {
		if !t.During(row.First, row.Last) || !t.from(q.Src.Port(), row) {
			continue
		}
		if in.count == MaxRows {
			in.f.Cut = true
			return false
		}
		in.count++
		in.f.add(t, Row{t.Slice, row, at})
	}
	return true
}

// Finding returns the answer from the rows that were taken.
func (in *Inquiry) Finding() Finding {
	f := &in.f
	slices.SortFunc(f.Answers, func(a, b Answer) int { return compare(a.Tenure, b.Tenure) })
	f.Slices = nil
	for i := range f.Answers {
		slices.SortStableFunc(f.Answers[i].Rows, func(a, b Row) int { return a.Flow.Compare(b.Flow) })
		f.Slices = append(f.Slices, f.Answers[i].Tenure.Slice)
	}
	slices.Sort(f.Slices)
	f.Slices = slices.Compact(f.Slices)
	return *f
}

// from reports whether row can have left the node from port.
func (t Tenure) from(port uint16, row ebpf.Flow) bool {
	if port == 0 || port >= t.First && port <= t.Last {
		return true
	}
	for _, p := range t.Ports {
		if p.Number == port && uint8(p.Proto) == row.Proto && p.Inside == row.Src.Port() {
			return true
		}
	}
	return false
}

func (f *Finding) add(t Tenure, r Row) {
	for i := range f.Answers {
		if a := &f.Answers[i]; compare(a.Tenure, t) == 0 {
			a.Rows = append(a.Rows, r)
			return
		}
	}
	f.Answers = append(f.Answers, Answer{t, []Row{r}})
}

// Flows asks for all rows of a slice that overlap [From, Until]. An empty slice
// is all slices, which only the node's owner may ask.
type Flows struct {
	Slice       string
	From, Until int64 // Unix ns
	After       Cursor
}

// Check reports whether q can be answered.
func (q Flows) Check() error {
	if q.From < 0 || q.Until < q.From || q.After.Seen < 0 {
		return fmt.Errorf("question %+v: %w", q, ErrField)
	}
	return nil
}

// Remote asks for all rows from slivers to a remote address that overlap
// [From, Until]; port 0 is any.
type Remote struct {
	Dst         netip.AddrPort
	From, Until int64 // Unix ns
	After       Cursor
}

// Check reports whether q can be answered.
func (q Remote) Check() error {
	if !q.Dst.Addr().IsValid() || q.From < 0 || q.Until < q.From || q.After.Seen < 0 {
		return fmt.Errorf("question %+v: %w", q, ErrField)
	}
	return nil
}

// Cursor is where an answer goes on: in a segment, behind so many of the rows
// that began at an instant. The zero value is the beginning.
type Cursor struct {
	Segment uint64
	First   int64 // Unix ns
	Seen    int
}

func (c Cursor) String() string { return fmt.Sprintf("%d.%d.%d", c.Segment, c.First, c.Seen) }

// ParseCursor reads the text form.
func ParseCursor(s string) (c Cursor, err error) {
	if _, err := fmt.Sscanf(s, "%d.%d.%d", &c.Segment, &c.First, &c.Seen); err != nil || c.String() != s || c.Seen < 0 {
		return Cursor{}, fmt.Errorf("cursor %.60q: %w", s, lease.ErrSyntax)
	}
	return c, nil
}

// Page is what one node says to a [Flows] or [Remote]: the oldest rows first.
// When it was cut, the next question goes on after Next.
type Page struct {
	Rows  []Row
	Since int64
	Cut   bool
	Next  Cursor
	Read  int64 // bytes read from the disk for it
}

// Select answers q from rows in the order in which they were recorded.
func Select(q Flows, tenures Tenures, rows iter.Seq[ebpf.Flow]) Page {
	var p Page
	for row := range rows {
		slice, ok := q.Takes(row, tenures)
		if !ok {
			continue
		}
		if len(p.Rows) == MaxRows {
			p.Cut = true
			break
		}
		p.Rows = append(p.Rows, Row{Slice: slice, Flow: row})
	}
	return p
}

// Takes reports whether a row is asked for, and whose it is.
func (q Flows) Takes(row ebpf.Flow, tenures Tenures) (slice string, ok bool) {
	if row.Last < q.From || row.First > q.Until {
		return "", false
	}
	t, _ := tenures.Of(row.Sliver, row.First)
	return t.Slice, q.Slice == "" || t.Slice == q.Slice
}

// Takes reports whether a row is asked for, and whose it is.
func (q Remote) Takes(row ebpf.Flow, tenures Tenures) (slice string, ok bool) {
	if row.Direction != ebpf.Egress || row.Last < q.From || row.First > q.Until ||
		row.Dst.Addr() != q.Dst.Addr() || q.Dst.Port() != 0 && row.Dst.Port() != q.Dst.Port() {
		return "", false
	}
	t, _ := tenures.Of(row.Sliver, row.First)
	return t.Slice, true
}

// Past returns the cursor behind rows that follow c in one segment.
func (c Cursor) Past(rows []Row) Cursor {
	for _, r := range rows {
		if r.First != c.First {
			c.First, c.Seen = r.First, 0
		}
		c.Seen++
	}
	return c
}

// Earlier orders rows by when they began, then by what they are.
func Earlier(a, b Row) int {
	return cmp.Or(cmp.Compare(a.First, b.First), a.Flow.Compare(b.Flow), cmp.Compare(a.Last, b.Last),
		cmp.Compare(a.Place, b.Place), cmp.Compare(a.Packets, b.Packets), cmp.Compare(a.Bytes, b.Bytes))
}

// RemoteOf returns the end of a flow that is not the sliver's.
func RemoteOf(f ebpf.Flow) netip.AddrPort {
	if f.Direction == ebpf.Egress {
		return f.Dst
	}
	return f.Src
}

// OfSlice returns the tenures of a slice, or with "" all.
func (ts Tenures) OfSlice(slice string) (out Tenures) {
	for _, t := range ts {
		if slice == "" || t.Slice == slice {
			out = append(out, t)
		}
	}
	return out
}
