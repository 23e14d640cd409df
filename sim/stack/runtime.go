// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"time"

	"croft/lease"
	"croft/sandbox"
)

// sliver is one that was started and is not forgotten. The deadline ends it with no
// daemon's help. A program called exit prints "bye" and ends with the status that
// follows; every other one prints "up" and runs until it is ended.
type sliver struct {
	first  sandbox.Spec // as it was started
	spec   sandbox.Spec // as it was extended
	status sandbox.Status
	bell   *time.Timer // rings at the deadline
	output []string
	over   chan struct{} // closed when it is
}

// runtime stands for the wardens. It implements [sandbox.Runtime].
type runtime struct{ l *life }

// Start implements [sandbox.Runtime].
func (r runtime) Start(ctx context.Context, s sandbox.Spec) error {
	if err := s.Check(); err != nil {
		return err
	}
	select {
	case <-time.After(startLeast + rand.N(startMost-startLeast)):
	case <-ctx.Done():
		return ctx.Err()
	}
	m, err := r.machine()
	if err != nil {
		return err
	}
	defer m.mu.Unlock()
	old := m.slivers[s.Sliver]
	switch {
	case old != nil && !old.status.State.Over() && !reflect.DeepEqual(old.first, s):
		return sandbox.ErrConflict
	case old != nil && !old.status.State.Over():
		return nil
	case s.Deadline <= m.Boot():
		return sandbox.ErrDeadline
	}
	now := &sliver{first: s, spec: s, status: sandbox.Status{Sliver: s.Sliver, Deadline: s.Deadline}, over: make(chan struct{})}
	m.slivers[s.Sliver] = now
	m.mind(now)
	m.begin(now)
	return nil
}

// machine gives the machine with its lock, to a daemon that is not dead.
func (r runtime) machine() (*machine, error) {
	m := r.l.machine
	m.mu.Lock()
	if err := r.l.does(); err != nil {
		m.mu.Unlock()
		return nil, err
	}
	return m, nil
}

// begin has the program run. It is called with the lock, as are the next two.
func (m *machine) begin(s *sliver) {
	s.status.State = sandbox.Running
	m.changed(s)
	exit, ends := ending(s.spec.Program.Args)
	if !ends {
		s.output = append(s.output, "up\n")
		if tenant := tenantOf(s.spec.Program.Args); tenant != nil {
			go tenant.serve(m, s)
		}
		return
	}
	s.output = append(s.output, "bye\n")
	time.AfterFunc(endTime, func() { m.exited(s, exit) })
}

// mind sets the clock by a sliver's deadline.
func (m *machine) mind(s *sliver) {
	if s.bell != nil {
		s.bell.Stop()
	}
	s.bell = time.AfterFunc(time.Duration(s.spec.Deadline-m.Boot()), func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.Boot() >= s.spec.Deadline {
			m.finish(s, sandbox.ReasonDeadline, 137)
		}
	})
}

// finish ends a sliver for good.
func (m *machine) finish(s *sliver, reason string, exit int) {
	if s.status.State.Over() || m.deathless {
		return
	}
	s.bell.Stop()
	s.status.State, s.status.Reason, s.status.Exit = sandbox.Stopped, reason, &exit
	close(s.over)
	m.changed(s)
}

// exited has a program that ended by itself start again, or not.
func (m *machine) exited(s *sliver, exit int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case s.status.State.Over():
	case s.spec.Restart.Again(exit, s.status.Restarts):
		s.status.State = sandbox.Starting
		time.AfterFunc(sandbox.Pause(s.status.Restarts), func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			if !s.status.State.Over() {
				s.status.Restarts++
				m.begin(s)
			}
		})
	default:
		m.finish(s, sandbox.ReasonExited, exit)
	}
}

// ending is how a program or command ends by itself, if it does.
func ending(args []string) (exit int, ends bool) {
	if len(args) != 2 || args[0] != "exit" {
		return 0, false
	}
	exit, err := strconv.Atoi(args[1])
	return exit, err == nil
}

// off ends everything, as the loss of power does.
func (m *machine) off() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.slivers {
		m.finish(s, sandbox.ReasonWardenLost, 137)
	}
	m.slivers = map[string]*sliver{}
}

// runs reports whether a sliver's program runs.
func (m *machine) runs(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.slivers[name]
	return s != nil && s.status.State == sandbox.Running
}

