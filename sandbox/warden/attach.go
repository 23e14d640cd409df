// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"croft/sandbox"
)

// Exec implements [sandbox.Runtime]. A reader given as In may be left in a Read
// that does not return; what it read then is lost.
func (r *Runtime) Exec(ctx context.Context, sliver string, e sandbox.Exec, streams sandbox.IO) (int, error) {
	if err := e.Check(); err != nil {
		return 0, fmt.Errorf("running command in %s: %w", sliver, err)
	}
	exit, err := r.exec(ctx, sliver, e, streams)
	if err != nil {
		return 0, fmt.Errorf("running command in %s: %w", sliver, err)
	}
	return exit, nil
}

func (r *Runtime) exec(ctx context.Context, sliver string, e sandbox.Exec, streams sandbox.IO) (int, error) {
	var ours, theirs []*os.File // in, out, err; always pipes: a file of ours could be read back
	if !e.TTY {
		for i := range 3 {
			reader, writer, err := os.Pipe()
			if err != nil {
				closeAll(append(ours, theirs...))
				return 0, err
			}
			if i == 0 {
				reader, writer = writer, reader
			}
			ours, theirs = append(ours, reader), append(theirs, writer)
		}
	}
	if !e.TTY && same(streams.Out, streams.Err) {
		// One pipe keeps the order, and one goroutine at a time writes.
		theirs[2].Close()
		theirs[2] = theirs[1]
		streams.Err = nil
	}
	c, release, err := r.call(ctx, sliver, request{Op: opExec, Exec: &e}, theirs...)
	closeAll(theirs)
	if err != nil {
		closeAll(ours)
		return 0, err
	}
	defer release()
	if _, err := receive(ctx, c); err != nil { // it has begun
		closeAll(ours)
		return 0, err
	}
	var pumps *pumps
	if e.TTY {
		files := c.take()
		if len(files) != 1 {
			closeAll(files)
			return 0, fmt.Errorf("%w: no terminal came", sandbox.ErrNotRunning)
		}
		pumps = terminal(ctx, files[0], streams)
	} else {
		pumps = pipes(ours, streams)
	}
	p, err := receive(ctx, c)
	pumps.finish(err == nil)
	if err != nil {
		return 0, err
	}
	if p.Exit == nil {
		return 0, fmt.Errorf("%w: no exit status came", sandbox.ErrNotRunning)
	}
	return *p.Exit, nil
}

// same reports whether two writers are one. Those that cannot be compared are
// taken to differ.
func same(a, b io.Writer) (yes bool) {
	defer func() { _ = recover() }()
	return a != nil && a == b
}

// pumps move a command's bytes until its outputs end.
type pumps struct {
	out   sync.WaitGroup
	files []*os.File
}

func pipes(files []*os.File, s sandbox.IO) *pumps {
	p := &pumps{files: files}
	go func() {
		if s.In != nil {
			_, _ = io.Copy(files[0], s.In) // a command that does not read is not at fault
		}
		files[0].Close()
	}()
	for i, w := range []io.Writer{s.Out, s.Err} {
		p.copyOut(w, files[i+1])
	}
	return p
}

func terminal(ctx context.Context, f *os.File, s sandbox.IO) *pumps {
	// Passed descriptors block; the poller lets finish interrupt a read.
	if unix.SetNonblock(int(f.Fd()), true) == nil {
		if dup, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			f.Close()
			f = os.NewFile(uintptr(dup), "terminal")
		}
	}
	p := &pumps{files: []*os.File{f}}
	if s.In != nil {
		go func() { _, _ = io.Copy(f, s.In) }()
	}
	if s.Resize != nil {
		go func() {
			for {
				select {
				case size, ok := <-s.Resize:
					if !ok || resize(f, size) != nil {
						return
					}
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	p.copyOut(s.Out, f)
	return p
}

// resize goes around f.Fd, which would make reads block for good.
func resize(f *os.File, size sandbox.Size) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Cols})
	})
	return errors.Join(err, setErr)
}

func (p *pumps) copyOut(w io.Writer, f *os.File) {
	if w == nil {
		w = io.Discard
	}
	p.out.Go(func() { _, _ = io.Copy(w, f) }) // a terminal ends with an error
}

// finish takes what is still in the pipes; a child of the command that keeps
// them open is not waited for.
func (p *pumps) finish(drain bool) {
	until := time.Now()
	if drain {
		until = until.Add(drainTime)
	}
	for _, f := range p.files {
		if err := f.SetReadDeadline(until); err != nil && !errors.Is(err, os.ErrClosed) {
			f.Close() // not to be waited for
		}
	}
	p.out.Wait()
	closeAll(p.files)
}
