// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"croft/lease"
	"croft/sandbox"
)

// execRow is how one node's command ended.
type execRow struct {
	Node   string `json:"node"`
	Status int    `json:"status"` // -1: it did not run
	Error  string `json:"error,omitempty"`
	Out    string `json:"stdout,omitempty"`
	Err    string `json:"stderr,omitempty"`
}

func (a *app) exec() *cobra.Command {
	var node string
	var tty bool
	c := &cobra.Command{
		Use:   "exec SLICE -- COMMAND…",
		Short: "Run a command in every sliver of a slice",
		Long: `Run a command in every sliver of a slice at once, with a summary of who did not do
it. With --node in one sliver, with your standard input; with -t on a terminal.
Exit code 1 if a command's status is not 0 anywhere.`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := dashAfter(cmd, 1); err != nil {
				return err
			}
			t, err := a.target(cmd.Context(), args[0], lease.VerbExec)
			if err != nil {
				return err
			}
			if t, err = only(t, node); err != nil {
				return err
			}
			what := sandbox.Exec{Args: args[1:], TTY: tty}
			if err := what.Check(); err != nil {
				return usage("croft exec SLICE -- COMMAND…", "%w", err)
			}
			if len(t.Slivers) == 1 && !a.json {
				return a.execOne(cmd.Context(), t, what)
			}
			if tty {
				return usage("name one with --node", "-t wants one sliver, the slice has %d", len(t.Slivers))
			}
			return a.execAll(cmd.Context(), t, what)
		},
	}
	c.Flags().StringVar(&node, "node", "", "only this node's sliver")
	c.Flags().BoolVarP(&tty, "tty", "t", false, "on a terminal")
	return c
}

// execOne passes the standard streams through, as if the command ran here.
func (a *app) execOne(ctx context.Context, t target, what sandbox.Exec) error {
	stdio := sandbox.IO{In: a.in, Out: a.out, Err: a.err}
	if what.TTY {
		restore, err := a.raw(&what)
		if err != nil {
			return err
		}
		defer restore()
	}
	s := t.Slivers[0]
	n := a.node(t, s.Node)
	defer n.Close()
	status, err := n.Exec(ctx, s.Sliver, what, stdio)
	if err != nil {
		return notFound(s.Name, what, err)
	}
	if status != 0 {
		return fail(exitFailed, "", "%s: status %d", s.Name, status)
	}
	return nil
}

// notFound says in a word what a runtime says in many.
func notFound(node string, what sandbox.Exec, err error) error {
	if node != "" && err != nil {
		err = &nodeError{node, err}
	}
	if err != nil && strings.Contains(err.Error(), "executable file not found") {
		if node != "" {
			node += ": "
		}
		return fail(exitFailed, "a sliver of one static binary has that and nothing else", "%sno program %q in the sliver", node, what.Args[0])
	}
	return err
}

// raw puts the person's terminal into raw mode until restore is called.
func (a *app) raw(what *sandbox.Exec) (restore func(), err error) {
	f, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func() {}, nil // the sliver has a terminal all the same
	}
	fd := int(f.Fd())
	if cols, rows, err := term.GetSize(fd); err == nil && what != nil {
		what.Size = sandbox.Size{Rows: uint16(rows), Cols: uint16(cols)}
	}
	old, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("setting the terminal: %w", err)
	}
	return func() { _ = term.Restore(fd, old) }, nil // nothing more can be done for it
}

// execAll runs the command everywhere, lines marked with the node they are from.
func (a *app) execAll(ctx context.Context, t target, what sandbox.Exec) error {
	var mu sync.Mutex
	failed := 0
	out := a.group(ctx, t, func(ctx context.Context, n remote) error {
		row, err := a.execRow(ctx, n, what, &mu)
		mu.Lock()
		defer mu.Unlock()
		if row.Status != 0 {
			failed++
		}
		if a.json {
			if err != nil {
				row.Status, row.Error = -1, err.Error()
			}
			return errors.Join(err, json.NewEncoder(a.out).Encode(row))
		}
		if row.Status != 0 {
			a.say("%s: status %d", n.Name, row.Status)
		}
		return err
	})
	if err := a.summary(out); err != nil {
		return err
	}
	if failed > 0 {
		return fail(exitFailed, "", "status was not 0 on %d of %d nodes", failed, len(out))
	}
	a.say("%d of %d ok", len(out), len(out))
	return nil
}

func (a *app) execRow(ctx context.Context, n remote, what sandbox.Exec, mu *sync.Mutex) (execRow, error) {
	row, err := a.execIn(ctx, n, what, mu)
	return row, notFound("", what, err)
}

func (a *app) execIn(ctx context.Context, n remote, what sandbox.Exec, mu *sync.Mutex) (execRow, error) {
	row := execRow{Node: n.Name}
	if a.json {
		var o, e capped
		status, err := n.Exec(ctx, n.Sliver.Sliver, what, sandbox.IO{Out: &o, Err: &e})
		row.Status, row.Out, row.Err = status, string(o), string(e)
		return row, err
	}
	o := &lines{mu: mu, to: a.out, head: n.Name + " | "}
	e := &lines{mu: mu, to: a.err, head: n.Name + " | "}
	status, err := n.Exec(ctx, n.Sliver.Sliver, what, sandbox.IO{Out: o, Err: e})
	row.Status = status
	if end := o.end(); err == nil {
		err = end
	}
	if end := e.end(); err == nil {
		err = end
	}
	return row, err
}

// capped keeps the first megabyte of an output for --json.
type capped []byte

func (c *capped) Write(p []byte) (int, error) {
	const limit = 1 << 20
	*c = append(*c, p[:min(len(p), max(limit-len(*c), 0))]...)
	return len(p), nil
}
