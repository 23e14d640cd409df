// SPDX-License-Identifier: Apache-2.0

// Package safe keeps a purse on disk: what is signed is durable before anybody
// sees it, one process at a time writes, and a copy that was put back is noticed.
//
//	DIR/PRINCIPAL/         the journal (package journal)
//	DIR/PRINCIPAL.lock     held by whoever has the purse open
//	DIR/PRINCIPAL.witness  what the journal's file looked like when it was shut
//
// The witness names the journal's file as no copy can be: its inode, when the
// file system made it, when it last changed, its length. A backup that is put
// back, wherever and by whatever tool, is another file or has changed since; the
// purse is then told so ([purse.Restored]) before it signs anything. While the
// purse is open the witness says that too, so that a crash is no suspicion. What
// restores a whole disk (a machine's snapshot) puts the witness back with it and
// is not noticed: see docs/decisions.
//
//	s, err := safe.Open(ctx, dir, key)
//	…
//	defer s.Close()
//	chain, err := s.Do(time.Now(), purse.Redeem{…})
//
// A Safe is for one goroutine; several of one purse, in one process or many, wait
// for one another.
package safe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"croft/lease"
	"croft/lease/purse"
	"croft/node/journal"
)

const (
	slack = 256                   // records more than needed before the journal is written anew
	retry = 20 * time.Millisecond // between two tries of the lock
)

// Safe is an open purse.
type Safe struct {
	path    string // of the journal's directory
	lock    *flock.Flock
	journal *journal.Journal // nil when only looked into
	purse   *purse.Purse
	records int
	broken  error // why nothing more can be done: the journal is behind the purse
}

// Open opens the purse of key's principal in dir, or makes it. It waits while
// another has it open, until ctx ends.
func Open(ctx context.Context, dir string, key lease.Signer) (*Safe, error) {
	s, err := enter(ctx, dir, key)
	if err != nil {
		return nil, err
	}
	if err := s.begin(key); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the purse: %w", err), s.leave())
	}
	return s, nil
}

// Look returns what is in the purse of key's principal, and changes nothing in it.
// Restored says that the next to open it will find it to be a copy.
func Look(ctx context.Context, dir string, key lease.Signer) (held []purse.Held, restored bool, err error) {
	if _, err := os.Stat(dir); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, false, nil // nothing was ever kept
		}
		return nil, false, err
	}
	s, err := enter(ctx, dir, key)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, s.leave()) }()
	known, err := s.known()
	if err != nil {
		return nil, false, err
	}
	records, err := journal.Read(s.path)
	if err != nil && !errors.Is(err, journal.ErrMissing) {
		return nil, false, fmt.Errorf("reading the purse: %w", err)
	}
	if err := s.rebuild(key, records); err != nil {
		return nil, false, err
	}
	return s.purse.Held(), s.purse.Restored() || !known, nil
}

// enter takes the lock.
func enter(ctx context.Context, dir string, key lease.Signer) (*Safe, error) {
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("making a place for the purse: %w", err)
	}
	path := filepath.Join(dir, key.Principal().String())
	lock := flock.New(path + ".lock")
	ours, err := lock.TryLock() // before ctx is asked: who need not wait may come late
	if err == nil && !ours {
		if _, err = lock.TryLockContext(ctx, retry); ctx.Err() != nil && err != nil {
			err = fmt.Errorf("waiting for the purse, which another command has open: %w", err)
		}
	}
	if err != nil {
		return nil, err
	}
	return &Safe{path: path, lock: lock}, nil
}

// begin says in the witness that the purse is open, opens the journal, and
// tells the purse if that is a copy.
func (s *Safe) begin(key lease.Signer) error {
	known, err := s.known()
	if err != nil {
		return err
	}
	if known { // else the witness stays as it is until the purse has been told
		if err := s.witness(open); err != nil {
			return err
		}
	}
	j, records, err := journal.Open(s.path, journal.Options{Ballast: -1})
	if err != nil {
		return err
	}
	s.journal = j
	if err := s.rebuild(key, records); err != nil {
		return err
	}
	if known || s.purse.Restored() {
		return s.witness(open)
	}
	if _, err := s.Do(time.Now(), purse.Restored{}); err != nil {
		return err
	}
	return s.witness(open)
}

