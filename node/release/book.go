// SPDX-License-Identifier: Apache-2.0

package release

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"croft/lease"
)

// Book is what a node remembers of releases. The zero Book is of a node that runs what its
// owner installed.
type Book struct {
	// Newest is the newest release that was heard of and verified, as text: nothing lower
	// is believed any more.
	Newest string `json:"newest,omitempty"`

	Current  *Kept  `json:"current,omitempty"`  // runs; nil: what the owner installed
	Previous *Kept  `json:"previous,omitempty"` // ran before; nil: what the owner installed
	Trial    *Trial `json:"trial,omitempty"`    // is being tried, or was when all ended
	Starts   int    `json:"starts,omitempty"`   // of Current in a row that came to nothing yet

	Pin    *Version  `json:"pin,omitempty"` // the owner wants this one, and no other
	Failed []Failure `json:"failed,omitempty"`
}

// Kept is a build that the node has on its disk.
type Kept struct {
	Version Version      `json:"version"`
	Digest  lease.Digest `json:"digest"`
	Size    int64        `json:"size"`
}

// Trial is a build that runs until it is confirmed or fails.
type Trial struct {
	Kept
	Begun time.Time `json:"begun"`
	Tries int       `json:"tries"`
}

// Failure is a build that did not do.
type Failure struct {
	Kept
	At    time.Time `json:"at"`
	Why   string    `json:"why"`
	Tries int       `json:"tries,omitempty"` // interrupted ones; below MaxTries it may be tried again
}

// Last returns the newest release that was heard of, nil if there is none.
func (b *Book) Last() *Signed {
	if b.Newest == "" {
		return nil
	}
	s, err := Parse([]byte(b.Newest))
	if err != nil {
		return nil // it was written by a program that knew of more
	}
	return s
}

// Bears returns why a release that publishers signed is not believed: [ErrLower] or
// [ErrTwo]. It changes nothing.
func (b *Book) Bears(s *Signed, running Version) error {
	if s.Version.Compare(running) < 0 {
		return fmt.Errorf("release %s, and %s runs: %w", s.Version, running, ErrLower)
	}
	last := b.Last()
	if last == nil {
		return nil
	}
	switch c := s.Version.Compare(last.Version); {
	case c < 0:
		return fmt.Errorf("release %s, after %s: %w", s.Version, last.Version, ErrLower)
	case c == 0 && !slices.Equal(s.Builds, last.Builds):
		return fmt.Errorf("release %s: %w", s.Version, ErrTwo)
	}
	return nil
}

// Hear remembers a release that the rules let through, and reports whether it is news.
func (b *Book) Hear(s *Signed, running Version) (news bool, err error) {
	if err := b.Bears(s, running); err != nil {
		return false, err
	}
	last := b.Last()
	if last != nil && last.Version == s.Version && !s.Said.After(last.Said) {
		return false, nil
	}
	b.Newest = string(s.Text())
	return last == nil || last.Version != s.Version, nil
}

// May returns why a release is not run by itself: the owner says otherwise, it failed, it
// runs, or another has to come first. What the owner asks for by name may have failed.
func (b *Book) May(s *Signed, running Version, on string, asked bool) (Kept, error) {
	f, err := s.Build(on)
	if err != nil {
		return Kept{}, err
	}
	k := Kept{s.Version, f.Digest, f.Size}
	switch {
	case b.Trial != nil:
		return k, fmt.Errorf("%s: %w", b.Trial.Version, ErrTrial)
	case s.Version == running:
		return k, fmt.Errorf("%s: %w", running, ErrSame)
	case s.Version.Compare(running) < 0:
		return k, fmt.Errorf("release %s, and %s runs: %w", s.Version, running, ErrLower)
	case b.Pin != nil && *b.Pin != s.Version:
		return k, fmt.Errorf("%s: %w", *b.Pin, ErrPinned)
	case running.Compare(s.After) < 0:
		return k, fmt.Errorf("release %s follows on %s, and %s runs: %w", s.Version, s.After, running, ErrStep)
	}
	if i := b.failure(k.Digest); !asked && i >= 0 && b.Failed[i].Tries == 0 {
		return k, fmt.Errorf("release %s: %s: %w", s.Version, b.Failed[i].Why, ErrFailed)
	}
	return k, nil
}

