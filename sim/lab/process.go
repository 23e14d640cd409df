// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process names one process for good: pids are used again, pids with a start
// time are not.
type process struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"` // field 22 of /proc/PID/stat, clock ticks since boot
}

// marker is in the environment of every process that a lab starts, and of
// theirs unless they clear it.
const marker = "CROFT_LAB="

// start runs argv in a namespace ("" is the host's), in a session of its own,
// with its output appended to a file.
func start(ns, logPath string, argv, env []string) (process, error) {
	log, err := os.OpenFile(logPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return process{}, err
	}
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if ns == "" {
		err = cmd.Start()
	} else {
		err = within(ns, cmd.Start)
	}
	if err != nil {
		return process{}, fmt.Errorf("starting %s: %w", argv[0], err)
	}
	// Read before anyone waits for it: until then its pid is its own.
	p, err := identify(cmd.Process.Pid)
	go cmd.Wait()
	return p, err
}

// identify reads the start time of a pid.
func identify(pid int) (process, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	// The second field is the command in parentheses, which may hold any byte.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return process{}, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
	}
	began, err := strconv.ParseUint(fields[19], 10, 64)
	return process{Pid: pid, Start: began}, err
}

// open returns a descriptor of exactly this process, or os.ErrProcessDone.
func (p process) open() (int, error) {
	if p.Pid <= 0 {
		return -1, os.ErrProcessDone
	}
	fd, err := unix.PidfdOpen(p.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return -1, os.ErrProcessDone
	}
	if err != nil {
		return -1, fmt.Errorf("opening process %d: %w", p.Pid, err)
	}
	// The descriptor holds on to a process; now see whose pid it was.
	if now, err := identify(p.Pid); err != nil || now != p || exited(fd, 0) {
		unix.Close(fd)
		return -1, os.ErrProcessDone
	}
	return fd, nil
}

func (p process) alive() bool {
	fd, err := p.open()
	if err == nil {
		unix.Close(fd)
	}
	return err == nil
}

// exited waits that long for a process descriptor to become readable.
func exited(fd int, wait time.Duration) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, _ := unix.Poll(poll, int(wait.Milliseconds()))
	return n > 0
}

// end sends TERM, waits for grace, then sends KILL and waits. No grace means
// KILL at once. A process that is gone is success.
func (p process) end(ctx context.Context, grace time.Duration) error {
	fd, err := p.open()
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if grace > 0 {
		if err := unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("stopping process %d: %w", p.Pid, err)
		}
		polite, cancel := context.WithTimeout(ctx, grace)
		err := gone(polite, fd)
		cancel()
		if err == nil {
			return nil
		}
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("killing process %d: %w", p.Pid, err)
	}
	if err := gone(ctx, fd); err != nil {
		return fmt.Errorf("waiting for process %d: %w", p.Pid, err)
	}
	return nil
}

// gone waits for a process to exit.
func gone(ctx context.Context, fd int) error {
	for !exited(fd, pollEvery) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// processesOf finds the processes of a lab: those with its marker in their
// environment or with one of its namespaces. The caller and its ancestors are
// spared, so that a shell inside the lab may take it down.
func processesOf(lab string, namespaces []string) ([]process, error) {
	ours := make(map[[2]uint64]bool)
	for _, name := range namespaces {
		if id, ok := nsID(netnsPath(name)); ok {
			ours[id] = true
		}
	}
	family := ancestors()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []process
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || family[pid] {
			continue
		}
		p, err := identify(pid)
		if err != nil {
			continue // it ended while we looked
		}
		id, _ := nsID(dir + "/ns/net")
		if (ours[id] || marked(dir, lab)) && p.alive() {
			found = append(found, p)
		}
	}
	return found, nil
}

// nsID is the identity of a namespace file.
func nsID(path string) ([2]uint64, bool) {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return [2]uint64{}, false
	}
	return [2]uint64{st.Dev, st.Ino}, true
}

func marked(dir, lab string) bool {
	env, err := os.ReadFile(dir + "/environ")
	if err != nil {
		return false
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if string(v) == marker+lab {
			return true
		}
	}
	return false
}

// ancestors are the pids of this process and of all above it.
func ancestors() map[int]bool {
	family := make(map[int]bool)
	for pid := os.Getpid(); pid > 0 && !family[pid]; {
		family[pid] = true
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			break
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 2 {
			break
		}
		pid, _ = strconv.Atoi(fields[1])
	}
	return family
}
