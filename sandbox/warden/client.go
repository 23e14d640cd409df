// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"croft/sandbox"
)

// spawn starts a warden and waits until its sliver runs.
func (r *Runtime) spawn(ctx context.Context, d dir) error {
	mounts, err := os.Open("/proc/self/ns/mnt")
	if err != nil {
		return err
	}
	defer mounts.Close()
	ready, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	log, err := os.OpenFile(d.file("warden.log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		theirs.Close()
		return err
	}
	defer log.Close()
	argv := append(append([]string(nil), r.config.Warden...), string(d))
	cmd := exec.Command(argv[0], argv[1:]...) // without ctx: it outlives the call
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{mounts, theirs}
	// One thread of Go is plenty for a process that sleeps.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=50")
	cmd.Dir = "/"
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWNS}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return fmt.Errorf("starting warden: %w", err)
	}
	reaped := make(chan struct{})
	go func() {
		defer close(reaped)
		_ = cmd.Wait() // what it has to say is in its status
	}()
	stop := context.AfterFunc(ctx, func() { ready.Close() })
	defer stop()
	answer, err := io.ReadAll(io.LimitReader(ready, maxFrame))
	if ctx.Err() != nil {
		_ = cmd.Process.Kill() // its sliver goes with clear
		<-reaped
		return ctx.Err()
	}
	var said reply
	if err != nil || json.Unmarshal(answer, &said) != nil {
		_ = cmd.Process.Kill()
		<-reaped
		return fmt.Errorf("starting warden: it died: %s", lastLine(d.file("warden.log")))
	}
	if said.Error != nil {
		<-reaped
	}
	return said.Error.err()
}

// lastLine is what a process that died said last.
func lastLine(file string) string {
	b, _ := os.ReadFile(file)
	if len(b) > 300 {
		b = b[:300] // a Go panic says why at its beginning
	}
	if len(b) == 0 {
		return "without a word"
	}
	return string(b)
}

// dial connects to a warden. A sliver without one is ErrUnknown or
// ErrNotRunning.
func (r *Runtime) dial(ctx context.Context, sliver string) (*conn, error) {
	d := r.dir(sliver)
	if d.sliver() != sliver || sliver == "" { // not a name, a path
		return nil, sandbox.ErrUnknown
	}
	path, release, err := shortPath(d, "warden.sock")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, sandbox.ErrUnknown
	}
	if err != nil {
		return nil, err
	}
	defer release()
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "unix", path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return nil, sandbox.ErrNotRunning
	}
	if err != nil {
		return nil, err
	}
	return &conn{UnixConn: c.(*net.UnixConn)}, nil
}

// call sends a request and hands over the connection; it closes with ctx.
func (r *Runtime) call(ctx context.Context, sliver string, q request, files ...*os.File) (*conn, func(), error) {
	c, err := r.dial(ctx, sliver)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.UnixConn.Close() })
	release := func() { stop(); c.Close() }
	if err := c.send(q, files...); err != nil {
		release()
		return nil, nil, lost(ctx, err)
	}
	return c, release, nil
}

// receive reads one reply.
func receive(ctx context.Context, c *conn) (reply, error) {
	var p reply
	if err := decode(c, &p); err != nil {
		return p, lost(ctx, err)
	}
	return p, p.Error.err()
}

// lost says what a broken connection means: the caller's end, or the warden's.
func lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", sandbox.ErrNotRunning, err)
}

// ask sends a request that has one reply.
func (r *Runtime) ask(ctx context.Context, sliver string, q request) (reply, error) {
	c, release, err := r.call(ctx, sliver, q)
	if err != nil {
		return reply{}, fmt.Errorf("asking warden of %s: %w", sliver, err)
	}
	defer release()
	p, err := receive(ctx, c)
	if err != nil {
		return p, fmt.Errorf("asking warden of %s: %w", sliver, err)
	}
	if p.Status == nil {
		return p, fmt.Errorf("asking warden of %s: %w: no status", sliver, sandbox.ErrNotRunning)
	}
	return p, nil
}

// Logs implements [sandbox.Runtime].
func (r *Runtime) Logs(ctx context.Context, sliver string, o sandbox.LogOptions, w io.Writer) error {
	ended := func() error { return copyLog(ctx, r.dir(sliver).file("log"), o, w, nil, nil) }
	c, release, err := r.call(ctx, sliver, request{Op: opLogs, Logs: &o})
	if errors.Is(err, sandbox.ErrNotRunning) {
		return ended()
	}
	if err != nil {
		return fmt.Errorf("reading log of %s: %w", sliver, err)
	}
	defer release()
	for first := true; ; first = false {
		p, err := receive(ctx, c)
		if first && errors.Is(err, sandbox.ErrNotRunning) {
			return ended() // its warden went before it said anything
		}
		if err != nil {
			return fmt.Errorf("reading log of %s: %w", sliver, err)
		}
		if p.Status != nil {
			return nil // the end
		}
		if _, err := w.Write(p.Data); err != nil {
			return fmt.Errorf("copying log of %s: %w", sliver, err)
		}
	}
}
