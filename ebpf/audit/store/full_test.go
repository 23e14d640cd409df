// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"croft/ebpf/audit"
	"croft/lease/leasetest"
)

// smallDisk mounts a file system of so many bytes that is gone after the test.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("croft-store-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", bytes))
	if err != nil && os.Getenv("CROFT_REQUIRE_ROOT") != "1" {
		t.Skipf("mounting a tmpfs: %v", err)
	}
	must(t, err)
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

// fill takes what is left of a file system, as somebody else's journal would.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "others")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(t, err)
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for b := make([]byte, size); ; {
			if _, err := f.Write(b); errors.Is(err, unix.ENOSPC) {
				break
			} else {
				must(t, err)
			}
		}
	}
	return func() { must(t, os.Remove(path)) }
}

// Others fill the disk, again and again. The record goes on from its reserve, until
// that is spent; then every epoch, tenure and segment is refused, nothing that was
// durable is lost or said twice, a restart on the full disk finds all of it, and
// once there is room an alarm says since when, all that waited is taken, and what was
// signed goes on as one log.
func TestRootFullFileSystem(t *testing.T) {
	if os.Geteuid() != 0 && os.Getenv("CROFT_REQUIRE_ROOT") != "1" {
		t.Skip("needs root")
	}
	root := smallDisk(t, 16<<20)
	dir := filepath.Join(root, "audit")
	opt := Options{Reserve: 2 << 20, Span: 30 * time.Second}
	s := open(t, dir, opt)
	must(t, s.AppendTenure(tenure))
	const each = 500
	kept, number, at := 0, uint64(0), int64(0)
	var heads []audit.OpenedHead
	turn := func() error {
		at += 40
		h, err := s.Turn(t.Context(), time.Unix(at, 0), leasetest.Key("n1"))
		if h != nil {
			heads = append(heads, *h)
		}
		return err
	}
	for round := range 3 {
		for range 5 {
			number++
			must(t, s.Append(epoch(number, each)))
			kept += each
		}
		must(t, turn())
		free := fill(t, root)
		reserved := 0
		for ; ; reserved++ {
			err := s.Append(epoch(number+1, each))
			if errors.Is(err, ErrDiskFull) {
				break
			}
			must(t, err)
			number, kept = number+1, kept+each
			fill(t, root) // who takes what the reserve gave back
		}
		if reserved < 2 {
			t.Errorf("round %d: %d epochs from the reserve", round, reserved)
		}
		for range 3 {
			if err := turn(); !errors.Is(err, ErrDiskFull) {
				t.Fatalf("round %d: turning on a full disk: %v", round, err)
			}
			if err := s.Append(epoch(number+1, each)); !errors.Is(err, ErrDiskFull) {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		long := tenure
		for i := range 4096 / 60 { // past the end of the page that the file has already
			long.Sliver = fmt.Sprintf("s%d", i)
			if err := s.AppendTenure(long); err != nil && !errors.Is(err, ErrDiskFull) {
				t.Fatalf("round %d: tenure: %v", round, err)
			}
		}
		if round > 0 {
			must(t, s.Close())
			s = open(t, dir, opt)
		}
		if n := count(t, s); n != kept {
			t.Fatalf("round %d: %d rows on the full disk, want %d", round, n, kept)
		}
		if err := s.Append(epoch(number+1, each)); !errors.Is(err, ErrDiskFull) {
			t.Fatalf("round %d, opened again: %v", round, err)
		}
		free()
		number, kept = number+1, kept+each
		must(t, s.Append(epoch(number, each)))
		must(t, turn())
		if s.reserve.size != opt.Reserve {
			t.Errorf("round %d: a reserve of %d bytes", round, s.reserve.size)
		}
		alarms, err := s.Alarms()
		must(t, err)
		if len(alarms) != round+1 || alarms[round].Kind != audit.AlarmDisk {
			t.Errorf("round %d: alarms %v", round, alarms)
		}
	}
	if n := count(t, s); n != kept {
		t.Errorf("%d rows, want %d", n, kept)
	}
	if err := turn(); err != nil || len(heads) < 3 {
		t.Fatalf("%d heads, %v", len(heads), err)
	}
	for _, r := range s.records {
		must(t, s.Check(r.Number))
	}
	for _, h := range heads {
		p, err := s.Consistency(h)
		must(t, err)
		if _, err := p.Verify(); err != nil {
			t.Errorf("from the head of %d: %v", h.Size, err)
		}
	}
}

// count is the number of rows in the record.
func count(t *testing.T, s *Store) (n int) {
	t.Helper()
	for _, err := range s.Rows(t.Context(), audit.Flows{Until: 1 << 62}) {
		must(t, err)
		n++
	}
	return n
}
