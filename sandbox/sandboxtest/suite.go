// SPDX-License-Identifier: Apache-2.0

// Package sandboxtest holds the promises of a sandbox.Runtime as tests, which
// the real Runtime and the models of simulations pass alike.
//
//	func TestConformance(t *testing.T) {
//		sandboxtest.Run(t, func(t *testing.T) sandboxtest.Subject { ... })
//	}
//
// A [Subject] brings specs whose programs behave as their names say, so that a
// model need not run real programs; a model whose clock is virtual runs the
// suite in a synctest bubble. The suite calls from one goroutine at a time,
// except where it says otherwise.
package sandboxtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"croft/lease"
	"croft/sandbox"
)

// Subject is a fresh Runtime and the world that it is in.
type Subject struct {
	Runtime sandbox.Runtime

	// Forever is a spec whose program prints "up\n" and runs until it is
	// killed; Exits one whose program prints "bye\n" and ends with that status.
	// Their deadlines are far away.
	Forever func(sliver string) sandbox.Spec
	Exits   func(sliver string, exit int) sandbox.Spec

	// Command is a command that prints "hi\n" and ends with that status.
	Command func(exit int) sandbox.Exec

	// Boot reads the boot clock, in nanoseconds.
	Boot func() int64

	// Reopen drops the Runtime and returns another one on the same state.
	Reopen func() sandbox.Runtime
}

// patience bounds each wait of the suite.
const patience = time.Minute

type trial struct {
	*testing.T
	Subject
	ctx context.Context
}

// Run runs the suite, each test with a subject of its own.
func Run(t *testing.T, fresh func(*testing.T) Subject) {
	RunIn(t, func(t *testing.T, test func(*testing.T)) { test(t) }, fresh)
}

// RunIn is [Run] with each test, and the making of its subject, inside of something:
// synctest.Test for a model.
func RunIn(t *testing.T, in func(*testing.T, func(*testing.T)), fresh func(*testing.T) Subject) {
	for _, c := range []struct {
		name string
		test func(*trial)
	}{
		{"start is idempotent", startTwice},
		{"impossible specs are refused", impossible},
		{"a program that ends is stopped", programEnds},
		{"stop ends and is idempotent", stop},
		{"remove forgets", remove},
		{"nobody knows an unknown sliver", unknown},
		{"the deadline ends a sliver", deadline},
		{"extend moves the deadline", extend},
		{"extend refuses", extendRefuses},
		{"restarts follow the policy", restarts},
		{"commands run beside the program", command},
		{"a log follows to the end", follow},
		{"slivers outlive their runtime", reopen},
		{"callers at once", concurrent},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				c.test(&trial{t, fresh(t), ctx})
			})
		})
	}
}

