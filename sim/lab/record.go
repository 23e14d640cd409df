// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// record is lab.json: what there is to start again and to clean up. It is
// written before what it names is made; processes, whose pids nobody knows
// beforehand, right after, and until then their marker gives them away.
type record struct {
	Plan    *plan              `json:"plan"`
	Croft   string             `json:"croft"`
	Profile string             `json:"profile"`
	Env     []string           `json:"env,omitempty"`
	Relay   process            `json:"relay"`
	Daemons map[string]process `json:"daemons"` // by node
}

const (
	recordFile = "lab.json"
	lockFile   = "lab.lock"
)

func load(dir string) (*record, error) {
	raw, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoLab)
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("reading %s: %w", recordFile, err)
	}
	if r.Plan == nil || !goodName.MatchString(r.Plan.Name) {
		return nil, fmt.Errorf("reading %s: it describes no lab", recordFile)
	}
	if r.Daemons == nil {
		r.Daemons = make(map[string]process)
	}
	return &r, nil
}

// save replaces the record; a crash leaves the old one or the new one.
func (r *record) save(dir string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := replace(filepath.Join(dir, recordFile), raw, 0o644); err != nil {
		return fmt.Errorf("recording the lab: %w", err)
	}
	return nil
}

// replace writes a file durably under another name and renames it.
func replace(path string, content []byte, mode os.FileMode) error {
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// lock waits for the directory's lock, which the kernel frees if its holder
// dies. Whoever changes a lab or its record holds it.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	path := filepath.Join(dir, lockFile)
	for {
		l := flock.New(path) // which opens the file anew at each try
		if _, err := l.TryLockContext(ctx, pollEvery); err != nil {
			return nil, fmt.Errorf("locking %s: %w", dir, err)
		}
		if current(l, path) {
			return func() { l.Close() }, nil
		}
		l.Close() // and there is another already, or none
	}
}

// current tells whether a lock is still the file of that name: whoever takes a
// lab down removes the lock that it holds.
func current(l *flock.Flock, path string) bool {
	ours, err := l.Stat() // of the open file
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(ours, named)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
