// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"croft/lease"
	"croft/sandbox"
	"croft/sandbox/image"
	"croft/sandbox/oci"
)

// Config is what a Runtime needs of its node.
type Config struct {
	State  string       // the node's state directory
	Tag    string       // the node's tag
	Runc   string       // the runtime's binary; empty looks on the PATH
	Warden []string     // the command that ends up in Main, without its argument
	Images *image.Store // where programs are
	OnGone []string     // run by the warden when a sliver is over; {sliver} and {place} are filled in
	Log    *slog.Logger // nil logs nothing
}

// Runtime is the [sandbox.Runtime] of real slivers.
type Runtime struct {
	config  Config
	runc    oci.Runc
	cgroups oci.Cgroups
	boot    string
	log     *slog.Logger

	ctx    context.Context // of the goroutines that watch wardens
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	slivers map[string]*minded
	watches map[*watcher]struct{}
}

// minded is what a Runtime holds for one sliver.
type minded struct {
	turn     sync.Mutex // calls for the sliver, one at a time
	users    int        // of this value, under the Runtime's mutex
	watching bool       // likewise
}

var _ sandbox.Runtime = (*Runtime)(nil)

// Open makes a Runtime and adopts the slivers that are there.
func Open(ctx context.Context, c Config) (*Runtime, error) {
	runc, err := oci.Find(ctx, c.Runc)
	if err != nil {
		return nil, fmt.Errorf("opening sandbox runtime: %w", err)
	}
	runc.Root = runcRoot(c.Tag)
	cgroups, err := oci.HostCgroups()
	if err != nil {
		return nil, fmt.Errorf("opening sandbox runtime: %w", err)
	}
	if err := cgroups.Layout.Check(lease.RSet{}); err != nil {
		return nil, fmt.Errorf("opening sandbox runtime: %w", err)
	}
	boot, err := bootID()
	if err != nil {
		return nil, fmt.Errorf("opening sandbox runtime: %w", err)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(filepath.Join(c.State, "slivers"), 0o711); err != nil {
		return nil, fmt.Errorf("opening sandbox runtime: %w", err)
	}
	r := &Runtime{config: c, runc: runc, cgroups: cgroups, boot: boot, log: c.Log,
		slivers: map[string]*minded{}, watches: map[*watcher]struct{}{}}
	// Wardens are watched until Close, not until the end of the caller's ctx.
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if _, err := r.List(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close lets go of the slivers, which live on.
func (r *Runtime) Close() error {
	r.cancel()
	r.work.Wait()
	return nil
}

func (r *Runtime) dir(sliver string) dir {
	return dir(filepath.Join(r.config.State, "slivers", sliver))
}

// hold waits for its turn with a sliver, and returns what ends it.
func (r *Runtime) hold(sliver string) (release func()) {
	m := r.enter(sliver)
	m.turn.Lock()
	return func() { r.release(sliver, m) }
}

// tryHold is hold for those who would rather not wait.
func (r *Runtime) tryHold(sliver string) (release func(), ok bool) {
	m := r.enter(sliver)
	if !m.turn.TryLock() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.leave(sliver, m)
		return nil, false
	}
	return func() { r.release(sliver, m) }, true
}

func (r *Runtime) enter(sliver string) *minded {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.slivers[sliver]
	if !ok {
		m = &minded{}
		r.slivers[sliver] = m
	}
	m.users++
	return m
}

func (r *Runtime) release(sliver string, m *minded) {
	m.turn.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leave(sliver, m)
}

// leave forgets a sliver that nobody uses any more; the caller has the mutex.
func (r *Runtime) leave(sliver string, m *minded) {
	if m.users--; m.users == 0 {
		delete(r.slivers, sliver)
	}
}

// Start implements [sandbox.Runtime].
func (r *Runtime) Start(ctx context.Context, s sandbox.Spec) error {
	if err := s.Check(); err != nil {
		return fmt.Errorf("starting sliver: %w", err)
	}
	if s.Deadline <= bootNow() {
		return fmt.Errorf("starting sliver %s: %w", s.Sliver, sandbox.ErrDeadline)
	}
	if err := r.cgroups.Layout.Check(s.RSet); err != nil {
		return fmt.Errorf("starting sliver %s: %w", s.Sliver, err)
	}
	release := r.hold(s.Sliver)
	done, err := r.already(ctx, s)
	release()
	if done || err != nil {
		return err
	}
	// Unpacking can take minutes, in which others may ask about the sliver.
	root, err := r.config.Images.Root(ctx, s.Program, sandbox.UIDBase(s.Place))
	if err != nil {
		return fmt.Errorf("starting sliver %s: %w", s.Sliver, err)
	}
	defer r.hold(s.Sliver)()
	if done, err := r.already(ctx, s); done || err != nil {
		return err
	}
	// A warden whose sliver is over may still be taking its network away.
	if err := r.departed(ctx, s.Sliver, goneTime+killTime); err != nil {
		return fmt.Errorf("starting sliver %s: %w", s.Sliver, err)
	}
	d := r.dir(s.Sliver)
	p := plan{Spec: s, Root: root, Runc: r.runc, Tag: r.config.Tag, Boot: r.boot, OnGone: fill(r.config.OnGone, s)}
	status := sandbox.Status{Sliver: s.Sliver, State: sandbox.Created, Deadline: s.Deadline}
	err = os.MkdirAll(string(d), 0o711)
	if err == nil {
		err = errors.Join(d.write("spec.json", p), d.write("status.json", status))
	}
	if err == nil {
		err = r.spawn(ctx, d)
	}
	if err != nil {
		// A start that failed leaves no sliver: the caller has the reason.
		bare := context.WithoutCancel(ctx)
		return fmt.Errorf("starting sliver %s: %w", s.Sliver, errors.Join(space(err), r.clear(bare, d, p.Tag), os.RemoveAll(string(d))))
	}
	r.watch(s.Sliver)
	return nil
}

func fill(argv []string, s sandbox.Spec) []string {
	replace := strings.NewReplacer("{sliver}", s.Sliver, "{place}", fmt.Sprint(s.Place))
	out := slices.Clone(argv)
	for i := range out {
		out[i] = replace.Replace(out[i])
	}
	return out
}

// already reports whether a sliver runs from an equal spec; limits and deadline
// do not count, since Extend may have changed them. What is over or was lost
// makes way for a new start.
func (r *Runtime) already(ctx context.Context, s sandbox.Spec) (bool, error) {
	d := r.dir(s.Sliver)
	if _, err := os.Stat(string(d)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	status, err := r.status(ctx, d)
	if err != nil {
		return false, fmt.Errorf("starting sliver %s: %w", s.Sliver, err)
	}
	if status.State.Over() {
		return false, nil
	}
	p, err := d.plan()
	if err != nil {
		return false, fmt.Errorf("starting sliver %s: %w", s.Sliver, err)
	}
	have := p.Spec
	have.RSet, have.Deadline = s.RSet, s.Deadline
	if !reflect.DeepEqual(have, s) {
		return false, fmt.Errorf("starting sliver %s: %w", s.Sliver, sandbox.ErrConflict)
	}
	return true, nil
}

// Extend implements [sandbox.Runtime].
func (r *Runtime) Extend(ctx context.Context, sliver string, rset lease.RSet, deadline int64) error {
	defer r.hold(sliver)()
	_, err := r.ask(ctx, sliver, request{Op: opExtend, RSet: &rset, Deadline: deadline})
	return err
}

// Stop implements [sandbox.Runtime].
func (r *Runtime) Stop(ctx context.Context, sliver string, grace time.Duration) error {
	r.hold(sliver)() // a start that is under way comes first; the grace blocks nobody
	_, err := r.ask(ctx, sliver, request{Op: opStop, Grace: grace})
	if errors.Is(err, sandbox.ErrNotRunning) {
		return nil
	}
	return err
}

// Remove implements [sandbox.Runtime].
func (r *Runtime) Remove(ctx context.Context, sliver string) error {
	defer r.hold(sliver)()
	d := r.dir(sliver)
	if _, err := os.Stat(string(d)); errors.Is(err, fs.ErrNotExist) || d.sliver() != sliver {
		return nil
	}
	status, err := d.status()
	if err != nil {
		status = sandbox.Status{Sliver: sliver} // a start that got no further
	}
	asking, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if _, err := r.ask(asking, sliver, request{Op: opStop}); err != nil && ctx.Err() != nil {
		return fmt.Errorf("removing sliver %s: %w", sliver, err)
	}
	// It has left its cgroup when it is about to end, so wait for it first. One
	// that stays, and whatever else is left, goes by force.
	if err := r.departed(ctx, sliver, answerTime); err != nil && ctx.Err() != nil {
		return fmt.Errorf("removing sliver %s: %w", sliver, err)
	}
	if err := r.clear(ctx, d, r.config.Tag); err != nil {
		return fmt.Errorf("removing sliver %s: %w", sliver, err)
	}
	if err := os.RemoveAll(string(d)); err != nil {
		return fmt.Errorf("removing sliver %s: %w", sliver, err)
	}
	status.State, status.Pid = sandbox.Gone, 0
	r.publish(status)
	return nil
}

// List implements [sandbox.Runtime].
func (r *Runtime) List(ctx context.Context) ([]sandbox.Status, error) {
	entries, err := os.ReadDir(filepath.Join(r.config.State, "slivers")) // in order of name
	if err != nil {
		return nil, fmt.Errorf("listing slivers: %w", err)
	}
	var list []sandbox.Status
	for _, e := range entries {
		if s, ok, err := r.one(ctx, e.Name()); err != nil {
			return nil, fmt.Errorf("listing slivers: %w", err)
		} else if ok {
			list = append(list, s)
		}
	}
	return list, nil
}

func (r *Runtime) one(ctx context.Context, sliver string) (sandbox.Status, bool, error) {
	d := r.dir(sliver)
	release, free := r.tryHold(sliver)
	if !free { // somebody is at it: what the warden last made durable will do
		s, err := d.status()
		return s, err == nil, nil
	}
	defer release()
	if _, err := os.Stat(string(d)); err != nil {
		return sandbox.Status{}, false, nil // removed meanwhile
	}
	s, err := r.status(ctx, d)
	if err != nil {
		return s, false, err
	}
	if !s.State.Over() {
		r.watch(sliver)
	}
	return s, true, nil
}
