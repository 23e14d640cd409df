// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"croft/lease"
	"croft/node/api"
)

// sliceKey names a slice: the label, at its owner. No label is all of his.
type sliceKey struct {
	owner lease.Principal
	label string
}

func keyOf(r lease.OpenedSlice) sliceKey { return sliceKey{r.Owner, r.Slice} }

// file is the name of the slice's file among the records.
func (k sliceKey) file() string {
	sum := sha256.Sum256(append(k.owner[:], k.label...))
	return hex.EncodeToString(sum[:16]) + recordFile
}

const recordFile = ".record"

// sliceRecords is what this node knows of slices: of each the record that
// counts. Of those that have slivers here it is on disk before anybody is told,
// so that the node never goes back to one that counts less.
type sliceRecords struct {
	dir string

	mu      sync.Mutex
	known   map[sliceKey]*knownRecord
	changed chan struct{} // closed at every change: whoever acts by a record looks again
}

type knownRecord struct {
	lease.OpenedSlice
	until  int64     // the latest of all that were seen: so long it is not forgotten
	hosted bool      // the slice has slivers here
	stored bool      // this very record is on disk
	asked  time.Time // when the DHT was last asked
	used   time.Time
}

// openRecords reads what is kept in a directory. A file that is none is passed
// over: what the owner or the DHT says later takes its place.
func openRecords(dir string, warn func(string, ...any)) (*sliceRecords, error) {
	s := &sliceRecords{dir: dir, known: map[sliceKey]*knownRecord{}, changed: make(chan struct{})}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the slice records: %w", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the slice records: %w", err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), recordFile) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		var kept storedRecord
		if err == nil {
			err = lease.Decode(b, &kept, lease.MaxSliceRecord+64)
		}
		var r lease.OpenedSlice
		if err == nil {
			r, err = lease.OpenSlice(kept.Record)
		}
		if err != nil {
			warn("a slice record on disk cannot be read", "file", f.Name(), "err", err)
			continue
		}
		s.known[keyOf(r)] = &knownRecord{OpenedSlice: r, until: max(kept.Until, r.Until), hosted: true, stored: true}
	}
	return s, nil
}

// storedRecord is a record's file.
type storedRecord struct {
	_      struct{} `cbor:",toarray"`
	Record []byte
	Until  int64
}

// get returns the record that counts, if one is known, and whether the DHT was
// asked for it since an instant.
func (s *sliceRecords) get(k sliceKey, since time.Time) (r lease.OpenedSlice, known, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.known[k]
	if e == nil {
		return r, false, false
	}
	return e.OpenedSlice, true, e.asked.After(since)
}

// put takes a record to account and returns the one that counts.
func (s *sliceRecords) put(r lease.OpenedSlice, hosted bool, now time.Time) (lease.OpenedSlice, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.known[keyOf(r)]
	next := knownRecord{OpenedSlice: r, until: r.Until}
	if e != nil {
		next = *e
		if r.Newer(e.OpenedSlice) {
			next.OpenedSlice, next.stored = r, false
		}
		if next.until < r.Until {
			next.until, next.stored = r.Until, false
		}
	} else if err := s.room(); err != nil {
		return lease.OpenedSlice{}, err
	}
	next.hosted, next.used = next.hosted || hosted, now
	if next.hosted && !next.stored {
		b, err := lease.Encode(storedRecord{Record: next.Bytes, Until: next.until})
		if err == nil {
			err = writeDurably(filepath.Join(s.dir, keyOf(r).file()), b)
		}
		if err != nil {
			return lease.OpenedSlice{}, fmt.Errorf("%w: keeping the record of %q: %w", api.ErrAgain, r.Slice, err)
		}
		next.stored = true
	}
	if e == nil || e.ID != next.ID {
		close(s.changed)
		s.changed = make(chan struct{})
	}
	s.known[keyOf(r)] = &next
	return next.OpenedSlice, nil
}

// room makes place for one more: of the slices that have nothing here, the one
// that was used the longest ago goes. It is called with mu held.
func (s *sliceRecords) room() error {
	if len(s.known) < maxRecords {
		return nil
	}
	var oldest *knownRecord
	for _, e := range s.known {
		if !e.hosted && (oldest == nil || e.used.Before(oldest.used)) {
			oldest = e
		}
	}
	if oldest == nil {
		return fmt.Errorf("%w: %d slice records are kept", api.ErrBusy, maxRecords)
	}
	delete(s.known, keyOf(oldest.OpenedSlice))
	return nil
}

// never reports whether the DHT was never asked for a record.
func (s *sliceRecords) never(k sliceKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.known[k]
	return e == nil || e.asked.IsZero()
}

// asked notes that the DHT has been asked for a record.
func (s *sliceRecords) asked(k sliceKey, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.known[k]; e != nil {
		e.asked = now
	}
}

// watch returns a channel that is closed at the next change.
func (s *sliceRecords) watch() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// hosted returns the records of the slices that have slivers here, as live tells;
// of the others it forgets those that say nothing any more.
func (s *sliceRecords) hosted(live func(sliceKey) bool, now time.Time) ([]lease.OpenedSlice, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []lease.OpenedSlice
	var errs []error
	for k, e := range s.known {
		if e.hosted = live(k); e.hosted {
			list = append(list, e.OpenedSlice)
			continue
		}
		if e.until > now.Unix() {
			continue
		}
		delete(s.known, k)
		if err := os.Remove(filepath.Join(s.dir, k.file())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	slices.SortFunc(list, func(a, b lease.OpenedSlice) int {
		return cmp.Or(slices.Compare(a.Owner[:], b.Owner[:]), strings.Compare(a.Slice, b.Slice))
	})
	return list, errors.Join(errs...)
}

// SliceIndex keeps slice records where every node finds them: the DHT.
type SliceIndex interface {
	PutRecord(ctx context.Context, r lease.OpenedSlice) error
	Record(ctx context.Context, owner lease.Principal, label string) (lease.OpenedSlice, error)
}
