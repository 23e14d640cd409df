// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/lease"
)

const second = int64(1e9)

var (
	sliver = netip.MustParseAddrPort("10.200.0.2:40000")
	remote = netip.MustParseAddrPort("198.41.0.4:443")
	tenure = audit.Tenure{Sliver: "sa", Slice: "web@k", Place: 1, First: 20000, Last: 20999, From: 1,
		Ports: []lease.Port{{Proto: lease.TCP, Number: 8443, Inside: 443}}}
)

// epoch has n rows of sliver sa, in the second before number × 10 s.
func epoch(number uint64, n int) ebpf.Epoch {
	e := ebpf.Epoch{Series: 7, Number: number, At: int64(number) * 10 * second}
	for i := range n {
		e.Flows = append(e.Flows, ebpf.Flow{Place: 1, Sliver: "sa", Proto: 6, Src: netip.AddrPortFrom(sliver.Addr(), uint16(40000+i)), Dst: remote,
			Packets: uint64(i + 1), Bytes: 1000, First: e.At - second, Last: e.At - second/2, TCPFlags: 0x12})
		e.Identity.Recorded += uint64(i + 1)
	}
	e.Identity.Seen = e.Identity.Recorded + 3
	e.Identity.Dropped[ebpf.ReasonBytes] = 3
	return e
}

func open(t *testing.T, dir string, opt Options) *Store {
	t.Helper()
	s, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rows counts what the store answers about slice web@k.
func rows(t *testing.T, s *Store) int {
	t.Helper()
	p, err := s.Flows(t.Context(), audit.Flows{Slice: "web@k", Until: 1 << 62})
	must(t, err)
	return len(p.Rows)
}

func TestRecordsSurvive(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	must(t, s.AppendTenure(tenure))
	must(t, s.Append(epoch(1, 3)))
	must(t, s.Append(epoch(2, 2)))
	ended := tenure
	ended.Until = 30 * second
	must(t, s.AppendTenure(ended))
	must(t, s.Close())
	if err := s.Append(epoch(3, 1)); !errors.Is(err, ErrClosed) {
		t.Fatalf("append after close: %v", err)
	}

	s = open(t, dir, Options{})
	if n := rows(t, s); n != 5 {
		t.Fatalf("%d rows, want 5", n)
	}
	f, err := s.Who(t.Context(), audit.Who{Src: netip.MustParseAddrPort("203.0.113.1:20500"), Dst: remote, Proto: 6, At: 19 * second, Within: second})
	must(t, err)
	if f.Verdict() != "exact" || f.Slices[0] != "web@k" || len(f.Answers[0].Rows) != 2 || f.Since != 9*second {
		t.Fatalf("%s %+v", f.Verdict(), f)
	}
	all, err := s.Tenures()
	must(t, err)
	if len(all) != 1 || !reflect.DeepEqual(all[0], ended) {
		t.Fatalf("tenures %+v", all)
	}
}

func TestEpochTwiceIsOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	must(t, s.AppendTenure(tenure))
	must(t, s.Append(epoch(1, 3)))
	must(t, s.Append(epoch(1, 3)))
	must(t, s.Close())
	s = open(t, dir, Options{})
	must(t, s.Append(epoch(1, 3)))
	if n := rows(t, s); n != 3 {
		t.Fatalf("%d rows, want 3", n)
	}
	other := epoch(1, 1)
	other.Series = 8 // after a reboot numbers start again
	must(t, s.Append(other))
	if n := rows(t, s); n != 4 {
		t.Fatalf("%d rows, want 4", n)
	}
}

// Whatever a crash leaves of the last record, what was durable before is there,
// and the next record is too.
func TestTornTailIsCut(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	must(t, s.AppendTenure(tenure))
	must(t, s.Append(epoch(1, 2)))
	durable := s.segments[0].size
	must(t, s.Append(epoch(2, 1)))
	whole, path := s.segments[0].size, s.segments[0].path
	must(t, s.Close())
	b, err := os.ReadFile(path)
	must(t, err)
	for cut := durable; cut < whole; cut++ {
		torn := filepath.Join(t.TempDir(), "torn")
		must(t, os.Mkdir(torn, 0o700))
		must(t, os.WriteFile(filepath.Join(torn, filepath.Base(path)), b[:cut], 0o600))
		s := open(t, torn, Options{})
		if n := rows(t, s); n != 2 {
			t.Fatalf("cut at %d: %d rows, want 2", cut, n)
		}
		must(t, s.Append(epoch(2, 1)))
		if n := rows(t, s); n != 3 {
			t.Fatalf("cut at %d: %d rows after appending, want 3", cut, n)
		}
		must(t, s.Close())
	}
}

