// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"croft/lease/sign"
	"croft/node/journal"
)

// A node's key and its journal live and die together: whoever signs must know
// what was signed. A state without a journal gets a new key; a key whose journal
// is lost is not used.

func keyPath(state string) string    { return filepath.Join(state, "node", "key") }
func journalDir(state string) string { return filepath.Join(state, "node", "journal") }

var (
	// ErrJournalLost says that a node's key is there and its journal is not.
	ErrJournalLost = errors.New("the journal of this node's key is lost")

	// ErrKeyLost says that a journal is there in which a key signed that is not.
	ErrKeyLost = errors.New("the key of this node's journal is lost")
)

// NodeKey returns the key of the node with this state directory. A new node's is
// made, together with its journal.
func NodeKey(state string) (*sign.Key, error) {
	f, err := os.Open(keyPath(state))
	if errors.Is(err, fs.ErrNotExist) {
		return newNodeKey(state)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the node's key: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, sign.MaxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the node's key: %w", err)
	}
	key, err := sign.Parse(b, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the node's key %s: %w", keyPath(state), err)
	}
	return key, nil
}

// newNodeKey makes the journal first: a crash in between leaves a journal
// without a key, which the next try takes.
func newNodeKey(state string) (*sign.Key, error) {
	if err := os.MkdirAll(filepath.Dir(keyPath(state)), 0o700); err != nil {
		return nil, fmt.Errorf("making the node's key: %w", err)
	}
	j, records, err := journal.Open(journalDir(state), journal.Options{})
	if err != nil {
		return nil, err
	}
	if err := j.Close(); err != nil {
		return nil, err
	}
	if len(records) > 0 {
		return nil, fmt.Errorf("%w: %s (move %s away to begin as a new node)", ErrKeyLost, keyPath(state), journalDir(state))
	}
	key, err := sign.Generate(rand.Reader)
	if err != nil {
		return nil, err
	}
	text, err := key.Marshal("croft node", nil)
	if err != nil {
		return nil, err
	}
	return key, writeDurably(keyPath(state), text)
}

// writeDurably makes a private file, whole or not at all.
func writeDurably(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// books is a journal.Journal as the daemon knows it.
type books struct{ *journal.Journal }

func openJournal(state string) (OpenJournal, [][]byte, error) {
	j, records, err := journal.Open(journalDir(state), journal.Options{MustExist: true})
	if errors.Is(err, journal.ErrMissing) {
		return nil, nil, fmt.Errorf("%w: %s (move %s away to begin as a new node)", ErrJournalLost, journalDir(state), keyPath(state))
	}
	if err != nil {
		return nil, nil, err
	}
	opened, out := Books(j, records)
	return opened, out, nil
}

// Books are a journal and its records as a daemon wants them opened.
func Books(j *journal.Journal, records []journal.Record) (OpenJournal, [][]byte) {
	out := make([][]byte, len(records))
	for i, r := range records {
		out[i] = r
	}
	return books{j}, out
}

func (b books) Append(records ...[]byte) error { return b.Journal.Append(convert(records)...) }
func (b books) AppendClosing(records ...[]byte) error {
	return b.Journal.AppendClosing(convert(records)...)
}
func (b books) Snapshot(records [][]byte) error { return b.Journal.Snapshot(convert(records)) }

func convert(records [][]byte) []journal.Record {
	out := make([]journal.Record, len(records))
	for i, r := range records {
		out[i] = r
	}
	return out
}
