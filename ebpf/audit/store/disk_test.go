// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"croft/ebpf/audit"
	"croft/lease/leasetest"
)

// small is a disk whose files hold so many bytes each, and whose sync may fail.
type small struct {
	lazy
	room *int64
	sync *error
}

type smallFile struct {
	file
	s small
}

func (s small) create(path string) (file, error) {
	f, err := s.lazy.create(path)
	return smallFile{f, s}, err
}

func (s small) open(path string) (file, error) {
	f, err := s.lazy.open(path)
	return smallFile{f, s}, err
}

func (f smallFile) WriteAt(b []byte, off int64) (int, error) {
	n := min(int64(len(b)), max(*f.s.room-off, 0))
	if m, err := f.file.WriteAt(b[:n], off); err != nil {
		return m, err
	}
	if n < int64(len(b)) {
		return int(n), unix.ENOSPC
	}
	return len(b), nil
}

func (f smallFile) Sync() error { return *f.s.sync }

func TestDiskFull(t *testing.T) {
	dir, room, good := t.TempDir(), int64(1<<20), error(nil)
	s := open(t, dir, Options{disk: small{room: &room, sync: &good}})
	must(t, s.AppendTenure(tenure))
	must(t, s.Append(epoch(1, 3)))
	room = s.file.size + 20
	if err := s.Append(epoch(2, 50)); !errors.Is(err, ErrDiskFull) || !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("full disk: %v", err)
	}
	if n := rows(t, s); n != 3 {
		t.Fatalf("%d rows on a full disk, want 3", n)
	}
	room = 1 << 20
	must(t, s.Append(epoch(2, 50)))
	if all, err := s.Alarms(); err != nil || len(all) != 1 || all[0].Kind != audit.AlarmDisk {
		t.Fatalf("alarms %v, %v", all, err)
	}
	must(t, s.Close())
	if n := rows(t, open(t, dir, Options{})); n != 53 {
		t.Fatalf("%d rows, want 53", n)
	}
}

func TestDiskFullWhileClosing(t *testing.T) {
	dir, room, good := t.TempDir(), int64(1<<20), error(nil)
	opt := Options{Span: 15 * time.Second, disk: small{room: &room, sync: &good}}
	s := open(t, dir, opt)
	must(t, s.AppendTenure(tenure))
	must(t, s.Append(epoch(1, 3)))
	for _, room = range []int64{10, 100, 180, 300} { // not the next segment's head, not the closed form, not its leaf, not the signed head
		if h, err := s.Turn(t.Context(), time.Unix(60, 0), leasetest.Key("n1")); !errors.Is(err, ErrDiskFull) || h != nil {
			t.Fatalf("room for %d bytes: %v, %v", room, h, err)
		}
		if n := rows(t, s); n != 3 {
			t.Fatalf("room for %d bytes: %d rows, want 3", room, n)
		}
	}
	room = 1 << 20
	if h := turn(t, s, 70); h == nil || h.Size != 1 {
		t.Fatalf("head %v", h)
	}
	must(t, s.Append(epoch(5, 1)))
	must(t, s.Close())
	if n := rows(t, open(t, dir, Options{})); n != 4 {
		t.Fatalf("%d rows, want 4", n)
	}
}

func TestReserveIsUsedWhenOthersFillTheDisk(t *testing.T) {
	dir, room, good := t.TempDir(), int64(1<<20), error(nil)
	s := open(t, dir, Options{Reserve: 4 << 20, disk: small{room: &room, sync: &good}})
	if s.reserve.size == 0 {
		t.Skip("the file system sets no space aside")
	}
	room = s.file.size + 20
	if err := s.Append(epoch(1, 50)); !errors.Is(err, ErrDiskFull) { // the model has no room even then
		t.Fatal(err)
	}
	if info, err := os.Stat(s.path("reserve")); err != nil || info.Size() >= 4<<20 || info.Size() == 0 {
		t.Fatalf("reserve: %v, %v", info, err)
	}
	room = 1 << 20
	must(t, s.Append(epoch(1, 50)))
	turn(t, s, 11)
	if s.reserve.size != 4<<20 {
		t.Fatalf("reserve of %d bytes is not filled again", s.reserve.size)
	}
}

