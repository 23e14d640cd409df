// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"croft/lease"
	"croft/node/api"
	"croft/node/client"
	"croft/node/daemon"
)

// Exit codes. They are documented and never change meaning.
const (
	exitOK          = 0
	exitFailed      = 1 // it did not work, or a remote command's status was not 0
	exitUsage       = 2 // the command line is wrong
	exitNothing     = 3 // nothing matched
	exitNoneKept    = 4 // held, but none kept
	exitPartial     = 5 // some kept, as --partial allows
	exitRefused     = 6 // refused by an owner
	exitTimeout     = 7
	exitUnreachable = 8 // cannot reach a node
)

// failure is an error with an exit code and, where there is one, the thing to
// type next.
type failure struct {
	code   int
	err    error
	hint   string
	reason string // in a word, where programs are to tell reasons apart
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(code int, hint, format string, args ...any) error {
	return &failure{code: code, err: fmt.Errorf(format, args...), hint: hint}
}

// usage is a mistake in what was typed.
func usage(hint, format string, args ...any) error { return fail(exitUsage, hint, format, args...) }

// wantsJSON looks for --json itself: an error may come before flags are read.
func wantsJSON(args []string) bool {
	for _, a := range args {
		switch a {
		case "--json", "--json=true":
			return true
		case "--":
			return false
		}
	}
	return false
}

// report prints an error, as people read it or as one line of JSON, and returns
// its exit code.
func report(w io.Writer, err error, asJSON bool) int {
	if err == nil {
		return exitOK
	}
	f := classify(err)
	t := trouble{plain(f.err), f.hint, f.code, exitNames[f.code], f.reason}
	switch {
	case t.Error == "": // a command that ran elsewhere has said it all
	case asJSON:
		_ = json.NewEncoder(w).Encode(t) // the exit code tells it all the same
	default:
		fmt.Fprint(w, t)
	}
	return f.code
}

// classify gives every error a code, and the common ones a hint.
func classify(err error) *failure {
	var f *failure
	var refusal *api.Refusal
	switch {
	case errors.As(err, &f):
		return &failure{code: f.code, err: err, hint: f.hint, reason: f.reason}
	case errors.As(err, &refusal):
		return &failure{code: exitRefused, err: err}
	case errors.Is(err, client.ErrNoDaemon) && errors.Is(err, fs.ErrPermission):
		return &failure{code: exitUnreachable, err: err, hint: "its owner decides who may use it: have them let you in, or start a node of your own with `croft up`"}
	case errors.Is(err, client.ErrNoDaemon):
		return &failure{code: exitUnreachable, err: err, hint: "start one with `croft up`, or name its socket with --socket"}
	case errors.Is(err, api.ErrUnreachable):
		return &failure{code: exitUnreachable, err: err, hint: "see who is there with `croft find`"}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{code: exitTimeout, err: err}
	case errors.Is(err, context.Canceled):
		return &failure{code: exitFailed, err: errors.New("interrupted")}
	case errors.Is(err, lease.ErrSyntax), errors.Is(err, lease.ErrUnknownResource), errors.Is(err, daemon.ErrConfig):
		return &failure{code: exitUsage, err: err}
	}
	return &failure{code: exitFailed, err: err}
}
