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

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/lease"
	"croft/lease/leasetest"
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

func open(t testing.TB, dir string, opt Options) *Store {
	t.Helper()
	opt.Node = leasetest.Who("n1")
	if opt.Reserve == 0 {
		opt.Reserve = -1
	}
	s, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// turn does what is due at a time in seconds.
func turn(t testing.TB, s *Store, at int64) *audit.OpenedHead {
	t.Helper()
	h, err := s.Turn(t.Context(), time.Unix(at, 0), leasetest.Key("n1"))
	must(t, err)
	return h
}

// rows counts what the store answers about slice web@k.
func rows(t testing.TB, s *Store) int {
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
	for _, form := range []string{"open", "closed"} {
		if n := rows(t, s); n != 5 {
			t.Fatalf("%s: %d rows, want 5", form, n)
		}
		f, err := s.Who(t.Context(), audit.Who{Src: netip.MustParseAddrPort("203.0.113.1:20500"), Dst: remote, Proto: 6, At: 19 * second, Within: second})
		must(t, err)
		if f.Verdict() != "exact" || f.Slices[0] != "web@k" || len(f.Answers[0].Rows) != 2 || f.Since != 9*second || f.Read == 0 {
			t.Fatalf("%s: %s %+v", form, f.Verdict(), f)
		}
		all, err := s.Tenures()
		must(t, err)
		if len(all) != 1 || !reflect.DeepEqual(all[0], ended) {
			t.Fatalf("%s: tenures %+v", form, all)
		}
		if h := turn(t, s, 400); form == "open" && (h == nil || h.Size != 1) {
			t.Fatalf("head after five minutes: %+v", h)
		}
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
	turn(t, s, 400)
	must(t, s.Append(epoch(1, 3))) // known from what the next segment took over
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

// Whatever a crash leaves of the last record of any file, what was durable before
// is there, and the next record is too.
func TestTornTailIsCut(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	must(t, s.AppendTenure(tenure))
	must(t, s.Append(epoch(1, 2)))
	durable := map[string]int64{s.file.path: s.file.size, s.holders.path: s.holders.size}
	must(t, s.Append(epoch(2, 1)))
	other := tenure
	other.Sliver = "sb"
	must(t, s.AppendTenure(other))
	must(t, s.Close())
	for path, from := range durable {
		b, err := os.ReadFile(path)
		must(t, err)
		for cut := from; cut < int64(len(b)); cut++ {
			for _, tail := range [][]byte{nil, make([]byte, 300)} { // of a block that never reached the disk
				torn := filepath.Join(t.TempDir(), "torn")
				must(t, os.CopyFS(torn, os.DirFS(dir)))
				must(t, os.WriteFile(filepath.Join(torn, filepath.Base(path)), append(slices.Clone(b[:cut]), tail...), 0o600))
				s := open(t, torn, Options{disk: lazy{}})
				if n := rows(t, s); n < 2 || n > 3 {
					t.Fatalf("%s cut at %d: %d rows, want 2 or 3", path, cut, n)
				}
				must(t, s.Append(epoch(2, 1)))
				must(t, s.AppendTenure(other))
				if n, all := rows(t, s), s.tenures; n != 3 || len(all) != 2 {
					t.Fatalf("%s cut at %d: %d rows after appending, want 3; %d tenures", path, cut, n, len(all))
				}
				must(t, s.Close())
			}
		}
	}
}

// lazy syncs nothing: for tests that make a thousand stores.
type lazy struct{ realDisk }

func (l lazy) create(path string) (file, error) {
	f, err := l.realDisk.create(path)
	return unsynced{f}, err
}

func (l lazy) open(path string) (file, error) {
	f, err := l.realDisk.open(path)
	return unsynced{f}, err
}
func (lazy) syncDir(string) error { return nil }

type unsynced struct{ file }

func (unsynced) Sync() error { return nil }

func TestCorruptMiddleIsAnError(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{disk: lazy{}})
	must(t, s.AppendTenure(tenure))
	must(t, s.AppendTenure(tenure))
	must(t, s.Append(epoch(1, 2)))
	until := map[string]int64{s.file.path: s.file.size, s.holders.path: s.holders.size}
	must(t, s.Append(epoch(2, 2)))
	must(t, s.AppendTenure(tenure))
	must(t, s.Close())
	for path, until := range until {
		b, err := os.ReadFile(path)
		must(t, err)
		for at := range until {
			bad := slices.Clone(b)
			bad[at] ^= 0x40
			must(t, os.WriteFile(path, bad, 0o600))
			if _, err := Open(dir, Options{Node: leasetest.Who("n1"), Reserve: -1, disk: lazy{}}); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%s: byte %d changed: %v, want ErrCorrupt", path, at, err)
			}
		}
		must(t, os.WriteFile(path, b, 0o600))
	}
}

// Not one byte of a closed segment can be another: questions, or the leaf of the
// log, find it.
func TestCorruptClosedSegmentIsFound(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	must(t, s.AppendTenure(tenure))
	must(t, s.Append(epoch(1, 300)))
	turn(t, s, 400)
	must(t, s.Check(0))
	path := closedPath(dir, 0)
	b, err := os.ReadFile(path)
	must(t, err)
	for at := range b {
		bad := slices.Clone(b)
		bad[at] ^= 0x40
		must(t, os.WriteFile(path, bad, 0o600))
		if err := s.Check(0); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d of %d changed: %v, want ErrCorrupt", at, len(b), err)
		}
	}
	for cut := range len(b) {
		must(t, os.WriteFile(path, b[:cut], 0o600))
		if err := s.Check(0); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut at %d of %d: %v, want ErrCorrupt", cut, len(b), err)
		}
	}
	must(t, os.Remove(path))
	if err := s.Check(0); !errors.Is(err, ErrGone) {
		t.Fatalf("removed: %v", err)
	}
}

