// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// sample makes a journal with a snapshot and appends, and returns its bytes,
// its records, and how many of them each frame's end makes whole.
func sample(t testing.TB) (file []byte, all []Record, ends map[int64]int) {
	path := t.TempDir()
	j, _, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	all = []Record{rec("snapshot one"), rec("snapshot two")}
	if err := j.Snapshot(all); err != nil {
		t.Fatal(err)
	}
	ends = map[int64]int{j.Size(): 2}
	for i := range 6 {
		rs := []Record{rec("fact %d", i), bytes.Repeat([]byte{byte(i)}, i*7)}
		if err := j.Append(rs...); err != nil {
			t.Fatal(err)
		}
		all = append(all, rs...)
		ends[j.Size()] = len(all)
	}
	file, err = os.ReadFile(filepath.Join(path, FileName))
	if err != nil {
		t.Fatal(err)
	}
	return file, all, ends
}

// A file cut at any byte gives exactly the frames that are whole, and can be
// written on; cut inside header or snapshot, which no crash does, it is damage.
func TestCutAtEveryByte(t *testing.T) {
	file, all, ends := sample(t)
	start := int64(1 << 62)
	for end := range ends {
		start = min(start, end)
	}
	whole := 2
	for cut := int64(0); cut <= int64(len(file)); cut++ {
		if n, ok := ends[cut]; ok {
			whole = n
		}
		path := t.TempDir()
		must(t, os.WriteFile(filepath.Join(path, FileName), file[:cut], 0o600))
		j, rs, err := Open(path, Options{Ballast: -1})
		if cut < start {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("cut at %d, inside the snapshot: %v", cut, err)
			}
			continue
		}
		must(t, err)
		if !equal(rs, all[:whole]) {
			t.Fatalf("cut at %d: %d records, want %d", cut, len(rs), whole)
		}
		must(t, j.Append(rec("on")))
		must(t, j.Close())
		j, rs, err = Open(path, Options{Ballast: -1})
		must(t, err)
		if !equal(rs, append(all[:whole:whole], rec("on"))) || j.Cut() != 0 {
			t.Fatalf("cut at %d, written on: %q", cut, rs)
		}
		must(t, j.Close())
	}
}

// One flipped bit anywhere but in the last frame is told, with the file left
// alone; in the last frame it is a torn tail.
func TestFlippedBits(t *testing.T) {
	file, all, ends := sample(t)
	last := int64(0)
	for end := range ends {
		if end < int64(len(file)) {
			last = max(last, end)
		}
	}
	for at := range file {
		b := bytes.Clone(file)
		b[at] ^= 1 << (at % 8)
		r, err := replay(b)
		switch {
		case int64(at) >= last:
			if err != nil || !equal(r.records, all[:len(all)-2]) {
				t.Fatalf("bit flipped at %d in the last frame: %d records, %v", at, len(r.records), err)
			}
		case !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion):
			t.Fatalf("bit flipped at %d: %d records, %v", at, len(r.records), err)
		}
	}
	path := t.TempDir()
	file[snapshotEnd(ends)+20] ^= 1
	must(t, os.WriteFile(filepath.Join(path, FileName), file, 0o600))
	_, _, err := Open(path, Options{})
	wantErr(t, err, ErrCorrupt)
	if now, _ := os.ReadFile(filepath.Join(path, FileName)); !bytes.Equal(now, file) {
		t.Fatal("opening changed a damaged journal")
	}
}

func snapshotEnd(ends map[int64]int) int64 {
	for end, n := range ends {
		if n == 2 {
			return end
		}
	}
	return 0
}

// A record that holds a frame cannot make a torn tail look like damage: it
// would need the file's salt.
func TestFrameInsideRecord(t *testing.T) {
	fake := make([]byte, frameHead, 64)
	fake = addRecord(fake, rec("fake"))
	(framer{}).seal(fake, 1)
	path := t.TempDir()
	j, _ := open(t, path, Options{Ballast: -1})
	must(t, j.Append(append(fake, make([]byte, 64)...)))
	must(t, j.Close())
	name := filepath.Join(path, FileName)
	must(t, os.Truncate(name, j.Size()-1))
	if _, rs := open(t, path, Options{Ballast: -1}); len(rs) != 0 {
		t.Fatalf("got %q", rs)
	}
}

// script is what a node does in the tests of faults: appends, a snapshot,
// appends. It returns what was acknowledged, and what may be there beyond.
func script(d *memDisk) (acked []Record, maybe [][]Record, err error) {
	j, _, err := Open("", Options{Disk: d, Ballast: 1 << 10})
	if err != nil {
		return nil, [][]Record{nil}, err
	}
	defer j.Close()
	for i := range 8 {
		r := rec("fact %d", i)
		next := append(acked[:len(acked):len(acked)], r)
		if i == 4 {
			next = []Record{rec("facts 0 to 3"), r}
			err = j.Snapshot(next)
		} else {
			err = j.Append(r)
		}
		if err != nil {
			return acked, [][]Record{acked, next}, err
		}
		acked = next
	}
	return acked, [][]Record{acked}, nil
}

