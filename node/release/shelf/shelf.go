// SPDX-License-Identifier: Apache-2.0

// Package shelf keeps the builds that a node may run, and its book, on disk.
//
//	STATE/versions/book.json            who runs: release.Book
//	STATE/versions/0.2.0-8c1fe0aa/croft a build, whose digest was checked as it was written
//
// What is there is whole: a file is written under another name, synced, tried by asking it
// for its version, and renamed. What a crash leaves of an attempt the next one removes.
//
//	s, err := shelf.Open(filepath.Join(state, "versions"))
//	kept, err := s.Add(ctx, build, file)
//	book := s.Book()
//	err = book.Try(kept, now)
//	err = s.Save(book)
//	err = syscall.Exec(s.Path(kept), os.Args, os.Environ())
//
// [Trial] runs a build beside who watches it. A Shelf is for one goroutine, and one
// process writes to it: the one that holds the node's journal.
package shelf

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"croft/lease"
	"croft/node/release"
)

var (
	// ErrBuild says that a file is not the build that a release names.
	ErrBuild = errors.New("not the build of the release")
	// ErrCheck says that a build does not say that it is the version of its release.
	ErrCheck = errors.New("the build does not start as it should")
	// ErrBook says that the book cannot be read.
	ErrBook = errors.New("the book of releases cannot be read")
)

const (
	bookName    = "book.json"
	programName = "croft"
	partial     = ".partial" // begins what is not whole

	// maxBook is the size in bytes of a book that is read: its failures take 500 each.
	maxBook = 64 << 10

	// checkLimit is how long a build may take to tell its version, and maxSaid how much
	// of what it says is read.
	checkLimit = 10 * time.Second
	maxSaid    = 4 << 10

	// busyAgain is how often a build that is held open is started again, busyPause after
	// how long.
	busyAgain = 20
	busyPause = 50 * time.Millisecond
)

// Shelf is a directory of builds.
type Shelf struct {
	dir  string
	book release.Book
}

// Open reads the book; a directory that is not there is made when something is kept. With
// [ErrBook] comes a shelf with an empty book, to be read and not to be saved: which is the
// highest version that was heard of is not known.
func Open(dir string) (*Shelf, error) {
	s := &Shelf{dir: dir}
	f, err := os.Open(filepath.Join(dir, bookName))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrBook, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBook+1))
	if err == nil && len(text) > maxBook {
		err = fmt.Errorf("it has more than %d bytes", maxBook)
	}
	if err == nil {
		err = json.Unmarshal(text, &s.book)
	}
	if err == nil && s.book.Newest != "" { // without it an old release would pass for a new one
		_, err = release.Parse([]byte(s.book.Newest))
	}
	if err != nil {
		s.book = release.Book{}
		return s, fmt.Errorf("%w: %w", ErrBook, err)
	}
	return s, nil
}

// Book returns what the disk knows.
func (s *Shelf) Book() release.Book {
	b := s.book
	b.Failed = append([]release.Failure(nil), b.Failed...)
	return b
}

// Save makes a book the one that the disk knows. After an error it may be either; the
// caller opens the shelf anew.
func (s *Shelf) Save(b release.Book) error {
	text, err := json.MarshalIndent(b, "", " ")
	if err != nil {
		return fmt.Errorf("writing the book of releases: %w", err)
	}
	if err := s.replace(filepath.Join(s.dir, bookName), 0o600, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	}); err != nil {
		return fmt.Errorf("writing the book of releases: %w", err)
	}
	s.book = b
	return nil
}

// replace writes a file whole or not at all.
func (s *Shelf) replace(path string, mode fs.FileMode, fill func(io.Writer) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(path), partial+"-"+filepath.Base(path))
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = errors.Join(fill(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(tmp)))
	}
	return syncDir(filepath.Dir(path))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Path is where a build is.
func (s *Shelf) Path(k release.Kept) string {
	return filepath.Join(s.dir, fmt.Sprintf("%s-%x", k.Version, k.Digest[:4]), programName)
}

// Has reports whether a path is that of a build of this shelf.
func (s *Shelf) Has(path string) bool {
	in, err := filepath.Rel(s.dir, path)
	return err == nil && filepath.IsLocal(in) && filepath.Base(in) == programName
}