func (t *trial) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (t *trial) want(err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

// get returns a sliver's status from List.
func (t *trial) get(sliver string) (sandbox.Status, bool) {
	t.Helper()
	list, err := t.Runtime.List(t.ctx)
	t.must(err)
	for i, s := range list {
		if i > 0 && list[i-1].Sliver >= s.Sliver {
			t.Errorf("list is not in order of name: %v", list)
		}
		if s.Sliver == sliver {
			return s, true
		}
	}
	return sandbox.Status{}, false
}

// until waits for a state by Watch and List.
func (t *trial) until(sliver string, state sandbox.State) sandbox.Status {
	t.Helper()
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	changes := t.Runtime.Watch(ctx)
	for {
		if s, ok := t.get(sliver); ok && s.State == state {
			return s
		}
		if _, open := <-changes; !open {
			s, _ := t.get(sliver)
			t.Fatalf("never %s; it is %v", state, s)
		}
	}
}

func startTwice(t *trial) {
	s := t.Forever("twice")
	t.must(t.Runtime.Start(t.ctx, s))
	first := t.until("twice", sandbox.Running)
	t.must(t.Runtime.Start(t.ctx, s))
	if again, _ := t.get("twice"); again != first {
		t.Errorf("%v after the second start, %v before", again, first)
	}
	if first.Deadline != s.Deadline || first.Restarts != 0 || first.Exit != nil {
		t.Errorf("status %v", first)
	}
	other := s
	other.Hostname += "x"
	t.want(t.Runtime.Start(t.ctx, other), sandbox.ErrConflict)
}

func impossible(t *trial) {
	s := t.Forever("impossible")
	s.RSet[lease.Memory] = 0
	t.want(t.Runtime.Start(t.ctx, s), sandbox.ErrSpec)
	s = t.Forever("impossible")
	s.Program.Args = nil
	t.want(t.Runtime.Start(t.ctx, s), sandbox.ErrProgram)
	s = t.Forever("impossible")
	s.Deadline = t.Boot()
	t.want(t.Runtime.Start(t.ctx, s), sandbox.ErrDeadline)
	if got, ok := t.get("impossible"); ok {
		t.Errorf("a refused start left %v", got)
	}
}

func programEnds(t *trial) {
	t.must(t.Runtime.Start(t.ctx, t.Exits("ends", 5)))
	s := t.until("ends", sandbox.Stopped)
	if s.Exit == nil || *s.Exit != 5 || s.Pid != 0 || s.Reason != sandbox.ReasonExited {
		t.Errorf("status %v", s)
	}
	if out := t.log("ends", sandbox.LogOptions{}); out != "bye\n" {
		t.Errorf("log %q", out)
	}
	_, err := t.Runtime.Exec(t.ctx, "ends", t.Command(0), sandbox.IO{})
	t.want(err, sandbox.ErrNotRunning)
	t.must(t.Runtime.Start(t.ctx, t.Forever("ends"))) // anew, and as something else
	t.until("ends", sandbox.Running)
}

func stop(t *trial) {
	t.must(t.Runtime.Start(t.ctx, t.Forever("stop")))
	t.must(t.Runtime.Stop(t.ctx, "stop", 0))
	s, ok := t.get("stop")
	if !ok || s.State != sandbox.Stopped || s.Reason != sandbox.ReasonStopped {
		t.Errorf("status %v after stop", s)
	}
	t.must(t.Runtime.Stop(t.ctx, "stop", 0))
}

func remove(t *trial) {
	t.must(t.Runtime.Start(t.ctx, t.Forever("remove")))
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	changes := t.Runtime.Watch(ctx)
	t.must(t.Runtime.Remove(t.ctx, "remove"))
	if s, ok := t.get("remove"); ok {
		t.Errorf("still listed: %v", s)
	}
	for {
		s, open := <-changes
		if !open {
			t.Fatal("nobody was told that it is gone")
		}
		if s.State == sandbox.Gone {
			break
		}
	}
	t.must(t.Runtime.Remove(t.ctx, "remove"))
	t.must(t.Runtime.Start(t.ctx, t.Forever("remove")))
	t.until("remove", sandbox.Running)
}

func unknown(t *trial) {
	t.must(t.Runtime.Remove(t.ctx, "nobody"))
	t.want(t.Runtime.Stop(t.ctx, "nobody", 0), sandbox.ErrUnknown)
	t.want(t.Runtime.Extend(t.ctx, "nobody", t.Forever("x").RSet, t.Boot()+int64(time.Hour)), sandbox.ErrUnknown)
	_, err := t.Runtime.Exec(t.ctx, "nobody", t.Command(0), sandbox.IO{})
	t.want(err, sandbox.ErrUnknown)
	t.want(t.Runtime.Logs(t.ctx, "nobody", sandbox.LogOptions{}, &bytes.Buffer{}), sandbox.ErrUnknown)
	if list, err := t.Runtime.List(t.ctx); err != nil || len(list) != 0 {
		t.Errorf("slivers %v, %v", list, err)
	}
}

func deadline(t *trial) {
	s := t.Forever("deadline")
	t.must(t.Runtime.Start(t.ctx, s))
	end := t.Boot() + int64(200*time.Millisecond)
	t.must(t.Runtime.Extend(t.ctx, "deadline", s.RSet, end)) // shorter is a change too
	got := t.until("deadline", sandbox.Stopped)
	if got.Reason != sandbox.ReasonDeadline || t.Boot() < end {
		t.Errorf("at %d of %d: %v", t.Boot(), end, got)
	}
}

func extend(t *trial) {
	s := t.Forever("extend")
	t.must(t.Runtime.Start(t.ctx, s))
	more := s.RSet
	more[lease.Memory] += 1 << 20
	for range 2 { // again, as after a crash
		t.must(t.Runtime.Extend(t.ctx, "extend", more, s.Deadline+1))
	}
	if got, _ := t.get("extend"); got.Deadline != s.Deadline+1 || got.State != sandbox.Running {
		t.Errorf("status %v", got)
	}
	// A late repetition of the start does not take the extension back.
	t.must(t.Runtime.Start(t.ctx, s))
	if got, _ := t.get("extend"); got.Deadline != s.Deadline+1 {
		t.Errorf("status %v", got)
	}
}

func extendRefuses(t *trial) {
	s := t.Forever("refuses")
	t.must(t.Runtime.Start(t.ctx, s))
	t.want(t.Runtime.Extend(t.ctx, "refuses", s.RSet, t.Boot()), sandbox.ErrDeadline)
	t.want(t.Runtime.Extend(t.ctx, "refuses", lease.RSet{}, s.Deadline), sandbox.ErrSpec)
	bigger := s.RSet
	bigger[lease.Disk] += 1 << 20
	t.want(t.Runtime.Extend(t.ctx, "refuses", bigger, s.Deadline), errors.ErrUnsupported)
	if got, _ := t.get("refuses"); got.Deadline != s.Deadline || got.State != sandbox.Running {
		t.Errorf("status %v", got)
	}
	t.must(t.Runtime.Stop(t.ctx, "refuses", 0))
	t.want(t.Runtime.Extend(t.ctx, "refuses", s.RSet, s.Deadline), sandbox.ErrNotRunning)
}

func restarts(t *trial) {
	s := t.Exits("again", 1)
	s.Restart = sandbox.RestartPolicy{When: sandbox.OnFailure, Max: 2}
	t.must(t.Runtime.Start(t.ctx, s))
	got := t.until("again", sandbox.Stopped)
	if got.Restarts != 2 || got.Exit == nil || *got.Exit != 1 {
		t.Errorf("status %v", got)
	}
	if out := t.log("again", sandbox.LogOptions{}); out != "bye\nbye\nbye\n" {
		t.Errorf("log %q", out)
	}
	if out := t.log("again", sandbox.LogOptions{Tail: 1}); out != "bye\n" {
		t.Errorf("last record %q", out)
	}
	s = t.Exits("enough", 0)
	s.Restart = sandbox.RestartPolicy{When: sandbox.OnFailure}
	t.must(t.Runtime.Start(t.ctx, s))
	if got := t.until("enough", sandbox.Stopped); got.Restarts != 0 {
		t.Errorf("status %v", got)
	}
}

func command(t *trial) {
	t.must(t.Runtime.Start(t.ctx, t.Forever("command")))
	for _, want := range []int{0, 9} {
		var out bytes.Buffer
		exit, err := t.Runtime.Exec(t.ctx, "command", t.Command(want), sandbox.IO{Out: &out})
		if err != nil || exit != want || out.String() != "hi\n" {
			t.Errorf("exit %d, %v, %q; want %d", exit, err, out.String(), want)
		}
	}
	_, err := t.Runtime.Exec(t.ctx, "command", sandbox.Exec{}, sandbox.IO{})
	t.want(err, sandbox.ErrProgram)
	if s, _ := t.get("command"); s.State != sandbox.Running {
		t.Errorf("status %v", s)
	}
}

func follow(t *trial) {
	t.must(t.Runtime.Start(t.ctx, t.Forever("follow")))
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := t.Runtime.Logs(t.ctx, "follow", sandbox.LogOptions{Follow: true}, write)
		write.CloseWithError(io.EOF)
		done <- err
	}()
	first := make([]byte, 3)
	if _, err := io.ReadFull(read, first); err != nil || string(first) != "up\n" {
		t.Fatalf("log %q, %v", first, err)
	}
	t.must(t.Runtime.Stop(t.ctx, "follow", 0))
	if rest, err := io.ReadAll(read); err != nil || len(rest) > 0 {
		t.Errorf("log goes on with %q, %v", rest, err)
	}
	t.must(<-done)
	t.want(t.Runtime.Logs(t.ctx, "follow", sandbox.LogOptions{}, broken{}), errBroken)
}

