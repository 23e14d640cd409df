// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"croft/sandbox"
)

// status returns the state of a sliver as it is now. When its warden is dead
// though it should not be, what is left of the sliver goes first.
func (r *Runtime) status(ctx context.Context, d dir) (sandbox.Status, error) {
	lock, err := d.lock()
	if errors.Is(err, errAlive) {
		asking, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		reply, err := r.ask(asking, d.sliver(), request{Op: opStatus})
		if err == nil {
			return *reply.Status, nil
		}
		if ctx.Err() != nil {
			return sandbox.Status{}, ctx.Err()
		}
		// It is on its way out, or stopped in its tracks: what it last made
		// durable is what there is to know.
		return d.status()
	}
	if err != nil {
		return sandbox.Status{}, fmt.Errorf("looking at sliver %s: %w", d.sliver(), err)
	}
	defer lock.Close()
	return r.repair(ctx, d)
}

// repair settles the state of a sliver without a living warden; the caller has
// the directory's lock.
func (r *Runtime) repair(ctx context.Context, d dir) (sandbox.Status, error) {
	s, err := d.status()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("looking at sliver %s: %w", d.sliver(), err)
	}
	if err == nil && s.State.Over() {
		return s, nil
	}
	reason := sandbox.ReasonWardenLost
	if p, err := d.plan(); err == nil && p.Boot != r.boot {
		reason = "the node was restarted"
	}
	if err := r.clear(ctx, d, r.config.Tag); err != nil {
		return s, fmt.Errorf("clearing sliver %s: %w", d.sliver(), err)
	}
	s.Sliver, s.State, s.Pid, s.Reason = d.sliver(), sandbox.Failed, 0, reason
	if err := d.write("status.json", s); err != nil {
		return s, err
	}
	r.log.Warn("sliver lost", "sliver", s.Sliver, "reason", reason)
	return s, nil
}

// clear ends a warden that does not answer and everything of its sliver. Mounts
// and loop devices go with the last process in their mount namespace.
func (r *Runtime) clear(ctx context.Context, d dir, tag string) error {
	ctx, cancel := context.WithTimeout(ctx, killTime)
	defer cancel()
	sliver := d.sliver()
	// The warden first, or it would restart what is killed under it; with it
	// go the runtimes that it started.
	for _, cgroup := range []string{sandbox.WardenCgroup(tag, sliver), sandbox.Cgroup(tag, sliver)} {
		if err := r.cgroups.Kill(ctx, cgroup); err != nil {
			return err
		}
	}
	if _, err := os.Stat(runcRoot(tag)); err == nil {
		if err := r.runc.Delete(ctx, sliver); err != nil {
			return err
		}
	}
	leave, err := d.common(unix.LOCK_EX) // whoever had it of this sliver is dead
	if err != nil {
		return err
	}
	defer leave()
	for _, cgroup := range []string{sandbox.Cgroup(tag, sliver), sandbox.WardenCgroup(tag, sliver)} {
		if err := r.removeCgroup(ctx, cgroup); err != nil {
			return err
		}
	}
	if err := removeMountDir(tag, sliver); err != nil {
		return err
	}
	for _, name := range []string{"layer.img", "warden.sock", "config.json", "pid"} {
		if err := os.Remove(d.file(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// removeCgroup waits for the kernel: a cgroup stays busy for a moment after its
// last process.
func (r *Runtime) removeCgroup(ctx context.Context, cgroup string) error {
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for {
		err := r.cgroups.Remove(cgroup)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-pause.C:
		}
	}
}

// departed returns when a sliver has no warden, or after patience.
func (r *Runtime) departed(ctx context.Context, sliver string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for {
		lock, err := r.dir(sliver).lock()
		if err == nil {
			return lock.Close()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, errAlive) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the last warden to go: %w", ctx.Err())
		case <-pause.C:
		}
	}
}
