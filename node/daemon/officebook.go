// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"croft/node/journal"
	"croft/node/role"
)

// officeBook is the durable record of who holds a role. Most nodes never decide
// anything: the journal is made with the first fact.
type officeBook struct {
	dir     string
	journal *journal.Journal
	facts   []role.Fact // durable
	log     *slog.Logger
	sync    func(dir string) error // makes the names in a directory durable
}

// open reads what there is.
func (b *officeBook) open() error {
	if _, err := os.Stat(filepath.Join(b.dir, journal.FileName)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return b.begin()
}

func (b *officeBook) begin() error {
	above := filepath.Dir(b.dir)
	if err := os.MkdirAll(above, 0o700); err != nil {
		return err
	}
	if err := b.sync(filepath.Dir(above)); err != nil { // the journal syncs those below
		return err
	}
	j, records, err := journal.Open(b.dir, journal.Options{Ballast: -1})
	if err != nil {
		return err
	}
	facts := make([]role.Fact, len(records))
	for i, r := range records {
		if facts[i], err = role.ParseFact(r); err != nil {
			return errors.Join(fmt.Errorf("record %d: %w", i, err), j.Close())
		}
	}
	b.journal, b.facts = j, facts
	return nil
}

// keep makes the facts of a batch durable. After an error it is not known whether
// they are: the book is read anew.
func (b *officeBook) keep(batch []role.Effect) error {
	var records []journal.Record
	var facts []role.Fact
	for _, e := range batch {
		if f, ok := e.(role.Fact); ok {
			facts, records = append(facts, f), append(records, f.Record())
		}
	}
	if len(facts) == 0 {
		return nil
	}
	if b.journal == nil {
		if err := b.begin(); err != nil {
			return err
		}
	}
	if err := b.journal.Append(records...); err != nil {
		return errors.Join(err, b.journal.Close(), b.begin())
	}
	if b.facts = append(b.facts, facts...); len(b.facts) > maxRoleFacts {
		if err := b.shorten(); err != nil { // what was to be kept is: the journal is long, and that is all
			b.log.Warn("the journal of a role could not be shortened", "err", err)
		}
	}
	return nil
}

// shorten leaves out what has no bearing any more.
func (b *officeBook) shorten() error {
	s := role.New(role.Config{Role: role.Role{Name: b.facts[0].Role}})
	for _, f := range b.facts {
		s.Restore(f)
	}
	facts := s.Facts()
	records := make([]journal.Record, len(facts))
	for i, f := range facts {
		records[i] = f.Record()
	}
	if err := b.journal.Snapshot(records); err != nil {
		return err
	}
	b.facts = facts
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (b *officeBook) close() error {
	if b.journal == nil {
		return nil
	}
	return b.journal.Close()
}