// The machine goes off before each single operation on the disk; then the next
// boot finds everything that was acknowledged, and nothing that was not asked.
func TestPowerCutAtEveryOperation(t *testing.T) {
	for _, harsh := range []bool{true, false} {
		for k := 1; ; k++ {
			d := newMemDisk()
			d.fault = func(op int, _ string) error {
				if op >= k {
					return errCrashed
				}
				return nil
			}
			_, maybe, err := script(d)
			checkAfter(t, fmt.Sprintf("off at operation %d, harsh %v", k, harsh), d.crash(harsh), maybe)
			if err == nil {
				if k < 20 {
					t.Fatalf("only %d operations", k)
				}
				break
			}
		}
	}
}

// One operation fails and the machine goes on: an error is told, and what was
// acknowledged is there.
func TestFaultAtEveryOperation(t *testing.T) {
	for _, fault := range []error{unix.EIO, unix.ENOSPC, errShort} {
		for k := 1; ; k++ {
			d := newMemDisk()
			what, hit := "", false
			d.fault = func(op int, w string) error {
				if op == k && (!errors.Is(fault, errShort) || bytes.HasPrefix([]byte(w), []byte("write"))) {
					what, hit = w, true
					return fault
				}
				return nil
			}
			_, maybe, err := script(d)
			name := fmt.Sprintf("%v at operation %d (%s): %v", fault, k, what, err)
			if hit && err == nil && what != "reserve" && what != "remove journal.tmp" {
				t.Fatalf("%s: nothing was told", name)
			}
			d.fault = nil
			checkAfter(t, name, d.crash(true), maybe)
			checkAfter(t, name, d.crash(false), maybe)
			if d.ops < k {
				break
			}
		}
	}
}

func checkAfter(t *testing.T, name string, d *memDisk, maybe [][]Record) {
	t.Helper()
	j, rs, err := Open("", Options{Disk: d, Ballast: 1 << 10})
	if err != nil {
		t.Fatalf("%s: reopening: %v", name, err)
	}
	defer j.Close()
	for _, m := range maybe {
		if equal(rs, m) {
			must(t, j.Append(rec("on")))
			return
		}
	}
	t.Fatalf("%s: found %q, want one of %q", name, rs, maybe)
}

func TestFailedSyncPoisons(t *testing.T) {
	for _, what := range []string{"sync journal", "write journal"} {
		d := newMemDisk()
		j, _ := open(t, "", Options{Disk: d})
		must(t, j.Append(rec("before")))
		d.fault = func(_ int, w string) error {
			if w == what {
				return unix.EIO
			}
			return nil
		}
		wantErr(t, j.Append(rec("lost")), ErrPoisoned)
		d.fault = nil // the disk is well again, the journal is not
		wantErr(t, j.Append(rec("more")), ErrPoisoned)
		wantErr(t, j.AppendClosing(rec("more")), ErrPoisoned)
		err := j.Snapshot(nil)
		wantErr(t, err, ErrPoisoned)
		wantErr(t, err, unix.EIO) // says why
		must(t, j.Close())
		j, _ = open(t, "", Options{Disk: d})
		must(t, j.Append(rec("again")))
	}
}

// Killed at no chosen moment: every record that the child said it had is there.
func TestKilledChild(t *testing.T) {
	path := t.TempDir()
	for round := range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMain$")
		cmd.Env = append(os.Environ(), childDir+"="+path, childRound+"="+strconv.Itoa(round))
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		said := map[string]bool{}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said[lines.Text()] = true
			if len(said) == 40+13*round {
				must(t, cmd.Process.Kill())
			}
		}
		cmd.Wait()
		if len(said) < 40 {
			t.Fatalf("child ended after %d records", len(said))
		}
		j, rs, err := Open(path, Options{})
		must(t, err)
		must(t, j.Close())
		for _, r := range rs {
			delete(said, string(r))
		}
		if len(said) > 0 {
			t.Fatalf("round %d: %d acknowledged records are gone", round, len(said))
		}
	}
}

const childDir, childRound = "CROFT_JOURNAL_CHILD", "CROFT_JOURNAL_ROUND"

func TestMain(m *testing.M) {
	if path := os.Getenv(childDir); path != "" {
		child(path, os.Getenv(childRound))
	}
	os.Exit(m.Run())
}

func child(path, round string) {
	j, _, err := Open(path, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				r := fmt.Sprintf("%s/%d/%d", round, c, i)
				if err := j.Append(Record(r)); err != nil {
					os.Exit(1)
				}
				fmt.Println(r)
			}
		})
	}
	wg.Wait()
}
