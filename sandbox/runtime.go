// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"io"
	"path"
	"time"

	"croft/lease"
)

// Runtime runs slivers. It is safe for concurrent use, and calls for one
// sliver happen one after the other. Package sandboxtest has its contract as
// tests.
type Runtime interface {
	// Start makes and starts a sliver and returns when it runs. Starting one
	// that runs from an equal spec does nothing; from another spec it is
	// ErrConflict; one that is over is made anew. After an error nothing is
	// left.
	Start(context.Context, Spec) error

	// Extend changes limits and deadline of a running sliver, for good before
	// it returns. The size of the writable layer cannot change. When the kernel
	// refuses the limits (less memory than is in use) the deadline holds all the
	// same, and the error says why the limits do not.
	Extend(ctx context.Context, sliver string, rset lease.RSet, deadline int64) error

	// Stop asks the program to end, and ends it after grace. Stopping one that
	// is over does nothing.
	Stop(ctx context.Context, sliver string, grace time.Duration) error

	// Remove ends a sliver at once and forgets it, with all that it left.
	// Removing an unknown one does nothing.
	Remove(ctx context.Context, sliver string) error

	// List returns every sliver that is not gone, by name: also those that
	// another Runtime on the same state started.
	List(context.Context) ([]Status, error)

	// Exec runs a command beside the program and returns its exit status. It
	// ends with the sliver or with ctx, whichever is first.
	Exec(ctx context.Context, sliver string, e Exec, io IO) (exit int, err error)

	// Logs copies what the program wrote to w. With Follow it ends with the
	// sliver or with ctx.
	Logs(ctx context.Context, sliver string, o LogOptions, w io.Writer) error

	// Watch sends every change of state until ctx ends. A reader that is slow
	// gets the newest of each sliver and may miss those between.
	Watch(context.Context) <-chan Status
}

// Exec is a command to run in a sliver.
type Exec struct {
	Args []string `json:"args"`
	Env  []string `json:"env,omitempty"` // beside the program's own
	Cwd  string   `json:"cwd,omitempty"` // empty is the program's own
	TTY  bool     `json:"tty,omitempty"`
	Size Size     `json:"size,omitzero"` // of the terminal
}

// Size of a terminal, in characters.
type Size struct {
	Rows uint16 `json:"rows"`
	Cols uint16 `json:"cols"`
}

// IO is what a command reads and writes; nil is nothing. With a terminal all
// output goes to Out.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
	Resize   <-chan Size // with a terminal
}

// LogOptions choose what of a log is copied.
type LogOptions struct {
	Follow bool `json:"follow,omitempty"`
	Tail   int  `json:"tail,omitempty"`  // the last so many records; 0 is all
	Times  bool `json:"times,omitempty"` // put time and stream before each record
}

// Check reports what is impossible about a command, as [ErrProgram].
func (e Exec) Check() error {
	if len(e.Args) == 0 || e.Args[0] == "" {
		return fmt.Errorf("%w: no command", ErrProgram)
	}
	if e.Cwd != "" && !path.IsAbs(e.Cwd) {
		return fmt.Errorf("%w: working directory %q is not absolute", ErrProgram, e.Cwd)
	}
	if err := checkWords(e.Args, e.Env, e.Cwd); err != nil {
		return fmt.Errorf("%w: %v", ErrProgram, err)
	}
	return nil
}