// A block that never reached the disk reads as zeros.
func TestTailOfZerosIsCut(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	must(t, s.AppendTenure(tenure))
	must(t, s.Append(epoch(1, 2)))
	path := s.segments[0].path
	must(t, s.Close())
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, append(b, make([]byte, 4096)...), 0o600))
	s = open(t, dir, Options{})
	if n := rows(t, s); n != 2 {
		t.Fatalf("%d rows, want 2", n)
	}
}

func TestCorruptMiddleIsAnError(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	must(t, s.AppendTenure(tenure))
	from := s.segments[0].size
	must(t, s.Append(epoch(1, 2)))
	until, path := s.segments[0].size, s.segments[0].path
	must(t, s.Append(epoch(2, 2)))
	must(t, s.Close())
	b, err := os.ReadFile(path)
	must(t, err)
	for at := from; at < until; at++ {
		bad := slices.Clone(b)
		bad[at] ^= 0x40
		must(t, os.WriteFile(path, bad, 0o600))
		if _, err := Open(dir, Options{}); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d changed: %v, want ErrCorrupt", at, err)
		}
	}
}

func TestSegmentsRollAndAnswersSpanThem(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Span: 30 * time.Second})
	must(t, s.AppendTenure(tenure))
	for n := range uint64(20) {
		must(t, s.Append(epoch(n+1, 2)))
	}
	if len(s.segments) < 4 {
		t.Fatalf("%d segments of 200 s", len(s.segments))
	}
	if n := rows(t, s); n != 40 {
		t.Fatalf("%d rows, want 40", n)
	}
	must(t, s.Close())

	// A crash between a seal and the next segment.
	newest := s.segments[len(s.segments)-1]
	f, err := os.OpenFile(newest.path, os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt(newest.seal(), newest.size)
	must(t, errors.Join(err, f.Close()))
	must(t, os.WriteFile(segmentPath(dir, newest.number+1)+".new", []byte("half"), 0o600))

	s = open(t, dir, Options{Span: 30 * time.Second})
	must(t, s.Append(epoch(20, 2))) // known from the state
	must(t, s.Append(epoch(21, 1)))
	if n := rows(t, s); n != 41 {
		t.Fatalf("%d rows, want 41", n)
	}
}

func TestRetentionAndBudget(t *testing.T) {
	for name, opt := range map[string]Options{
		"retention": {Span: 20 * time.Second, Retention: 100 * time.Second},
		"budget":    {Budget: 40_000},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, opt)
			must(t, s.AppendTenure(tenure))
			for n := range uint64(60) {
				must(t, s.Append(epoch(n+1, 40)))
			}
			p, err := s.Flows(t.Context(), audit.Flows{Until: 1 << 62})
			must(t, err)
			if p.Since < 300*second || p.Since > 580*second || p.Rows[0].First != p.Since || p.Rows[0].Slice != "web@k" {
				t.Fatalf("since %d s, first row %s", p.Since/second, p.Rows[0])
			}
			var total int64
			for _, seg := range s.segments {
				info, err := os.Stat(seg.path)
				must(t, err)
				total += info.Size()
			}
			if opt.Budget > 0 && total > opt.Budget {
				t.Fatalf("%d bytes on disk, budget %d", total, opt.Budget)
			}
		})
	}
}

// disk is a file on a disk with room for so many bytes, whose sync may fail.
type disk struct {
	*os.File
	room *int64
	sync *error
}

func (d disk) WriteAt(b []byte, off int64) (int, error) {
	n := min(int64(len(b)), max(*d.room-off, 0))
	if m, err := d.File.WriteAt(b[:n], off); err != nil {
		return m, err
	}
	if n < int64(len(b)) {
		return int(n), unix.ENOSPC
	}
	return len(b), nil
}

func (d disk) Sync() error { return *d.sync }

func openOn(t *testing.T, dir string, room *int64, sync *error, opt Options) *Store {
	opt.create = func(path string) (file, error) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		return disk{f, room, sync}, err
	}
	return open(t, dir, opt)
}

