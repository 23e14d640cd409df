// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"croft/lease"
	"croft/node/slice"
)

// A person's slices are kept one file each, HOME/slices/LABEL.json: who has to
// know where its slivers are is their owner.

func (a *app) sliceDir() string { return filepath.Join(a.home, "slices") }

func (a *app) slicePath(label string) string { return filepath.Join(a.sliceDir(), label+".json") }

// keep stores a record, whole or not at all; one without slivers is forgotten.
func (a *app) keep(rec slice.Record) error {
	path := a.recordFile(rec)
	if !rec.Actor.IsZero() {
		var err error
		if rec, err = a.joined(rec); err != nil {
			return err
		}
	}
	if len(rec.Slivers) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := os.MkdirAll(a.sliceDir(), 0o700); err != nil {
		return fmt.Errorf("keeping slice %s: %w", rec.Slice, err)
	}
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(tmp, rec.Encode(), 0o600); err != nil {
		return fmt.Errorf("keeping slice %s: %w", rec.Slice, err)
	}
	return os.Rename(tmp, path)
}

// recordFile is where a record is kept: of a slice of another's, LABEL@OWNER.json.
func (a *app) recordFile(rec slice.Record) string {
	if rec.Actor.IsZero() {
		return a.slicePath(rec.Slice)
	}
	return a.slicePath(rec.Slice + "@" + rec.Owner.String())
}

// joined adds to what was done for another what was done before: one sliver a
// node, as a hint where to look.
func (a *app) joined(rec slice.Record) (slice.Record, error) {
	kept, err := a.keptRecord(rec)
	now := time.Now().Unix()
	for _, s := range kept.Slivers {
		if s.Until > now && !slices.Contains(nodesOf(rec), s.Node) {
			rec.Slivers = append(rec.Slivers, s)
		}
	}
	return rec, err
}

// keptRecord is what is kept of a slice of another's; nothing is no error.
func (a *app) keptRecord(of slice.Record) (slice.Record, error) {
	path := a.recordFile(of)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return slice.Record{}, nil
	}
	var rec slice.Record
	if err == nil {
		rec, err = slice.ParseRecord(b)
	}
	if err == nil && (rec.Slice != of.Slice || rec.Owner != of.Owner) {
		err = fmt.Errorf("it is of another slice: %w", slice.ErrRecord)
	}
	if err != nil {
		return slice.Record{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return rec, nil
}

// slice reads the record of a slice. What people type may carry "@you".
func (a *app) slice(name string) (slice.Record, error) {
	label, _, _ := strings.Cut(name, "@")
	if err := lease.CheckLabel(label); err != nil {
		return slice.Record{}, usage("", "slice: %w", err)
	}
	b, err := os.ReadFile(a.slicePath(label))
	if errors.Is(err, fs.ErrNotExist) {
		hint := didYouMean(label, a.labels())
		if hint == "" {
			hint = "`croft ps` lists your slices"
		}
		return slice.Record{}, fail(exitNothing, hint, "you have no slice %q", label)
	}
	if err != nil {
		return slice.Record{}, err
	}
	rec, err := slice.ParseRecord(b)
	if err == nil && rec.Slice != label {
		err = fmt.Errorf("it is of slice %q: %w", rec.Slice, slice.ErrRecord)
	}
	if err != nil {
		return slice.Record{}, fmt.Errorf("reading %s: %w", a.slicePath(label), err)
	}
	return rec, nil
}

// labels are the names of all slices, sorted.
func (a *app) labels() []string {
	files, err := filepath.Glob(filepath.Join(a.sliceDir(), "*.json"))
	if err != nil {
		return nil
	}
	var labels []string
	for _, f := range files {
		if label := strings.TrimSuffix(filepath.Base(f), ".json"); lease.CheckLabel(label) == nil { // else another's
			labels = append(labels, label)
		}
	}
	sort.Strings(labels)
	return labels
}