func TestLogIsHeldAgainstItsHeads(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{disk: lazy{}})
	must(t, s.Append(epoch(1, 2)))
	turn(t, s, 400)
	must(t, s.Close())
	path := filepath.Join(dir, "log")
	b, err := os.ReadFile(path)
	must(t, err)
	for at := range b {
		bad := slices.Clone(b)
		bad[at] ^= 1
		must(t, os.WriteFile(path, bad, 0o600))
		again, err := Open(dir, Options{Node: leasetest.Who("n1"), Reserve: -1, disk: lazy{}})
		if err == nil { // the last frame is a torn tail, and the head is signed again
			if _, ok := again.Head(); ok || again.Close() != nil {
				t.Fatalf("byte %d changed and nobody noticed", at)
			}
		} else if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d changed: %v", at, err)
		}
	}
	must(t, os.WriteFile(path, b, 0o600))
	if _, err := Open(dir, Options{Node: leasetest.Who("n2"), Reserve: -1, disk: lazy{}}); err == nil {
		t.Fatal("another node goes on with this log")
	}
}

func TestSegmentsCloseAndAnswersSpanThem(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Span: 30 * time.Second})
	must(t, s.AppendTenure(tenure))
	var heads []audit.OpenedHead
	for n := range uint64(20) {
		must(t, s.Append(epoch(n+1, 2)))
		if n%3 == 0 {
			if h := turn(t, s, int64(n+1)*10); h != nil {
				heads = append(heads, *h)
			}
		}
		if got := rows(t, s); got != int(2*n+2) {
			t.Fatalf("%d rows after %d epochs", got, n+1)
		}
	}
	if len(heads) < 4 || len(s.records) < 4 {
		t.Fatalf("%d heads, %d segments of 200 s", len(heads), len(s.records))
	}
	must(t, s.Close())
	s = open(t, dir, Options{Span: 30 * time.Second})
	must(t, s.Append(epoch(20, 2))) // known from the state
	must(t, s.Append(epoch(21, 1)))
	if n := rows(t, s); n != 41 {
		t.Fatalf("%d rows, want 41", n)
	}
	turn(t, s, 1000)
	for _, old := range heads {
		p, err := s.Consistency(old)
		must(t, err)
		if _, err := audit.VerifyProof(p.Bytes()); err != nil {
			t.Fatalf("from %d: %v", old.Size, err)
		}
	}
}