func TestFailedSyncPoisons(t *testing.T) {
	dir, room, sync := t.TempDir(), int64(1<<20), error(nil)
	s := open(t, dir, Options{disk: small{room: &room, sync: &sync}})
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
	sync = unix.EIO
	if _, err := s.Turn(t.Context(), time.Unix(100, 0), leasetest.Key("n1")); !errors.Is(err, ErrPoisoned) {
		t.Fatalf("turn on a disk that still fails: %v", err)
	}
	sync = nil
	turn(t, s, 110)
	must(t, s.Append(epoch(1, 1))) // given again; it may be there already
	must(t, s.Append(epoch(2, 1)))
	if n := rows(t, s); n != 2 {
		t.Fatalf("%d rows after it was opened again, want 2", n)
	}
}

// mortal is a disk that dies after so many steps: each byte that is written is
// one, and each other thing that is done.
type mortal struct {
	left   int
	synced map[string]int64 // how much of each file is durable
}

var errDead = errors.New("dead")

func (m *mortal) step() error {
	if m.left--; m.left < 0 {
		return errDead
	}
	return nil
}

type mortalFile struct {
	file
	m    *mortal
	path *string
}

func (m *mortal) create(path string) (file, error) {
	if err := m.step(); err != nil {
		return nil, err
	}
	f, err := realDisk{}.create(path)
	m.synced[path] = 0
	return mortalFile{f, m, &path}, err
}

func (m *mortal) open(path string) (file, error) {
	f, err := realDisk{}.open(path)
	if info, err := os.Stat(path); err == nil {
		m.synced[path] = info.Size()
	}
	return mortalFile{f, m, &path}, err
}

func (m *mortal) rename(from, to string) error {
	if err := m.step(); err != nil {
		return err
	}
	m.synced[to] = m.synced[from]
	delete(m.synced, from)
	return realDisk{}.rename(from, to)
}

func (m *mortal) remove(path string) error {
	if err := m.step(); err != nil {
		return err
	}
	delete(m.synced, path)
	return realDisk{}.remove(path)
}

func (m *mortal) syncDir(string) error { return m.step() }

func (f mortalFile) name() string { // it may have been renamed since
	if _, ok := f.m.synced[*f.path]; !ok && len(*f.path) > len(fresh) {
		return (*f.path)[:len(*f.path)-len(fresh)]
	}
	return *f.path
}

func (f mortalFile) WriteAt(b []byte, off int64) (int, error) {
	n := min(len(b), max(f.m.left, 0))
	f.m.left -= n
	if m, err := f.file.WriteAt(b[:n], off); err != nil {
		return m, err
	}
	if n < len(b) {
		f.m.left = -1
		return n, errDead
	}
	return n, nil
}

func (f mortalFile) Truncate(size int64) error {
	if err := f.m.step(); err != nil {
		return err
	}
	return f.file.Truncate(size)
}

func (f mortalFile) Sync() error {
	if err := f.m.step(); err != nil {
		return err
	}
	info, err := f.file.(*os.File).Stat()
	f.m.synced[f.name()] = info.Size()
	return err
}

