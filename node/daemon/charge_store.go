// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"croft/node/keep"
)

// chargeStore keeps what stands of each charge in a file of its own, for the next
// daemon.
type chargeStore struct {
	dir string
	log *slog.Logger
}

const chargeFile = ".charge"

func (s chargeStore) path(k sliceKey) string {
	return filepath.Join(s.dir, strings.TrimSuffix(k.file(), recordFile)+chargeFile)
}

func (s chargeStore) put(st keep.Standing) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	return writeDurably(s.path(sliceKey{st.Charge.Owner, st.Charge.Slice}), st.Record())
}

func (s chargeStore) drop(k sliceKey) error {
	if err := os.Remove(s.path(k)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// load reads what there is. A file that is none is told of and passed over; one that is
// long over goes.
func (s chargeStore) load(now time.Time) (list []keep.Standing) {
	files, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("no slice is kept any more: what was kept cannot be read", "err", err) // leases are served all the same
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), chargeFile) {
			continue
		}
		path := filepath.Join(s.dir, f.Name())
		b, err := os.ReadFile(path)
		var st keep.Standing
		if err == nil {
			st, err = keep.ParseStanding(b)
		}
		k := sliceKey{st.Charge.Owner, st.Charge.Slice}
		if err == nil && s.path(k) != path {
			err = fmt.Errorf("%w: it is of another slice", keep.ErrCharge)
		}
		switch {
		case err != nil:
			s.log.Warn("a slice that was kept is not any more: its file cannot be read", "file", path, "err", err)
		case st.Over != "" && now.Sub(time.Unix(st.Ended, 0)) > toldOver:
			if err := s.drop(k); err != nil {
				s.log.Warn("what is over of a slice that was kept cannot be removed", "file", path, "err", err)
			}
		case len(list) < maxCharges:
			list = append(list, st)
		}
	}
	return list
}
