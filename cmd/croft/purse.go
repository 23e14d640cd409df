// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"croft/lease"
	"croft/lease/purse"
	"croft/lease/sign"
	"croft/node/journal"
	"croft/node/safe"
	"croft/node/slice"
)

// A person's tickets, and all that was signed under them, are kept in a purse of
// their own below HOME/purse: a signature is in it, durably, before it is seen.

func (a *app) purseDir() string { return filepath.Join(a.home, "purse") }

// openPurse waits while another command has the purse open.
func (a *app) openPurse(ctx context.Context, key *sign.Key) (*safe.Safe, error) {
	s, err := safe.Open(ctx, a.purseDir(), key)
	if err != nil {
		return nil, damaged(err)
	}
	if s.Restored() {
		a.warned.Do(func() { a.say("note: %s", copied) })
	}
	return s, nil
}

// damaged gives an error of the purse's files a hint.
func damaged(err error) error {
	switch {
	case errors.Is(err, journal.ErrFull):
		return fail(exitFailed, "make room: nothing is signed that cannot be written down", "%w", err)
	case errors.Is(err, journal.ErrCorrupt), errors.Is(err, purse.ErrFact):
		return fail(exitFailed, "what was signed is not known any more: make a new key with `croft key new`, and have tickets given to that", "%w", err)
	}
	return err
}

const (
	copied     = "your purse is a copy that was put back: it signs only what lies within what it has signed before"
	copiedHint = "if you moved it here and no other copy of it is in use, say so with `croft ticket moved`; else make a new key with `croft key new`, and have tickets given to that"
)

// purse has the purse do one thing and returns what it hands out. The error of
// a refusal is the purse's own.
func (a *app) purse(ctx context.Context, key *sign.Key, in purse.Input) (chain [][]byte, err error) {
	s, err := a.openPurse(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.Do(time.Now(), in)
}

// withheld reports whether err is the purse's no: the person's own claim is used
// up, or does not reach that far.
func withheld(err error) bool {
	for _, no := range []error{purse.ErrSpent, purse.ErrSlot, purse.ErrEnded, purse.ErrFloor, purse.ErrFull, purse.ErrRestored, lease.ErrExceeds} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// unkept says why a ticket did not go into the purse.
func unkept(where string, err error) error {
	switch {
	case errors.Is(err, lease.ErrNotHolder) && !isChainError(err):
		return because(err, usage("name the holder's key with --key", "%s: %w", where, err))
	case withheld(err) && !errors.Is(err, lease.ErrExceeds): // that is the chain's
		return because(err, fail(exitRefused, "", "%s: %s: %w", where, slice.OwnPurse, err))
	case reasonOf(err) == "":
		return err // no fault of the ticket
	}
	return because(err, fail(exitFailed, "`croft ticket verify` draws it; ask its issuer for it again", "%s: %w", where, err))
}

// unsigned says why the purse did not pass a ticket on.
func unsigned(err error) error {
	switch {
	case errors.Is(err, purse.ErrRestored):
		return because(err, fail(exitRefused, copiedHint, "%s: %w", slice.OwnPurse, err))
	case errors.Is(err, lease.ErrField), errors.Is(err, lease.ErrDepth):
		return because(err, usage("", "%w", err))
	case errors.Is(err, lease.ErrExceeds), errors.Is(err, purse.ErrSpent), errors.Is(err, purse.ErrSlot):
		return because(err, fail(exitRefused, "`croft ticket list` shows what is left of it", "%s: %w", slice.OwnPurse, err))
	case reasonOf(err) == "":
		return damaged(err)
	}
	return because(err, fail(exitRefused, "", "%s: %w", slice.OwnPurse, err))
}

func isChainError(err error) bool {
	var at *lease.ChainError
	return errors.As(err, &at)
}

// reasons are the words for what a purse finds wrong with a wish, and for the
// fields that people type; the rest are those of package lease.
var reasons = []struct {
	err  error
	word string
}{
	{lease.ErrRSet, "rset"}, {lease.ErrTerm, "term"}, {lease.ErrDegree, "degree"},
	{purse.ErrUnknown, "unknown"}, {purse.ErrEnded, "ended"}, {purse.ErrFloor, "floor"}, {purse.ErrSlot, "slot"},
	{purse.ErrSpent, "spent"}, {purse.ErrRequest, "request"}, {purse.ErrFull, "full"}, {purse.ErrRestored, "restored"},
}

// reasonOf names what is wrong with a ticket; empty if it is something else.
func reasonOf(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.word
		}
	}
	return lease.Code(err)
}

// because lets programs read the reason of a failure under --json.
func because(err, told error) error {
	var f *failure
	if errors.As(told, &f) {
		return &failure{code: f.code, err: f.err, hint: f.hint, reason: reasonOf(err)}
	}
	return fmt.Errorf("%w", told)
}
