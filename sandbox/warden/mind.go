// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/sandbox"
	"croft/sandbox/oci"
)

// warden is the process that minds one sliver. One goroutine, in mind, decides;
// those of connections ask it, and read the status under the mutex.
type warden struct {
	dir      dir
	lock     *flock.Flock
	cgroups  oci.Cgroups
	devices  []sandbox.Device
	ring     *ring
	alarm    *alarm
	listener net.Listener
	talks    sync.WaitGroup // connections
	stops    chan stopping
	over     chan struct{} // closed when the sliver is over

	exits   chan int      // of the program that runs now
	drained chan struct{} // closed when its output has been read
	began   time.Time

	mu      sync.Mutex
	plan    plan
	status  sandbox.Status
	changed chan struct{} // closed and replaced with the status
	execs   int
	readers int // of the log
}

type stopping struct {
	grace  time.Duration
	reason string
}

// set makes a status durable and then tells it. A status that the disk does
// not take is told all the same: ending a sliver on time matters more.
func (w *warden) set(change func(*sandbox.Status)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.status)
	if err := w.dir.write("status.json", w.status); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *warden) now() (sandbox.Status, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status, w.changed
}

func (w *warden) spec() sandbox.Spec {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.plan.Spec
}

// start makes everything and starts the program; after an error nothing is
// left but the status that says why.
func (w *warden) start() (err error) {
	defer func() {
		if err != nil {
			w.end(sandbox.Failed, err.Error())
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	w.set(func(s *sandbox.Status) { s.State = sandbox.Starting })
	leave, err := w.dir.common(unix.LOCK_SH)
	if err != nil {
		return fmt.Errorf("starting sliver: %w", err)
	}
	defer leave() // before the defer above ends what failed
	p := w.plan
	if err := w.cgroups.Layout.Check(p.Spec.RSet); err != nil {
		return fmt.Errorf("starting sliver: %w", err)
	}
	if err := private(p.Spec.NetNS); err != nil {
		return fmt.Errorf("starting sliver: %w", err)
	}
	if w.alarm, err = newAlarm(p.Spec.Deadline); err != nil {
		return fmt.Errorf("starting sliver: %w", err)
	}
	if w.ring, err = openRing(w.dir.file("log")); err != nil {
		return fmt.Errorf("starting sliver: %w", err)
	}
	// To move between cgroups the kernel waits for readers, in every hierarchy:
	// the root is made meanwhile. The runtime's children must be born where we
	// then are.
	joined := make(chan error, 1)
	go func() { joined <- w.cgroups.Join(sandbox.WardenCgroup(p.Tag, p.Spec.Sliver)) }()
	if err := errors.Join(w.bundle(ctx), <-joined); err != nil {
		return fmt.Errorf("starting sliver: %w", err)
	}
	if err := w.launch(ctx); err != nil {
		return fmt.Errorf("starting sliver: %w", err)
	}
	if err := w.listen(); err != nil {
		return fmt.Errorf("starting sliver: %w", err)
	}
	return nil
}

// bundle mounts the root and writes what the runtime reads.
func (w *warden) bundle(ctx context.Context) (err error) {
	p := w.plan
	at := mountDir(p.Tag, p.Spec.Sliver)
	if err := makeMountDir(p.Tag, p.Spec.Sliver); err != nil {
		return err
	}
	if w.devices, err = mountRoot(ctx, p, at, w.dir.file("layer.img")); err != nil {
		return err
	}
	files := w.dir.file("etc")
	if err := os.MkdirAll(files, 0o755); err != nil {
		return space(err)
	}
	for name, text := range sandbox.Files(p.Spec) {
		if err := os.WriteFile(filepath.Join(files, name), []byte(text), 0o644); err != nil {
			return space(err)
		}
	}
	return w.render(p.Spec)
}

// render writes the runtime's configuration.
func (w *warden) render(s sandbox.Spec) error {
	h := w.host()
	h.Root, h.Files = filepath.Join(mountDir(w.plan.Tag, s.Sliver), "root"), w.dir.file("etc")
	return w.dir.write("config.json", sandbox.Bundle(s, h))
}

func (w *warden) host() sandbox.Host {
	h := w.cgroups.Host(w.plan.Tag)
	h.Devices = w.devices
	return h
}

// launch creates and starts the container, and watches for its end.
func (w *warden) launch(ctx context.Context) error {
	id, pidFile := w.plan.Spec.Sliver, w.dir.file("pid")
	outR, outW, err := os.Pipe()
	if err != nil {
		return err
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		closeAll([]*os.File{outR, outW})
		return err
	}
	// The container has its own ends from here on; ours would keep the streams
	// from ending with it.
	err = w.plan.Runc.Create(ctx, oci.Create{ID: id, Bundle: string(w.dir), PidFile: pidFile, Stdout: outW, Stderr: errW})
	closeAll([]*os.File{outW, errW})
	if err != nil {
		closeAll([]*os.File{outR, errR})
		return err
	}
	drained := make(chan struct{})
	w.drained = drained
	go func() {
		var both sync.WaitGroup
		both.Go(func() { w.ring.take("stdout", outR) })
		both.Go(func() { w.ring.take("stderr", errR) })
		both.Wait()
		closeAll([]*os.File{outR, errR})
		close(drained)
	}()
	pid, err := oci.ReadPid(pidFile)
	if err != nil {
		return err
	}
	exits := make(chan int, 1)
	w.exits = exits
	go func() { exits <- reap(pid) }()
	if err := w.plan.Runc.Start(ctx, id); err != nil {
		return err
	}
	w.began = time.Now()
	w.set(func(s *sandbox.Status) { s.State, s.Pid, s.Exit, s.Reason = sandbox.Running, pid, nil, "" })
	return nil
}

// reap waits for a child that the runtime left to us, and returns its exit
// status as a shell does.
func reap(pid int) int {
	for {
		var ws unix.WaitStatus
		_, err := unix.Wait4(pid, &ws, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 255 // not our child: the runtime is not one that leaves it to us
		case ws.Signaled():
			return 128 + int(ws.Signal())
		default:
			return ws.ExitStatus()
		}
	}
}

// mind runs until the sliver is over.
func (w *warden) mind() {
	term := make(chan os.Signal, 1)
	signal.Notify(term, unix.SIGTERM)
	var (
		kill   *time.Timer      // runs while the program may still end by itself
		again  <-chan time.Time // runs between two starts
		ends   string           // why it is being stopped
		streak int              // restarts without a calm while
	)
	killed := func() <-chan time.Time {
		if kill == nil {
			return nil
		}
		return kill.C
	}
	for {
		select {
		case exit := <-w.exits:
			w.exits = nil
			w.awaitOutput()
			if ends != "" {
				w.end(sandbox.Stopped, ends, &exit)
				return
			}
			s, _ := w.now()
			if !w.spec().Restart.Again(exit, s.Restarts) {
				w.end(sandbox.Stopped, w.why(exit), &exit)
				return
			}
			if time.Since(w.began) > sandbox.CalmAfter {
				streak = 0
			}
			w.set(func(s *sandbox.Status) { s.State, s.Pid, s.Exit, s.Reason = sandbox.Starting, 0, &exit, w.why(exit) })
			again = time.After(sandbox.Pause(streak))
			streak++
		case <-again:
			again = nil
			if err := w.relaunch(); err != nil {
				w.end(sandbox.Failed, err.Error())
				return
			}
		case stop := <-w.stops:
			if ends != "" {
				continue // already on its way
			}
			ends = stop.reason
			if w.exits == nil { // between two starts
				s, _ := w.now()
				w.end(sandbox.Stopped, ends, s.Exit)
				return
			}
			w.set(func(s *sandbox.Status) { s.State, s.Reason = sandbox.Stopping, ends })
			s, _ := w.now()
			_ = unix.Kill(s.Pid, unix.SIGTERM) // one that is dead is reported by exits
			kill = time.NewTimer(stop.grace)
		case <-killed():
			w.killAll()
		case <-w.alarm.C:
			if bootNow() < w.spec().Deadline {
				continue // moved while it fired
			}
			w.end(sandbox.Stopped, sandbox.ReasonDeadline)
			return
		case <-term:
			w.end(sandbox.Stopped, "the node is shutting down")
			return
		}
	}
}

// awaitOutput lets the last lines of a program that ended reach the log.
func (w *warden) awaitOutput() {
	t := time.NewTimer(drainTime)
	defer t.Stop()
	select {
	case <-w.drained:
	case <-t.C:
	}
}

// relaunch starts the program again, in the same root and layer.
func (w *warden) relaunch() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	if err := w.plan.Runc.Delete(ctx, w.plan.Spec.Sliver); err != nil {
		return fmt.Errorf("starting again: %w", err)
	}
	w.set(func(s *sandbox.Status) { s.Restarts++ })
	s := w.spec() // its limits may have changed since the last start
	if err := w.render(s); err != nil {
		return fmt.Errorf("starting again: %w", err)
	}
	if err := w.launch(ctx); err != nil {
		return fmt.Errorf("starting again: %w", err)
	}
	if now := w.spec(); now.RSet != s.RSet { // or while it started
		if err := w.plan.Runc.Update(ctx, s.Sliver, sandbox.Resources(now.RSet, w.host()), string(w.dir)); err != nil {
			return fmt.Errorf("starting again: %w", err)
		}
	}
	return nil
}

// why says how a program came to its end.
func (w *warden) why(exit int) string {
	if exit == 128+int(unix.SIGKILL) && w.cgroups.OutOfMemory(sandbox.Cgroup(w.plan.Tag, w.plan.Spec.Sliver)) {
		return fmt.Sprintf("killed: out of its memory of %s", lease.Memory.Format(w.spec().RSet[lease.Memory]))
	}
	return sandbox.ReasonExited
}

func (w *warden) killAll() {
	ctx, cancel := context.WithTimeout(context.Background(), killTime)
	defer cancel()
	if err := w.cgroups.Kill(ctx, sandbox.Cgroup(w.plan.Tag, w.plan.Spec.Sliver)); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// end kills what is left and takes everything away; then the status says so,
// and whoever watches is told.
func (w *warden) end(state sandbox.State, reason string, exit ...*int) {
	w.killAll()
	if w.exits != nil {
		select {
		case code := <-w.exits:
			exit = []*int{&code}
		case <-time.After(killTime):
		}
		w.awaitOutput()
	}
	w.takeDown()
	w.set(func(s *sandbox.Status) {
		s.State, s.Pid, s.Reason = state, 0, strings.TrimSpace(reason)
		if len(exit) > 0 {
			s.Exit = exit[0]
		}
	})
	close(w.over)
	if w.alarm != nil {
		w.alarm.close()
	}
	if w.listener != nil {
		w.listener.Close()
		w.sayGoodbye()
	}
	if err := farewell(w.plan.OnGone); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	// Out of our own cgroup, or it could not be removed.
	if leave, err := w.dir.common(unix.LOCK_EX); err == nil && w.cgroups.Join("/") == nil {
		defer leave()
		_ = w.cgroups.Remove(sandbox.WardenCgroup(w.plan.Tag, w.plan.Spec.Sliver)) // the daemon tries again
	}
}

// takeDown undoes what start made, however far that came.
func (w *warden) takeDown() {
	ctx, cancel := context.WithTimeout(context.Background(), killTime)
	defer cancel()
	tag, sliver := w.plan.Tag, w.plan.Spec.Sliver
	at := mountDir(tag, sliver)
	errs := []error{w.plan.Runc.Delete(ctx, sliver)}
	for _, name := range []string{"root", "layer", "lower"} {
		if err := unix.Unmount(filepath.Join(at, name), unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", name, err))
		}
	}
	if leave, err := w.dir.common(unix.LOCK_EX); err != nil {
		errs = append(errs, err)
	} else {
		errs = append(errs, w.cgroups.Remove(sandbox.Cgroup(tag, sliver)), removeMountDir(tag, sliver))
		leave()
	}
	for _, name := range []string{"layer.img", "config.json", "pid"} {
		if err := os.Remove(w.dir.file(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
