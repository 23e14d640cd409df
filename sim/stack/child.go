// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"croft/sim/report"
	"croft/sim/scenario"
)

// A run has a process of its own, which ends with it: thousands of daemons need not be
// taken down, what is measured of memory is the run's, and time outside stays real.
// The scenario goes to the child's stdin; lines of JSON come back.

// line is what a child says.
type line struct {
	Progress *report.Progress `json:"progress,omitempty"`
	Report   *report.Report   `json:"report,omitempty"`
	Lean     *Lean            `json:"lean,omitempty"`
	Error    string           `json:"error,omitempty"`
}

// Config says how runs have their processes.
type Config struct {
	// Self is a program and the arguments with which it calls [Main].
	Self []string
	// Baseline has a lean DHT with one topic, of as many nodes, played before, to
	// compare costs with.
	Baseline bool
	// Progress is called now and then; may be nil.
	Progress func(report.Progress)
}

// Play has a child play a scenario. When ctx ends it is interrupted, and what there
// was comes back, marked as partial. Errors are ErrCannot, and what the child had to
// say.
func Play(ctx context.Context, s *scenario.Scenario, cfg Config) (*report.Report, error) {
	if err := cannot(s); err != nil {
		return nil, err
	}
	var base *Lean
	if cfg.Baseline {
		l, err := cfg.child(ctx, s, "lean")
		if err != nil {
			return nil, fmt.Errorf("playing the baseline: %w", err)
		}
		base = l.Lean
	}
	l, err := cfg.child(ctx, s, "stack")
	if err != nil {
		return nil, fmt.Errorf("playing on the stack: %w", err)
	}
	if base != nil {
		l.Report.Foot.Notes = append(l.Report.Foot.Notes, base.beside(l.Report))
	}
	return l.Report, nil
}

// child runs one process to its end and returns its last line. Its files go when it
// has gone, whichever way.
func (cfg Config) child(ctx context.Context, s *scenario.Scenario, what string) (last line, err error) {
	dir, err := scratch()
	if err != nil {
		return last, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), cfg.Self[0], append(slices.Clone(cfg.Self[1:]), what, dir)...)
	cmd.Stdin = strings.NewReader(s.String())
	var trouble tail
	cmd.Stderr = &trouble
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's interrupt is ours to pass on
	out, err := cmd.StdoutPipe()
	if err != nil {
		return last, err
	}
	if err := cmd.Start(); err != nil {
		return last, err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(os.Interrupt) }) // it may have ended
	defer stop()
	dec := json.NewDecoder(bufio.NewReader(out))
	var broken error
	for {
		var l line
		if err := dec.Decode(&l); err != nil {
			if !errors.Is(err, io.EOF) {
				broken = err
				_, _ = io.Copy(io.Discard, out) // let it end
			}
			break
		}
		if last = l; l.Progress != nil && cfg.Progress != nil {
			cfg.Progress(*l.Progress)
		}
	}
	err = cmd.Wait()
	switch {
	case last.Error != "":
		return last, errors.New(last.Error)
	case last.Report != nil || last.Lean != nil:
		return last, nil
	}
	return last, fmt.Errorf("the run broke off: %w\n%s", errors.Join(err, broken, errBroken), trouble)
}

// tail keeps the last of what was written.
type tail []byte

func (t *tail) Write(b []byte) (int, error) {
	*t = append(*t, b...)
	if over := len(*t) - maxTrouble; over > maxTrouble {
		*t = append((*t)[:0], (*t)[over:]...)
	}
	return len(b), nil
}

// Main is the child: it plays what stdin has and never returns. args is what to play,
// stack or lean, and the directory for its files.
func Main(args []string) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out := json.NewEncoder(os.Stdout)
	say := func(l line) {
		if out.Encode(l) != nil {
			os.Exit(1) // nobody listens
		}
	}
	text, err := io.ReadAll(io.LimitReader(os.Stdin, scenario.MaxFile+1))
	var s *scenario.Scenario
	if err == nil {
		s, err = scenario.Parse(string(text))
	}
	if err != nil || len(args) != 2 {
		say(line{Error: fmt.Sprintf("playing %q: %v", args, err)})
		os.Exit(1)
	}
	progress := func(p report.Progress) { say(line{Progress: &p}) }
	Enter(func() int {
		var l line
		if args[0] == "lean" {
			l.Lean, err = RunLean(ctx, s, progress)
		} else {
			l.Report, err = Run(ctx, s, Options{Dir: args[1], Progress: progress, Abandon: true})
		}
		if err != nil {
			l = line{Error: err.Error()}
		}
		say(l)
		return 0
	})
}