func (b *Book) failure(d lease.Digest) int {
	return slices.IndexFunc(b.Failed, func(f Failure) bool { return f.Digest == d })
}

// Try begins a trial.
func (b *Book) Try(k Kept, now time.Time) error {
	if b.Trial != nil {
		return fmt.Errorf("%s: %w", b.Trial.Version, ErrTrial)
	}
	tries := 1
	if i := b.failure(k.Digest); i >= 0 {
		tries += b.Failed[i].Tries
	}
	b.Trial = &Trial{Kept: k, Begun: now, Tries: tries}
	return nil
}

// Confirm ends a trial well: what was tried runs from now on.
func (b *Book) Confirm() {
	if t := b.Trial; t != nil {
		b.Previous, b.Current, b.Trial, b.Starts = b.Current, &t.Kept, nil, 0
		b.Failed = slices.DeleteFunc(b.Failed, func(f Failure) bool { return f.Digest == t.Digest })
	}
}

// Fail ends a trial: what ran before runs on.
func (b *Book) Fail(why string, now time.Time) {
	if t := b.Trial; t != nil {
		b.Trial = nil
		b.gaveUp(Failure{Kept: t.Kept, At: now, Why: why})
	}
}

// Interrupted ends a trial that was neither confirmed nor failed, because its watcher came
// to an end first, and reports whether there was one.
func (b *Book) Interrupted(now time.Time) bool {
	t := b.Trial
	if t == nil {
		return false
	}
	b.Trial = nil
	f := Failure{Kept: t.Kept, At: now, Why: "its trial was interrupted", Tries: t.Tries}
	if t.Tries >= MaxTries {
		f.Why, f.Tries = fmt.Sprintf("its trial was interrupted %d times", t.Tries), 0
	}
	b.gaveUp(f)
	return true
}

func (b *Book) gaveUp(f Failure) {
	f.Why = strings.ToValidUTF8(f.Why[:min(len(f.Why), maxWhy)], "")
	b.Failed = slices.DeleteFunc(b.Failed, func(o Failure) bool { return o.Digest == f.Digest })
	b.Failed = append(b.Failed, f)
	b.Failed = b.Failed[max(0, len(b.Failed)-MaxFailed):]
}

// Started counts a start of what runs; Healthy ends the count.
func (b *Book) Started() { b.Starts++ }

// Healthy says that what runs does, and reports whether that was to be written down.
func (b *Book) Healthy() bool {
	was := b.Starts
	b.Starts = 0
	return was != 0
}

// Back has what ran before run again, by the owner's wish or because what runs does not
// start. What ran is not run again by itself.
func (b *Book) Back(why string, now time.Time) error {
	if b.Trial != nil {
		return fmt.Errorf("%s: %w", b.Trial.Version, ErrTrial)
	}
	if b.Current == nil {
		return ErrNothing
	}
	b.gaveUp(Failure{Kept: *b.Current, At: now, Why: why})
	b.Current, b.Previous, b.Starts = b.Previous, nil, 0
	return nil
}

// Keeps reports whether a build on the disk is still of use.
func (b *Book) Keeps(d lease.Digest) bool {
	return b.Current != nil && b.Current.Digest == d || b.Previous != nil && b.Previous.Digest == d || b.Trial != nil && b.Trial.Digest == d
}

// Installed says that what the owner installed runs, in place of what the book has, and
// reports whether that is news.
func (b *Book) Installed() bool {
	if b.Current == nil {
		return false
	}
	b.Current, b.Previous, b.Starts = nil, nil, 0
	return true
}
