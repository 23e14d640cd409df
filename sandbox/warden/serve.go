// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/sandbox"
)

// listen opens the control socket and answers from then on.
func (w *warden) listen() error {
	path, release, err := shortPath(w.dir, "warden.sock")
	if err != nil {
		return err
	}
	defer release()
	if err := os.Remove(w.dir.file("warden.sock")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	old := unix.Umask(0o177) // the socket must never be anybody else's, not even briefly
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	unix.Umask(old)
	if err != nil {
		return fmt.Errorf("opening control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // its path is by a descriptor that is closed
	w.listener = l
	slots := make(chan struct{}, maxConns)
	go func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return // closed
			}
			select {
			case slots <- struct{}{}:
				w.talks.Go(func() {
					defer func() { <-slots }()
					w.answer(&conn{UnixConn: c})
				})
			default:
				busy := &conn{UnixConn: c}
				_ = busy.send(reply{Error: toFailure(fmt.Errorf("%d connections: %w", maxConns, sandbox.ErrBusy))})
				busy.Close()
			}
		}
	}()
	return nil
}

// sayGoodbye gives those who watch the time to hear the last status.
func (w *warden) sayGoodbye() {
	os.Remove(w.dir.file("warden.sock"))
	done := make(chan struct{})
	go func() { w.talks.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(answerTime):
	}
}

// answer serves one connection.
func (w *warden) answer(c *conn) {
	defer c.Close()
	var q request
	if err := c.SetReadDeadline(time.Now().Add(answerTime)); err != nil {
		return
	}
	if decode(c, &q) != nil {
		return // whoever sends this does not read what we say about it
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	// From here on the other side only listens: when its end closes, it is gone.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	files := c.take()
	defer func() { closeAll(files) }()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, c.UnixConn)
	}()
	var err error
	switch q.Op {
	case opStatus:
	case opWatch:
		w.watch(ctx, c)
		return
	case opExtend:
		err = w.extend(ctx, q)
	case opStop:
		err = w.stop(ctx, q.Grace)
	case opLogs:
		err = w.logs(ctx, c, q)
	case opExec:
		var exit int
		exit, err = w.exec(ctx, c, q, files)
		if err == nil {
			_ = c.send(reply{Exit: &exit}) // if nobody listens, nobody asks
			return
		}
	default:
		err = fmt.Errorf("request %q: %w", q.Op, errors.ErrUnsupported)
	}
	s, _ := w.now()
	_ = c.send(reply{Status: &s, Error: toFailure(err)})
}

// watch sends the status now and at each change, the last one included.
func (w *warden) watch(ctx context.Context, c *conn) {
	for {
		s, changed := w.now()
		if c.send(reply{Status: &s}) != nil || s.State.Over() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// extend changes limits and deadline: first on disk, then in the kernel, so
// that a repetition after a crash ends the same way.
func (w *warden) extend(ctx context.Context, q request) error {
	if q.RSet == nil {
		return fmt.Errorf("extending sliver: %w: no limits", sandbox.ErrSpec)
	}
	if err := sandbox.CheckLimits(*q.RSet); err != nil {
		return fmt.Errorf("extending sliver: %w", err)
	}
	if q.Deadline <= bootNow() {
		return fmt.Errorf("extending sliver: %w", sandbox.ErrDeadline)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.status.State; s != sandbox.Running && s != sandbox.Starting {
		return fmt.Errorf("extending sliver: it is %s: %w", s, sandbox.ErrNotRunning)
	}
	old := w.plan
	if old.Spec.RSet[lease.Disk] != q.RSet[lease.Disk] {
		return fmt.Errorf("extending sliver: its disk of %s cannot change: %w", lease.Disk.Format(old.Spec.RSet[lease.Disk]), errors.ErrUnsupported)
	}
	next := old
	next.Spec.RSet, next.Spec.Deadline = *q.RSet, q.Deadline
	if err := w.dir.write("spec.json", next); err != nil {
		return fmt.Errorf("extending sliver: %w", err)
	}
	var refused error // by the kernel: less memory than is in use, and the like
	if w.status.State == sandbox.Running && old.Spec.RSet != next.Spec.RSet {
		limits := sandbox.Resources(*q.RSet, w.host())
		if err := w.plan.Runc.Update(ctx, w.plan.Spec.Sliver, limits, string(w.dir)); err != nil {
			// The deadline holds all the same: a lease that goes on does not end
			// because its limits come later.
			next.Spec.RSet = old.Spec.RSet
			refused = errors.Join(err, w.dir.write("spec.json", next))
		}
	}
	// Only these two change; all else of the plan is read without the mutex.
	w.plan.Spec.RSet, w.plan.Spec.Deadline = next.Spec.RSet, next.Spec.Deadline
	w.status.Deadline = q.Deadline
	err := errors.Join(refused, w.alarm.set(q.Deadline), w.dir.write("status.json", w.status))
	close(w.changed)
	w.changed = make(chan struct{})
	if err != nil {
		return fmt.Errorf("extending sliver: %w", err)
	}
	return nil
}

// stop has the sliver ended and returns when it is over.
func (w *warden) stop(ctx context.Context, grace time.Duration) error {
	select {
	case w.stops <- stopping{max(grace, 0), sandbox.ReasonStopped}:
	case <-w.over:
	case <-ctx.Done():
	}
	select {
	case <-w.over:
		return nil
	case <-ctx.Done(): // it ends without a listener too
		return ctx.Err()
	}
}

// logs sends the log in pieces.
func (w *warden) logs(ctx context.Context, c *conn, q request) error {
	if q.Logs == nil {
		return fmt.Errorf("reading log: %w: no options", sandbox.ErrSpec)
	}
	if !w.reader(1) {
		return fmt.Errorf("reading log: %d read it: %w", maxReaders, sandbox.ErrBusy)
	}
	defer w.reader(-1)
	return copyLog(ctx, w.dir.file("log"), *q.Logs, pieces{c}, w.ring, w.over)
}

// reader counts one who reads the log in (1) or out (-1), and says whether there
// is room.
func (w *warden) reader(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.readers+n > maxReaders {
		return false
	}
	w.readers += n
	return true
}

// pieces sends what is written to it as messages.
type pieces struct{ c *conn }

func (p pieces) Write(b []byte) (int, error) {
	for n := 0; n < len(b); {
		part := b[n:min(n+maxFrame/2, len(b))] // base64 makes a third more of it
		if err := p.c.send(reply{Data: part}); err != nil {
			return n, err
		}
		n += len(part)
	}
	return len(b), nil
}

// shortPath names a file through its directory's descriptor: a path of a
// socket is at most 107 bytes.
func shortPath(d dir, name string) (path string, release func(), err error) {
	f, err := os.OpenFile(string(d), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", f.Fd(), name), func() { f.Close() }, nil
}