// Add takes in a build: it is whole, and starts. One that is there already is checked
// anew and src is not read.
func (s *Shelf) Add(ctx context.Context, k release.Kept, src io.Reader) error {
	path := s.Path(k)
	if s.Holds(k) == nil {
		return nil
	}
	if err := errors.Join(os.MkdirAll(s.dir, 0o755), os.MkdirAll(filepath.Dir(path), 0o755)); err != nil {
		return fmt.Errorf("keeping release %s: %w", k.Version, err)
	}
	// Under another name, in a directory of its own, it is asked for its version.
	tmp := filepath.Join(s.dir, partial+"-"+programName)
	err := s.write(tmp, k, src)
	if err == nil {
		err = startable(ctx, tmp, k.Version)
	}
	if err == nil {
		err = errors.Join(os.Rename(tmp, path), syncDir(filepath.Dir(path)), syncDir(s.dir))
	}
	if err != nil {
		_ = os.Remove(tmp)                // what stays is removed by the next attempt
		_ = os.Remove(filepath.Dir(path)) // unless there is something in it
		return fmt.Errorf("keeping release %s: %w", k.Version, err)
	}
	return nil
}

// write writes a build, which is the one that a release names or an error.
func (s *Shelf) write(path string, k release.Kept, src io.Reader) error {
	return s.replace(path, 0o755, func(w io.Writer) error {
		h := sha256.New()
		n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(src, k.Size+1))
		switch {
		case err != nil:
			return err
		case n != k.Size:
			return fmt.Errorf("%w: it has %s, and not %d bytes", ErrBuild, counted(n, k.Size), k.Size)
		case lease.Digest(h.Sum(nil)) != k.Digest:
			return fmt.Errorf("%w: its digest is sha256:%x", ErrBuild, h.Sum(nil))
		}
		return nil
	})
}

func counted(n, most int64) string {
	if n > most {
		return "more"
	}
	return fmt.Sprint(n)
}

// Holds returns nil if a build is there as it was kept.
func (s *Shelf) Holds(k release.Kept) error {
	f, err := os.Open(s.Path(k))
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, k.Size+1))
	if err == nil && (n != k.Size || lease.Digest(h.Sum(nil)) != k.Digest) {
		err = fmt.Errorf("%s: %w: it has changed on the disk", s.Path(k), ErrBuild)
	}
	return err
}

// startable is check for a file that was just written: a process that another part of
// this one starts at that moment holds it open for writing until it becomes another.
func startable(ctx context.Context, path string, v release.Version) error {
	for again := 0; ; again++ {
		err := check(ctx, path, v)
		if !errors.Is(err, syscall.ETXTBSY) || again == busyAgain {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(busyPause):
		}
	}
}

// check asks a build for its version, with nothing of this process at hand.
func check(ctx context.Context, path string, v release.Version) error {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	var said bytes.Buffer
	c := exec.CommandContext(ctx, path, "--version")
	c.Env, c.Dir, c.WaitDelay = []string{}, "/", time.Second
	c.Stdout = &bounded{w: &said, left: maxSaid}
	err := c.Run()
	if errors.Is(err, syscall.ETXTBSY) {
		return err
	}
	if ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	if want := "croft " + v.String(); err == nil && strings.TrimSpace(said.String()) != want {
		err = fmt.Errorf("it says %.60q, and not %q", strings.TrimSpace(said.String()), want)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCheck, err)
	}
	return nil
}

// bounded takes so much, and drops the rest.
type bounded struct {
	w    io.Writer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	_, err := b.w.Write(p[:n])
	return len(p), err
}

// Sweep removes the builds that the book has no use for, but for one that runs.
func (s *Shelf) Sweep(running string) error {
	list, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	keep := map[string]bool{filepath.Dir(running): true}
	for _, k := range []*release.Kept{s.book.Current, s.book.Previous} {
		if k != nil {
			keep[filepath.Dir(s.Path(*k))] = true
		}
	}
	if t := s.book.Trial; t != nil {
		keep[filepath.Dir(s.Path(t.Kept))] = true
	}
	var errs []error
	for _, e := range list {
		if path := filepath.Join(s.dir, e.Name()); e.Name() != bookName && !keep[path] {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}

// Next is the build to start in place of a program that the owner installed: what the book
// says runs, unless the owner has installed what is newer; if that is damaged, or came to
// nothing when it was started, what ran before. False: the program itself.
func (s *Shelf) Next(installed release.Version) (k release.Kept, path string, ok bool) {
	list := []*release.Kept{s.book.Current, s.book.Previous}
	if s.book.Starts >= release.MaxStarts {
		list = list[1:]
	}
	for _, k := range list {
		if k != nil && k.Version.Compare(installed) > 0 && s.Holds(*k) == nil {
			return *k, s.Path(*k), true
		}
	}
	return k, "", false
}