func (s *Safe) rebuild(key lease.Signer, records []journal.Record) error {
	s.purse, s.records = purse.New(key), len(records)
	for _, r := range records {
		f, err := purse.ParseFact(r)
		if err == nil {
			err = s.purse.Restore(f)
		}
		if err != nil {
			return fmt.Errorf("reading the purse: %w", err)
		}
	}
	return nil
}

// Do has the purse do one thing and returns the chain that it hands out, if any.
// The error of a refusal is the purse's own; after any other the safe is of no
// more use, and what it would have handed out was seen by nobody.
func (s *Safe) Do(now time.Time, in purse.Input) ([][]byte, error) {
	facts, chain, refusal := s.step(now, in)
	if err := s.write(facts); err != nil {
		return nil, err
	}
	return chain, refusal
}

// DoAll has the purse do several things or, if it refuses one, none: then what
// was signed for the others is forgotten before anybody has seen it, and the safe
// is of no more use.
func (s *Safe) DoAll(now time.Time, ins []purse.Input) (chains [][][]byte, err error) {
	var facts []journal.Record
	for _, in := range ins {
		f, chain, refusal := s.step(now, in)
		if refusal != nil {
			s.broken = errors.New("the purse in memory is ahead of the one on disk")
			return nil, refusal
		}
		facts, chains = append(facts, f...), append(chains, chain)
	}
	return chains, s.write(facts)
}

func (s *Safe) step(now time.Time, in purse.Input) (facts []journal.Record, chain [][]byte, refusal error) {
	if s.broken != nil {
		return nil, nil, s.broken
	}
	for _, e := range s.purse.Step(now, in) {
		switch e := e.(type) {
		case purse.Fact:
			facts = append(facts, e.Record())
		case purse.Release:
			chain = e.Chain
		case purse.Refuse:
			refusal = e.Err
		}
	}
	return facts, chain, refusal
}

// write makes facts durable, all or none.
func (s *Safe) write(facts []journal.Record) error {
	if s.broken != nil {
		return s.broken
	}
	if err := s.journal.Append(facts...); err != nil {
		s.broken = fmt.Errorf("writing to the purse: %w", err)
		return s.broken
	}
	s.records += len(facts)
	return nil
}

// Held returns the tickets in the purse.
func (s *Safe) Held() []purse.Held { return s.purse.Held() }

// Restored reports whether the purse is a copy that was put back.
func (s *Safe) Restored() bool { return s.purse.Restored() }

// Close writes the journal anew where that makes it much shorter, and says in the
// witness what it looks like. What was released is durable already.
func (s *Safe) Close() error {
	if s.journal == nil {
		return nil
	}
	err := s.shorten()
	err = errors.Join(err, s.journal.Close())
	if err == nil {
		if w := s.witness(shut); s.broken == nil { // else there is an error already, and open is true too
			err = w
		}
	}
	s.journal = nil
	return errors.Join(err, s.leave())
}

func (s *Safe) shorten() error {
	facts := s.purse.Facts()
	if s.broken != nil || s.records <= len(facts)+slack {
		return nil
	}
	if err := s.witness(anew); err != nil {
		return err
	}
	list := make([]journal.Record, len(facts))
	for i, f := range facts {
		list[i] = f.Record()
	}
	err := s.journal.Snapshot(list)
	if errors.Is(err, journal.ErrFull) { // the old one, which is only longer, is in force
		return nil
	}
	return err
}

// leave lets go of the lock, and of the journal if there is one.
func (s *Safe) leave() error {
	var err error
	if s.journal != nil {
		err = s.journal.Close()
		s.journal = nil
	}
	return errors.Join(err, s.lock.Close())
}
