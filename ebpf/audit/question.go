// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"croft/ebpf"
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

// Row is a recorded flow with its slice.
type Row struct {
	Slice string
	ebpf.Flow
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
	Since   int64    // the node's records begin here, Unix ns
	Cut     bool     // there were more than MaxRows rows
}

// Verdict puts the finding into words.
func (f Finding) Verdict() string {
	switch len(f.Slices) {
	case 0:
		return "none"
	case 1:
		return "exact"
	}
	return fmt.Sprintf("one of %d slices", len(f.Slices))
}

// Join answers q from tenures and rows. Of a sliver that held the port, rows
// from the sliver to the destination count: their source port is the one before
// translation, except for a leased public port, whose inside is known.
func Join(q Who, tenures Tenures, rows iter.Seq[ebpf.Flow]) Finding {
	from, until := q.Window()
	var f Finding
	candidates := map[string][]Tenure{}
	for _, t := range tenures {
		if t.during(from, until) && t.sends(q.Proto, q.Src.Port()) {
			candidates[t.Sliver] = append(candidates[t.Sliver], t)
		}
	}
	count := 0
	for row := range rows {
		if row.Direction != ebpf.Egress || row.Last < from || row.First > until ||
			row.Dst.Addr() != q.Dst.Addr() || q.Dst.Port() != 0 && row.Dst.Port() != q.Dst.Port() ||
			q.Proto != 0 && row.Proto != q.Proto {
			continue
		}
		for _, t := range candidates[row.Sliver] {
			if !t.during(row.First, row.Last) || !t.from(q.Src.Port(), row) {
				continue
			}
			if count++; count > MaxRows {
				f.Cut = true
				continue
			}
			f.add(t, Row{t.Slice, row})
		}
	}
	slices.SortFunc(f.Answers, func(a, b Answer) int { return compare(a.Tenure, b.Tenure) })
	for i := range f.Answers {
		slices.SortStableFunc(f.Answers[i].Rows, func(a, b Row) int { return a.Flow.Compare(b.Flow) })
		f.Slices = append(f.Slices, f.Answers[i].Tenure.Slice)
	}
	slices.Sort(f.Slices)
	f.Slices = slices.Compact(f.Slices)
	return f
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
}

// Check reports whether q can be answered.
func (q Flows) Check() error {
	if q.From < 0 || q.Until < q.From {
		return fmt.Errorf("question %+v: %w", q, ErrField)
	}
	return nil
}

// Page is what one node says to a [Flows]: the oldest rows first. When it was
// cut, the next question begins at the last row's First.
type Page struct {
	Rows  []Row
	Since int64
	Cut   bool
}

// Select answers q from rows in the order in which they were recorded.
func Select(q Flows, tenures Tenures, rows iter.Seq[ebpf.Flow]) Page {
	var p Page
	for row := range rows {
		if row.Last < q.From || row.First > q.Until {
			continue
		}
		t, _ := tenures.Of(row.Sliver, row.First)
		if q.Slice != "" && t.Slice != q.Slice {
			continue
		}
		if len(p.Rows) == MaxRows {
			p.Cut = true
			break
		}
		p.Rows = append(p.Rows, Row{t.Slice, row})
	}
	return p
}
