// SPDX-License-Identifier: Apache-2.0

package shelf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

var (
	// ErrTrial says that a build on trial came to an end, or did not become healthy.
	ErrTrial = errors.New("the trial failed")
	// ErrStopped says that who watched a trial was told to stop.
	ErrStopped = errors.New("the trial was stopped")
)

const (
	// look is how often a build on trial is looked at.
	look = 200 * time.Millisecond

	// stopLimit is how long a build may take to end before it is killed.
	stopLimit = 20 * time.Second
)

// Trial runs a build in place of a program, and judges it from outside.
type Trial struct {
	Path string
	Args []string // with the program's name
	Env  []string

	// Healthy returns nil while the build does what it should.
	Healthy func(context.Context) error
	Within  time.Duration // in which it has to become healthy
	Settle  time.Duration // for which it has to stay so
}

// Run returns nil if the build became healthy and stayed so; [ErrTrial] if not, and why;
// [ErrStopped] when ctx ends. In each case the build has ended when it returns: at its own
// pace after the first and the last, killed after the other. If the caller dies, so does
// the build.
func (t Trial) Run(ctx context.Context) error {
	// The kernel counts the thread that started a process as its parent.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := exec.Command(t.Path)
	c.Args, c.Env = t.Args, t.Env
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	if err := c.Start(); err != nil {
		return fmt.Errorf("%w: %w", ErrTrial, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	verdict := t.judge(ctx, c, ended, hangups)
	if errors.Is(verdict, errEnded) {
		return verdict
	}
	if errors.Is(verdict, ErrTrial) {
		_ = c.Process.Kill() // it hangs, or worse
		<-ended
		return verdict
	}
	_ = c.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(stopLimit):
		_ = c.Process.Kill()
		<-ended
	}
	return verdict
}

// errEnded: the build came to an end by itself.
var errEnded = fmt.Errorf("%w: it ended", ErrTrial)

func (t Trial) judge(ctx context.Context, c *exec.Cmd, ended <-chan error, hangups <-chan os.Signal) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	limit := time.NewTimer(t.Within)
	defer limit.Stop()
	var since time.Time
	var last error
	for {
		select {
		case <-ctx.Done():
			return ErrStopped
		case err := <-ended:
			if ctx.Err() != nil {
				return errors.Join(ErrStopped, errEnded) // both were told to
			}
			return fmt.Errorf("%w: %s", errEnded, how(err))
		case sig := <-hangups:
			_ = c.Process.Signal(sig)
			continue
		case <-limit.C:
			return fmt.Errorf("%w: not healthy within %s: %w", ErrTrial, t.Within, last)
		case <-tick.C:
		}
		asked, cancel := context.WithTimeout(ctx, 10*look)
		last = t.Healthy(asked)
		cancel()
		switch {
		case last != nil:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
			fallthrough
		default:
			if time.Since(since) >= t.Settle {
				return nil
			}
			last = errors.New("it was not so for long enough")
		}
	}
}

func how(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}
