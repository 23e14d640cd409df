// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"croft/sandbox"
	"croft/sandbox/oci"
)

// exec runs a command in the sliver with the files that came, or with a
// terminal whose other end goes back. It returns the exit status, and kills the
// command when its client is gone.
func (w *warden) exec(ctx context.Context, c *conn, q request, files []*os.File) (int, error) {
	if q.Exec == nil || !q.Exec.TTY && len(files) != 3 {
		return 0, fmt.Errorf("running command: %w: want a command and three files", sandbox.ErrProgram)
	}
	if err := q.Exec.Check(); err != nil {
		return 0, fmt.Errorf("running command: %w", err)
	}
	release, err := w.admit()
	if err != nil {
		return 0, fmt.Errorf("running command: %w", err)
	}
	defer release()
	tmp, err := os.MkdirTemp(mountDir(w.plan.Tag, w.plan.Spec.Sliver), "exec-")
	if err != nil {
		return 0, fmt.Errorf("running command: %w", space(err))
	}
	defer os.RemoveAll(tmp)
	e := oci.Exec{ID: w.plan.Spec.Sliver, Process: w.process(*q.Exec), Dir: tmp}
	var console *console
	if q.Exec.TTY {
		if console, err = openConsole(tmp); err != nil {
			return 0, fmt.Errorf("running command: %w", err)
		}
		defer console.close()
		e.ConsoleSocket = console.path
	} else {
		e.Stdin, e.Stdout, e.Stderr = files[0], files[1], files[2]
	}
	pid, err := w.plan.Runc.Exec(ctx, e)
	closeAll(files) // the command has them: its end must be their end
	if err != nil {
		if s, _ := w.now(); s.State != sandbox.Running {
			return 0, fmt.Errorf("running command: sliver is %s: %w", s.State, sandbox.ErrNotRunning)
		}
		return 0, fmt.Errorf("running command: %w", err)
	}
	exits := make(chan int, 1)
	go func() { exits <- reap(pid) }()
	if err := w.begun(c, console); err != nil {
		_ = unix.Kill(-pid, unix.SIGKILL)
		<-exits
		return 0, fmt.Errorf("running command: %w", err)
	}
	select {
	case exit := <-exits:
		return exit, nil
	case <-ctx.Done():
		// Its session leader and group: the runtime makes one for each command.
		_ = unix.Kill(-pid, unix.SIGKILL)
		_ = unix.Kill(pid, unix.SIGKILL)
		<-exits
		return 0, ctx.Err()
	}
}

// admit counts a command in, if the sliver runs.
func (w *warden) admit() (release func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status.State != sandbox.Running {
		return nil, fmt.Errorf("sliver is %s: %w", w.status.State, sandbox.ErrNotRunning)
	}
	if w.execs >= maxExecs {
		return nil, fmt.Errorf("%d commands run: %w", w.execs, sandbox.ErrBusy)
	}
	w.execs++
	return func() {
		w.mu.Lock()
		w.execs--
		w.mu.Unlock()
	}, nil
}

// process is the program's own, with what the command asks for.
func (w *warden) process(e sandbox.Exec) *specs.Process {
	p := sandbox.Process(w.spec(), w.host())
	p.Args = slices.Clone(e.Args)
	if e.Cwd != "" {
		p.Cwd = e.Cwd
	}
	if p.Terminal = e.TTY; e.TTY {
		p.Env = append(p.Env, "TERM=xterm")
		p.ConsoleSize = &specs.Box{Height: uint(e.Size.Rows), Width: uint(e.Size.Cols)}
	}
	p.Env = append(p.Env, e.Env...)
	return p
}

// begun tells the client that the command runs, and gives it the terminal.
func (w *warden) begun(c *conn, console *console) error {
	s, _ := w.now()
	if console == nil {
		return c.send(reply{Status: &s})
	}
	master, err := console.master()
	if err != nil {
		return err
	}
	defer master.Close()
	return c.send(reply{Status: &s}, master)
}

// console is the socket on which the runtime hands over a terminal.
type console struct {
	path string
	l    *net.UnixListener
}

func openConsole(dir string) (*console, error) {
	path := filepath.Join(dir, "console") // below /run, and so short
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("opening console socket: %w", err)
	}
	return &console{path, l}, nil
}

func (c *console) close() { c.l.Close() }

// master takes the terminal that the runtime has sent by the time it returns.
func (c *console) master() (*os.File, error) {
	until := time.Now().Add(answerTime)
	if err := c.l.SetDeadline(until); err != nil {
		return nil, err
	}
	peer, err := c.l.AcceptUnix()
	if err != nil {
		return nil, fmt.Errorf("waiting for the terminal: %w", err)
	}
	from := &conn{UnixConn: peer}
	defer from.Close()
	if err := from.SetReadDeadline(until); err != nil {
		return nil, err
	}
	if _, err := from.Read(make([]byte, 4096)); err != nil { // the name of the terminal, for nobody
		return nil, fmt.Errorf("waiting for the terminal: %w", err)
	}
	files := from.take()
	if len(files) == 0 {
		return nil, fmt.Errorf("waiting for the terminal: none came")
	}
	closeAll(files[1:])
	return files[0], nil
}