func TestDiskFull(t *testing.T) {
	dir, room, good := t.TempDir(), int64(1<<20), error(nil)
	s := openOn(t, dir, &room, &good, Options{})
	must(t, s.AppendTenure(tenure))
	must(t, s.Append(epoch(1, 3)))
	room = s.segments[0].size + 20
	if err := s.Append(epoch(2, 50)); !errors.Is(err, ErrDiskFull) || !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("full disk: %v", err)
	}
	if n := rows(t, s); n != 3 {
		t.Fatalf("%d rows on a full disk, want 3", n)
	}
	room = 1 << 20
	must(t, s.Append(epoch(2, 50)))
	must(t, s.Close())
	if n := rows(t, open(t, dir, Options{})); n != 53 {
		t.Fatalf("%d rows, want 53", n)
	}
}

func TestDiskFullWhileRolling(t *testing.T) {
	dir, room, good := t.TempDir(), int64(1<<20), error(nil)
	s := openOn(t, dir, &room, &good, Options{Span: 15 * time.Second})
	must(t, s.AppendTenure(tenure))
	must(t, s.Append(epoch(1, 3)))
	room = 40 // not even the next segment's head
	for range 2 {
		if err := s.Append(epoch(5, 1)); !errors.Is(err, ErrDiskFull) {
			t.Fatalf("full disk: %v", err)
		}
	}
	room = 1 << 20
	must(t, s.Append(epoch(5, 1)))
	must(t, s.Close())
	if n := rows(t, open(t, dir, Options{})); n != 4 {
		t.Fatalf("%d rows, want 4", n)
	}
}

func TestFailedSyncPoisons(t *testing.T) {
	dir, room, sync := t.TempDir(), int64(1<<20), error(nil)
	s := openOn(t, dir, &room, &sync, Options{})
	must(t, s.AppendTenure(tenure))
	sync = unix.EIO
	if err := s.Append(epoch(1, 1)); !errors.Is(err, ErrPoisoned) || !errors.Is(err, unix.EIO) {
		t.Fatalf("failed sync: %v", err)
	}
	sync = nil
	if err := s.Append(epoch(2, 1)); !errors.Is(err, ErrPoisoned) {
		t.Fatalf("after a failed sync: %v", err)
	}
	if _, err := s.Flows(t.Context(), audit.Flows{}); !errors.Is(err, ErrPoisoned) {
		t.Fatalf("question after a failed sync: %v", err)
	}
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Fatalf("opened twice: %v", err)
	}
	must(t, s.Close())
	open(t, dir, Options{})
}

func TestEpochRoundTrip(t *testing.T) {
	e := epoch(3, 4)
	e.Flows[1].Sliver, e.Flows[1].Place = "sb", 9
	e.Flows[2].Src, e.Flows[2].Dst, e.Flows[2].Proto = netip.AddrPort{}, netip.AddrPort{}, ebpf.ProtoFragment
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

// Who asks for a slice that was never here, or for a time when it was not, has
// nothing read.
func TestOnlyTheAskersOwnTimeIsRead(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Span: time.Second})
	ended := tenure
	ended.Until = 30 * second
	must(t, s.AppendTenure(ended))
	for n := range uint64(3) {
		must(t, s.Append(epoch(n+1, 2)))
	}
	late := epoch(1000, 2)
	late.Flows[0].Sliver, late.Flows[1].Sliver = "other", "other"
	must(t, s.Append(late))
	before, err := s.Flows(t.Context(), audit.Flows{Slice: "web@k", From: 1, Until: 1 << 62})
	must(t, err)
	gone, stop := context.WithCancel(t.Context())
	stop() // reading fails, and not reading does not
	p, err := s.Flows(gone, audit.Flows{Slice: "nobody@k", From: 1, Until: 1 << 62})
	if err != nil || len(p.Rows) != 0 || p.Since != before.Since {
		t.Errorf("a slice that was never here: %+v, %v", p, err)
	}
	if _, err := s.Flows(gone, audit.Flows{Slice: "web@k", From: 1, Until: 1 << 62}); !errors.Is(err, context.Canceled) {
		t.Errorf("one that was: %v", err)
	}
	if p, err := s.Flows(gone, audit.Flows{Slice: "web@k", From: 5000 * second, Until: 1 << 62}); err != nil || len(p.Rows) != 0 {
		t.Errorf("long after: %+v, %v", p, err)
	}
	if len(before.Rows) != 6 {
		t.Errorf("%d rows of its own, want 6", len(before.Rows))
	}
}