func TestProve(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Span: 30 * time.Second})
	must(t, s.AppendTenure(tenure))
	for n := range uint64(9) {
		must(t, s.Append(epoch(n+1, 5)))
	}
	if _, err := s.Prove(0, 0); !errors.Is(err, ErrNotYet) {
		t.Fatalf("before it is closed: %v", err)
	}
	turn(t, s, 100)
	q := audit.Who{Src: netip.MustParseAddrPort("203.0.113.1:20500"), Dst: remote, At: 19 * second, Within: second}
	f, err := s.Who(t.Context(), q)
	must(t, err)
	row := f.Answers[0].Rows[2]
	p, err := s.Prove(row.Ref.Segment, row.Ref.Leaf)
	must(t, err)
	shown, err := audit.VerifyProof(p.Bytes())
	must(t, err)
	if len(shown.Rows) != 1 || shown.Rows[0] != row.Flow || len(shown.Tenures) != 1 {
		t.Fatalf("shown %+v", shown)
	}
	if again := audit.Join(q, shown.Tenures, slices.Values(shown.Rows)); again.Verdict() != "exact" || again.Slices[0] != "web@k" {
		t.Fatalf("what is shown answers %s", again.Verdict())
	}
	account, err := s.ProveAccount(0)
	must(t, err)
	if shown, err = account.Verify(); err != nil || len(shown.Epochs) == 0 || shown.Epochs[0].Seen != 18 || !slices.Equal(shown.Epochs[0].Dropped[10:], []uint64{3}) {
		t.Fatalf("account %+v, %v", shown.Epochs, err)
	}
	if _, err := s.Prove(0, 1<<40); !errors.Is(err, audit.ErrField) {
		t.Fatalf("a row that is not there: %v", err)
	}
}

// Who rewrites a segment and the log, and signs anew, is found out by whoever
// kept an old head.
func TestRewrittenStoreIsFoundOut(t *testing.T) {
	honest, forged := t.TempDir(), t.TempDir()
	write := func(dir string, n int) *Store {
		s := open(t, dir, Options{Span: 30 * time.Second})
		must(t, s.AppendTenure(tenure))
		for i := range uint64(12) {
			must(t, s.Append(epoch(i+1, n)))
			turn(t, s, int64(i+1)*10)
		}
		return s
	}
	a, b := write(honest, 2), write(forged, 1)
	old, _ := a.Head()
	must(t, b.Append(epoch(13, 1)))
	turn(t, b, 1000)
	p, err := b.Consistency(old)
	must(t, err)
	if _, err := p.Verify(); !errors.Is(err, audit.ErrProofGrown) {
		t.Fatalf("the rewritten log goes on from the old head: %v", err)
	}
	x, err := a.Prove(0, 0)
	must(t, err)
	y, err := b.Prove(0, 0)
	must(t, err)
	fork, ok := audit.ForkOfInclusions(x, y)
	if !ok {
		t.Fatal("no fork")
	}
	if s, err := audit.VerifyProof(fork.Bytes()); err != nil || s.Head.Node != leasetest.Who("n1") {
		t.Fatalf("fork: %v", err)
	}
}