// The process or the machine dies at every byte that is written and at every
// other thing that is done, from the making of a store on over epochs, tenures,
// closing and signing. What was acknowledged is there, nothing is there twice, what
// is given again is taken once, and no two heads of one size differ.
func TestDeathAtEveryStep(t *testing.T) {
	const epochs = 4
	play := func(dir string, d disk) (acknowledged int, heads []audit.OpenedHead, err error) {
		s, err := Open(dir, Options{Node: leasetest.Who("n1"), Reserve: -1, Span: 5 * time.Second, disk: d})
		if err != nil {
			return 0, nil, err
		}
		defer s.Close()
		if err := s.AppendTenure(tenure); err != nil {
			return 0, nil, err
		}
		for n := range uint64(epochs) {
			if err := s.Append(epoch(n+1, 1)); err != nil {
				return acknowledged, heads, err
			}
			acknowledged++
			h, err := s.Turn(t.Context(), time.Unix(int64(n+1)*10, 0), leasetest.Key("n1"))
			if h != nil {
				heads = append(heads, *h)
			}
			if err != nil {
				return acknowledged, heads, err
			}
		}
		return acknowledged, heads, nil
	}
	steps, base := 0, t.TempDir()
	for _, power := range []bool{false, true} {
		stride := 1
		if power { // what is not synced is gone as a whole: most bytes of a write are as good as each other
			stride = 3
		}
		for at := 0; ; at += stride {
			dir := fmt.Sprintf("%s/%v-%d", base, power, at)
			m := &mortal{left: at, synced: map[string]int64{}}
			acknowledged, heads, err := play(dir, m)
			if err == nil {
				steps = at
				break
			}
			if power { // what was not synced is gone
				for path, size := range m.synced {
					if err := os.Truncate(path, size); err != nil && !errors.Is(err, os.ErrNotExist) {
						t.Fatal(err)
					}
				}
			}
			check := func(least, most int) *Store {
				t.Helper()
				s, err := Open(dir, Options{Node: leasetest.Who("n1"), Reserve: -1, Span: 5 * time.Second, disk: lazy{}})
				must(t, err)
				p, err := s.Flows(t.Context(), audit.Flows{Until: 1 << 62})
				must(t, err)
				if len(p.Rows) < least || len(p.Rows) > most {
					t.Fatalf("power %v, step %d: %d rows of %d acknowledged", power, at, len(p.Rows), least)
				}
				for i, r := range p.Rows {
					if r.First != int64(i+1)*10*second-second {
						t.Fatalf("power %v, step %d: row %d is %s", power, at, i, r)
					}
				}
				return s
			}
			s := check(acknowledged, min(acknowledged+1, epochs))
			s.Close()
			again, newer, err := play(dir, lazy{})
			if err != nil || again != epochs {
				t.Fatalf("power %v, step %d: going on: %v", power, at, err)
			}
			s = check(epochs, epochs)
			for _, r := range s.records {
				must(t, s.Check(r.Number))
			}
			last := append(heads, newer...)
			if h, ok := s.Head(); ok {
				last = append(last, h)
			}
			for _, a := range last {
				for _, b := range last {
					if f, ok := audit.ForkOfHeads(a, b); ok {
						t.Fatalf("power %v, step %d: a fork: %+v", power, at, f)
					}
				}
				if p, err := s.Consistency(a); err != nil {
					t.Fatal(err)
				} else if _, err := p.Verify(); err != nil {
					t.Fatalf("power %v, step %d: head of %d was told and the log does not go on from it: %v", power, at, a.Size, err)
				}
			}
			s.Close()
			os.RemoveAll(dir)
		}
	}
	t.Logf("%d steps", steps)
}

// Epochs come, segments close, and questions and proofs are asked, all at once.
func TestAllAtOnce(t *testing.T) {
	s := open(t, t.TempDir(), Options{Span: 20 * time.Second, Budget: 400_000, disk: lazy{}})
	must(t, s.AppendTenure(tenure))
	must(t, s.Append(epoch(1, 3)))
	const epochs = 200
	done := make(chan error)
	run := func(f func(i int) error) {
		go func() {
			for i := range epochs {
				if err := f(i); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	run(func(i int) error { return s.Append(epoch(uint64(i+2), 3)) })
	run(func(i int) error {
		_, err := s.Turn(t.Context(), time.Unix(int64(i+2)*10, 0), leasetest.Key("n1"))
		return err
	})
	run(func(i int) error {
		at := int64(i/2+1) * 10 * second
		f, err := s.Who(t.Context(), audit.Who{Src: netip.MustParseAddrPort("203.0.113.1:20500"), Dst: remote, At: at, Within: second})
		if err == nil && len(f.Slices) > 0 && f.Answers[0].Rows[0].Ref.Closed {
			ref := f.Answers[0].Rows[0].Ref
			var p *audit.Inclusion
			if p, err = s.Prove(ref.Segment, ref.Leaf); err == nil {
				_, err = p.Verify()
			}
			if errors.Is(err, ErrNotYet) || errors.Is(err, ErrGone) {
				err = nil
			}
		}
		return err
	})
	run(func(int) error {
		p, err := s.Flows(t.Context(), audit.Flows{Until: 1 << 62})
		for i := range p.Rows { // none is there twice, and none is missing between two
			if err == nil && p.Rows[i].First != p.Rows[0].First+int64(i/3)*10*second {
				err = fmt.Errorf("row %d is %s, the first %s", i, p.Rows[i], p.Rows[0])
			}
		}
		return err
	})
	run(func(int) error {
		if h, ok := s.Head(); ok {
			p, err := s.Consistency(h)
			if err == nil {
				_, err = p.Verify()
			}
			return err
		}
		_, err := s.Alarms()
		return err
	})
	for range 5 {
		must(t, <-done)
	}
}
