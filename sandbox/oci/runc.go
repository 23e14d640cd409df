// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Runc is an OCI runtime with the command line of runc.
type Runc struct {
	Path string // the binary
	Root string // its state, on a file system that a reboot empties
}

// Create is what [Runc.Create] needs. The container keeps Stdout and Stderr:
// they are files or pipes that somebody else reads, never waited on to end.
type Create struct {
	ID, Bundle, PidFile string
	Stdout, Stderr      *os.File
}

// Create makes a container that waits to be started. The first process becomes
// a child of the nearest subreaper.
func (r Runc) Create(ctx context.Context, c Create) error {
	return r.run(ctx, c.Bundle, nil, c.Stdout, c.Stderr, "create", "--bundle", c.Bundle, "--pid-file", c.PidFile, c.ID)
}

// Start lets a created container run its program.
func (r Runc) Start(ctx context.Context, id string) error {
	return r.run(ctx, "", nil, nil, nil, "start", id)
}

// Exec is what [Runc.Exec] needs. With ConsoleSocket the process gets a
// terminal whose other end is sent there, and the files are not used.
type Exec struct {
	ID            string
	Process       *specs.Process
	Dir           string // for files of this call; the caller removes it
	ConsoleSocket string
	Stdin         *os.File
	Stdout        *os.File
	Stderr        *os.File
}

// Exec starts a process in a running container and returns its pid on the
// node. The process becomes a child of the nearest subreaper.
func (r Runc) Exec(ctx context.Context, e Exec) (pid int, err error) {
	process, err := json.Marshal(e.Process)
	if err != nil {
		return 0, fmt.Errorf("encoding the process: %w", err)
	}
	file, pidFile := filepath.Join(e.Dir, "process.json"), filepath.Join(e.Dir, "pid")
	if err := os.WriteFile(file, process, 0o600); err != nil {
		return 0, err
	}
	args := []string{"exec", "--detach", "--process", file, "--pid-file", pidFile}
	if e.ConsoleSocket != "" {
		args = append(args, "--console-socket", e.ConsoleSocket)
	}
	if err := r.run(ctx, e.Dir, e.Stdin, e.Stdout, e.Stderr, append(args, e.ID)...); err != nil {
		return 0, err
	}
	return ReadPid(pidFile)
}

// ReadPid reads a file that a runtime wrote with --pid-file.
func ReadPid(file string) (int, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("reading %s: %q is not a process", file, b)
	}
	return pid, nil
}

// Update changes the limits of a running container.
func (r Runc) Update(ctx context.Context, id string, limits *specs.LinuxResources, dir string) error {
	b, err := json.Marshal(limits)
	if err != nil {
		return fmt.Errorf("encoding limits: %w", err)
	}
	f, err := os.CreateTemp(dir, "limits")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return r.run(ctx, "", nil, nil, nil, "update", "--resources", f.Name(), id)
}

// Delete kills a container and forgets it. An unknown one is no error.
func (r Runc) Delete(ctx context.Context, id string) error {
	return r.run(ctx, "", nil, nil, nil, "delete", "--force", id)
}

// run does one command. The runtime's own words go to a log that has no name and
// so goes with its last reader, however that ends: the standard output and error
// belong to the container.
func (r Runc) run(ctx context.Context, dir string, in, out, errs *os.File, args ...string) error {
	log, err := nameless()
	if err != nil {
		return fmt.Errorf("making the runtime's log: %w", err)
	}
	defer log.Close()
	// ExtraFiles begin with descriptor 3.
	cmd := exec.CommandContext(ctx, r.Path, append([]string{"--root", r.Root, "--log", "/proc/self/fd/3", "--log-format", "json"}, args...)...)
	cmd.ExtraFiles = []*os.File{log}
	cmd.Dir = dir
	// A nil *os.File in an io.Writer is not nil; left out, exec opens /dev/null.
	if in != nil {
		cmd.Stdin = in
	}
	if out != nil {
		cmd.Stdout = out
	}
	if errs != nil {
		cmd.Stderr = errs
	}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s %s: %w", filepath.Base(r.Path), args[0], lastWords(io.NewSectionReader(log, 0, maxLog), err))
	}
	return nil
}

// maxLog is how much is read of what a runtime says of one command.
const maxLog = 1 << 20

// nameless makes a file in memory.
func nameless() (*os.File, error) {
	fd, err := unix.MemfdCreate("croft-runc", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "croft-runc"), nil
}

// lastWords takes the last error of a runtime's log, in place of "exit status 1".
func lastWords(log io.Reader, err error) error {
	scan := bufio.NewScanner(log)
	var line struct{ Level, Msg string }
	said := ""
	for scan.Scan() {
		if json.Unmarshal(scan.Bytes(), &line) == nil && (line.Level == "error" || line.Level == "fatal") {
			said = line.Msg
		}
	}
	if said == "" {
		return err
	}
	return errors.New(said)
}