func TestRetentionAndBudget(t *testing.T) {
	for name, opt := range map[string]Options{
		"retention": {Span: 20 * time.Second, Retention: 6000 * time.Second},
		"budget":    {Span: 20 * time.Second, Budget: 250_000},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			opt.disk = lazy{}
			s := open(t, dir, opt)
			must(t, s.AppendTenure(tenure))
			const epochs = 1200
			for n := range uint64(epochs) {
				must(t, s.Append(epoch(n+1, 5)))
				if n%2 == 1 {
					turn(t, s, int64(n+1)*10)
				}
			}
			p, err := s.Flows(t.Context(), audit.Flows{Until: 1 << 62})
			must(t, err)
			if opt.Retention > 0 && (p.Since < (epochs*10-6100)*second || p.Since > (epochs*10-5900)*second) || p.Rows[0].First != p.Since || p.Rows[0].Slice != "web@k" {
				t.Fatalf("since %d s, first row %s", p.Since/second, p.Rows[0])
			}
			var total int64
			files, err := os.ReadDir(dir)
			must(t, err)
			for _, f := range files {
				info, err := f.Info()
				must(t, err)
				total += info.Size()
			}
			alarms, err := s.Alarms()
			must(t, err)
			early := slices.ContainsFunc(alarms, func(a audit.Alarm) bool { return a.Kind == audit.AlarmBudget })
			if opt.Budget > 0 && total > opt.Budget || early != (opt.Budget > 0) {
				t.Fatalf("%d bytes on disk, budget %d, alarms %v", total, opt.Budget, alarms)
			}
			head, _ := s.Head()
			first := s.records[0]
			if _, err := s.Prove(0, 0); !errors.Is(err, ErrGone) {
				t.Fatalf("proving what is gone: %v", err)
			}
			must(t, s.Close())
			s = open(t, dir, opt)
			if again, _ := s.Head(); again.ID != head.ID || !reflect.DeepEqual(s.records[0], first) || head.Size != uint64(len(s.records)) {
				t.Fatalf("the log is not what it was: %v", again)
			}
		})
	}
}

func TestAlarmsAreKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	must(t, s.Append(epoch(1, 2)))
	bad := epoch(2, 2)
	bad.Identity.Seen++
	must(t, s.Append(bad))
	missing := epoch(5, 2)
	missing.Flows = missing.Flows[1:]
	must(t, s.Append(missing))
	for _, form := range []string{"open", "read again", "closed", "closed and read again"} {
		all, err := s.Alarms()
		must(t, err)
		var got string
		for _, a := range all {
			got += fmt.Sprintf("%s %d ", a.Kind, a.Number)
		}
		if got != "identity 2 identity 5 gap 5 " {
			t.Fatalf("%s: %s", form, got)
		}
		if form == "read again" {
			turn(t, s, 400)
		}
		if form != "closed" {
			must(t, s.Close())
			s = open(t, dir, Options{})
		}
	}
	p, err := s.ProveAccount(0)
	must(t, err)
	if shown, err := p.Verify(); err != nil || len(shown.Alarms) != 3 {
		t.Fatalf("%d alarms are proved, %v", len(shown.Alarms), err)
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
	turn(t, s, 60)
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
	if p, err := s.Flows(gone, audit.Flows{Slice: "web@k", From: 5000 * second, Until: 1 << 62}); err != nil || len(p.Rows) != 0 || p.Read != 0 {
		t.Errorf("long after: %+v, %v", p, err)
	}
	if f, err := s.Who(gone, audit.Who{Src: netip.MustParseAddrPort("203.0.113.1:1"), Dst: remote, At: 20 * second, Within: second}); err != nil || f.Read != 0 {
		t.Errorf("a port that nobody held: %+v, %v", f, err)
	}
	if len(before.Rows) != 6 {
		t.Errorf("%d rows of its own, want 6", len(before.Rows))
	}
}

// Tenures are many in a month: the file keeps those of which rows may be there.
func TestTenuresAreTidied(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Retention: 3700 * time.Second, disk: lazy{}})
	for i := range int64(1500) {
		x := tenure
		x.From, x.Until = i+1, (i+1)*second
		must(t, s.AppendTenure(x))
	}
	before := s.holders.size
	year := int64(365 * 24 * 3600)
	for _, at := range []int64{1500, year, 1500, 1500 + 3599} { // a clock that jumps a year ahead is not believed
		if turn(t, s, at); len(s.tenures) != 1500 {
			t.Fatalf("at %d s: %d tenures of 1500", at, len(s.tenures))
		}
	}
	turn(t, s, 1500+3600)
	if len(s.tenures) > 162 || s.holders.size > before/5 {
		t.Fatalf("%d tenures in %d bytes, were %d bytes", len(s.tenures), s.holders.size, before)
	}
	want, err := s.Tenures()
	must(t, err)
	must(t, s.AppendTenure(tenure))
	must(t, s.Close())
	s = open(t, dir, Options{})
	if got, err := s.Tenures(); err != nil || len(got) != len(want)+1 {
		t.Fatalf("%d tenures, want %d, %v", len(got), len(want)+1, err)
	}
}