// Extend implements [sandbox.Runtime].
func (r runtime) Extend(_ context.Context, name string, rset lease.RSet, deadline int64) error {
	m, err := r.machine()
	if err != nil {
		return err
	}
	defer m.mu.Unlock()
	s := m.slivers[name]
	switch err := sandbox.CheckLimits(rset); {
	case s == nil:
		return sandbox.ErrUnknown
	case s.status.State.Over():
		return sandbox.ErrNotRunning
	case err != nil:
		return err
	case deadline <= m.Boot():
		return sandbox.ErrDeadline
	case rset[lease.Disk] != s.spec.RSet[lease.Disk]:
		return fmt.Errorf("changing the size of a disk: %w", errors.ErrUnsupported)
	}
	s.spec.RSet, s.spec.Deadline, s.status.Deadline = rset, deadline, deadline
	m.mind(s)
	return nil
}

// Stop implements [sandbox.Runtime].
func (r runtime) Stop(ctx context.Context, name string, _ time.Duration) error {
	select {
	case <-time.After(endTime):
	case <-ctx.Done():
		return ctx.Err()
	}
	m, err := r.machine()
	if err != nil {
		return err
	}
	defer m.mu.Unlock()
	s := m.slivers[name]
	if s == nil {
		return sandbox.ErrUnknown
	}
	m.finish(s, sandbox.ReasonStopped, 137)
	return nil
}

// Remove implements [sandbox.Runtime].
func (r runtime) Remove(_ context.Context, name string) error {
	m, err := r.machine()
	if err != nil {
		return err
	}
	defer m.mu.Unlock()
	if s := m.slivers[name]; s != nil && !m.deathless {
		m.finish(s, sandbox.ReasonStopped, 137)
		delete(m.slivers, name)
		s.status.State = sandbox.Gone
		m.changed(s)
	}
	return nil
}

// List implements [sandbox.Runtime].
func (r runtime) List(context.Context) (list []sandbox.Status, err error) {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(r.l.slivers)) {
		list = append(list, r.l.slivers[name].status)
	}
	return list, nil
}

// Exec implements [sandbox.Runtime]: a command called exit says "hi", every other
// one nothing.
func (r runtime) Exec(_ context.Context, name string, e sandbox.Exec, stdio sandbox.IO) (int, error) {
	if err := e.Check(); err != nil {
		return 0, err
	}
	r.l.mu.Lock()
	s := r.l.slivers[name]
	running := s != nil && s.status.State == sandbox.Running
	r.l.mu.Unlock()
	switch exit, ends := ending(e.Args); {
	case s == nil:
		return 0, sandbox.ErrUnknown
	case !running:
		return 0, sandbox.ErrNotRunning
	case !ends || stdio.Out == nil:
		return exit, nil
	default:
		_, err := io.WriteString(stdio.Out, "hi\n")
		return exit, err
	}
}

// Logs implements [sandbox.Runtime]. What follows has nothing to add but the end.
func (r runtime) Logs(ctx context.Context, name string, o sandbox.LogOptions, w io.Writer) error {
	r.l.mu.Lock()
	s := r.l.slivers[name]
	var lines []string
	if s != nil {
		lines = slices.Clone(s.output)
	}
	r.l.mu.Unlock()
	if s == nil {
		return sandbox.ErrUnknown
	}
	if o.Tail > 0 && len(lines) > o.Tail {
		lines = lines[len(lines)-o.Tail:]
	}
	for _, line := range lines {
		if _, err := io.WriteString(w, line); err != nil {
			return err
		}
	}
	if o.Follow {
		select {
		case <-s.over:
		case <-ctx.Done():
		}
	}
	return nil
}

// watcher has what one who watches has not heard: the newest of each sliver.
type watcher struct {
	news map[string]sandbox.Status
	wake chan struct{} // capacity of one
}

// changed tells all who watch. It is called with the lock held.
func (m *machine) changed(s *sliver) {
	for w := range m.watch {
		w.news[s.spec.Sliver] = s.status
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// Watch implements [sandbox.Runtime].
func (r runtime) Watch(ctx context.Context) <-chan sandbox.Status {
	w := &watcher{news: map[string]sandbox.Status{}, wake: make(chan struct{}, 1)}
	out := make(chan sandbox.Status)
	m := r.l.machine
	m.mu.Lock()
	m.watch[w] = true
	m.mu.Unlock()
	go func() {
		defer close(out)
		defer func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.watch, w)
		}()
		for {
			select {
			case <-w.wake:
			case <-ctx.Done():
				return
			}
			m.mu.Lock()
			news := w.news
			w.news = map[string]sandbox.Status{}
			m.mu.Unlock()
			for _, st := range news {
				select {
				case out <- st:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}