var errBroken = errors.New("broken pipe of a reader")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func (t *trial) log(sliver string, o sandbox.LogOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := t.Runtime.Logs(t.ctx, sliver, o, &out); err != nil {
		t.Error(err)
	}
	return out.String()
}

func reopen(t *trial) {
	t.must(t.Runtime.Start(t.ctx, t.Forever("lives")))
	t.must(t.Runtime.Start(t.ctx, t.Exits("ended", 2)))
	before, ended := t.until("lives", sandbox.Running), t.until("ended", sandbox.Stopped)
	t.Runtime = t.Reopen()
	if s, _ := t.get("lives"); s != before {
		t.Errorf("%v, was %v", s, before)
	}
	if s, _ := t.get("ended"); s.State != ended.State || s.Exit == nil || *s.Exit != 2 {
		t.Errorf("%v, was %v", s, ended)
	}
	t.must(t.Runtime.Stop(t.ctx, "lives", 0))
	t.until("lives", sandbox.Stopped)
}

// concurrent starts, lists and removes a few slivers from several goroutines,
// two for each sliver.
func concurrent(t *trial) {
	var all sync.WaitGroup
	for i := range 6 {
		name := fmt.Sprintf("many-%d", i/2)
		spec := t.Forever(name)
		spec.Place, spec.Deadline = i/2, 1<<62
		all.Go(func() {
			if err := t.Runtime.Start(t.ctx, spec); err != nil {
				t.Error(err)
			}
			if _, err := t.Runtime.List(t.ctx); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	list, err := t.Runtime.List(t.ctx)
	t.must(err)
	if len(list) != 3 {
		t.Errorf("slivers %v", list)
	}
	for i := range 6 {
		all.Go(func() {
			if err := t.Runtime.Remove(t.ctx, fmt.Sprintf("many-%d", i/2)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if list, err := t.Runtime.List(t.ctx); err != nil || len(list) != 0 {
		t.Errorf("slivers %v, %v", list, err)
	}
}
