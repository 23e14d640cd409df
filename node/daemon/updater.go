// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"croft/lease"
	"croft/node/release"
	"croft/node/release/shelf"
)

// The names of what an owner is sent, in the state directory.
const (
	releasesDir   = "releases"
	releaseSuffix = ".release"
)

// ErrSuccession ends a daemon in whose place another build is to run: [Daemon.Succession].
var ErrSuccession = errors.New("another build is to run")

// Succession is a build that is to run in place of a daemon that has ended.
type Succession struct {
	Kept  *release.Kept // nil: what the owner installed
	Path  string        // of it
	Trial bool          // it has to show that it does, first

	// What the daemon had, which its successor has to have.
	Hosting bool
	Joined  bool
	Leases  map[lease.ID]int64 // those in force, with their ends in Unix seconds
}

// updater asks which release to run, and has it run.
type updater struct {
	d       *Daemon
	running release.Version
	unfit   error         // why this program cannot be updated
	damaged error         // of the book: nothing is written over it
	exe     string        // the file that runs
	trial   bool          // it is on trial: who watches it writes the book
	doing   chan struct{} // capacity of one: held while something is done
	begin   chan struct{} // closed when next is set

	mu    sync.Mutex
	shelf *shelf.Shelf
	next  *Succession
	asked time.Time
	fault string
	from  answered[whichDone]
}

// Versions is where the builds of a node are kept.
func Versions(state string) string { return filepath.Join(state, "versions") }

func newUpdater(d *Daemon) *updater {
	u := &updater{d: d, doing: make(chan struct{}, 1), begin: make(chan struct{})}
	if u.running, u.unfit = release.ParseVersion(Version); u.unfit != nil {
		u.unfit = fmt.Errorf("this program has no release's version: %w", u.unfit)
	}
	u.exe, _ = os.Executable() // without it nothing is run but by a supervisor
	var err error
	if u.shelf, err = shelf.Open(Versions(d.cfg.State)); err != nil {
		u.damaged = fmt.Errorf("which releases this node heard of is not known, and none is run; what is left in %s is for its owner to mend or remove: %w", Versions(d.cfg.State), err)
		u.unfit = u.damaged
		d.deps.Log.Error("updates", "err", u.damaged)
	}
	if b := u.shelf.Book(); b.Trial != nil && u.shelf.Path(b.Trial.Kept) == u.exe {
		u.trial = true
	}
	return u
}

// known is the book as it is on the disk.
func (u *updater) known() release.Book {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.shelf.Book()
}

// change writes the book anew, if f says that there is something to write.
func (u *updater) change(f func(*release.Book) (bool, error)) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.trial {
		return release.ErrTrial
	}
	if u.damaged != nil {
		return u.damaged
	}
	b := u.shelf.Book()
	news, err := f(&b)
	if err != nil || !news {
		return err
	}
	if err := u.shelf.Save(b); err != nil {
		if again, bad := shelf.Open(Versions(u.d.cfg.State)); bad == nil {
			u.shelf = again // it may be either
		}
		return err
	}
	return nil
}

// settle makes the book say what runs, after a start.
func (u *updater) settle() {
	log, now := u.d.deps.Log, u.d.deps.Clock.Wall()
	err := u.change(func(b *release.Book) (news bool, err error) {
		if t := b.Trial; t != nil && b.Interrupted(now) {
			log.Warn("the trial of a release was interrupted", "version", t.Version, "tries", t.Tries)
			news = true
		}
		c, p := b.Current, b.Previous
		switch {
		case c == nil:
		case u.shelf.Path(*c) == u.exe:
			b.Started()
			news = true
		case b.Starts >= release.MaxStarts || p != nil && u.shelf.Path(*p) == u.exe:
			if err := b.Back("it was started and came to nothing, or is damaged", now); err != nil {
				return news, err
			}
			if c := b.Current; c != nil && u.shelf.Path(*c) != u.exe {
				b.Installed()
			}
			log.Error("a release did not start; what was before it runs", "version", c.Version)
			news = true
		case !u.shelf.Has(u.exe):
			log.Info("the installed program runs, in place of a release that is not newer", "version", c.Version)
			news = b.Installed() || news
		}
		return news, nil
	})
	if err == nil {
		u.mu.Lock()
		err = u.shelf.Sweep(u.exe)
		u.mu.Unlock()
	}
	if err != nil {
		log.Error("the book of releases", "err", err)
	}
}

// run asks now and then, and returns [ErrSuccession] when another build is to run.
func (u *updater) run(ctx context.Context) error {
	if !u.trial && u.damaged == nil {
		u.settle()
	}
	c := u.d.cfg.Updates
	healthy := time.NewTimer(updatesHealthy)
	defer healthy.Stop()
	ask := time.NewTimer(updatesFirst)
	defer ask.Stop()
	if len(c.Publishers) == 0 || u.trial || u.unfit != nil {
		ask.Stop()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-u.begin:
			return ErrSuccession
		case <-healthy.C:
			if !u.trial && u.damaged == nil {
				if err := u.change(func(b *release.Book) (bool, error) { return b.Healthy(), nil }); err != nil {
					u.d.deps.Log.Warn("that this release starts could not be written down", "err", err)
				}
			}
		case <-ask.C:
			if err := u.do(ctx, u.turn); err != nil && ctx.Err() == nil {
				u.d.deps.Log.Warn("updates", "err", err)
			}
			ask.Reset(c.Every - c.Every/8 + time.Duration(u.d.started.UnixNano()%int64(c.Every/4))) // not all nodes at once
		}
	}
}

// do does one thing at a time.
func (u *updater) do(ctx context.Context, f func(context.Context) error) error {
	select {
	case u.doing <- struct{}{}:
	default:
		return fmt.Errorf("something is being done about it already: %w", release.ErrTrial)
	}
	defer func() { <-u.doing }()
	select {
	case <-u.begin:
		return release.ErrTrial
	default:
	}
	return f(ctx)
}

// turn asks, and has what is new run if the owner wants that.
func (u *updater) turn(ctx context.Context) error {
	news, err := u.ask(ctx)
	if err != nil {
		return err
	}
	book := u.known()
	s := book.Last()
	if s == nil {
		return nil
	}
	if _, err := book.May(s, u.running, platformHere, false); err != nil {
		if news && s.Version.Compare(u.running) > 0 {
			u.d.deps.Log.Warn("a release is not run", "version", s.Version, "why", err)
		}
		return nil
	}
	switch u.d.cfg.Updates.Apply {
	case ApplyAuto:
		return u.apply(ctx, s, "", false)
	case ApplyAsk:
		u.d.deps.Log.Info("there is a release; `croft update apply` runs it", "version", s.Version, "note", s.Note)
	}
	return nil
}

// ask asks the role, and remembers what it says; news is a higher version.
func (u *updater) ask(ctx context.Context) (news bool, err error) {
	if len(u.d.cfg.Updates.Publishers) == 0 {
		return false, errNoPublisher
	}
	a, err := u.d.which().ask(ctx, u.d, inquirer{own: true}, whichAsk{})
	u.mu.Lock()
	u.asked, u.fault, u.from = u.d.deps.Clock.Wall(), "", a
	if err != nil {
		u.fault = err.Error()
	}
	u.mu.Unlock()
	if err != nil || a.answer.Release == "" {
		return false, err
	}
	return u.hear([]byte(a.answer.Release))
}

// hear verifies a release and remembers it.
func (u *updater) hear(text []byte) (news bool, err error) {
	if len(u.d.cfg.Updates.Publishers) == 0 {
		return false, errNoPublisher
	}
	s, err := u.d.cfg.Updates.read(text, u.d)
	if err != nil {
		return false, err
	}
	err = u.change(func(b *release.Book) (bool, error) {
		before := b.Newest
		var err error
		news, err = b.Hear(s, u.running)
		return b.Newest != before, err
	})
	return news, err
}

// apply has a release run: its build is brought, tried for its version, and this daemon
// ends for it.
func (u *updater) apply(ctx context.Context, s *release.Signed, binary string, asked bool) error {
	if u.unfit != nil {
		return u.unfit
	}
	if err := u.d.cfg.Updates.Check(s, u.d.deps.Clock.Wall()); err != nil { // it may have lapsed
		return err
	}
	book := u.known()
	k, err := book.May(s, u.running, platformHere, asked)
	if err != nil {
		return err
	}
	if u.kept(k) != nil {
		src, err := u.bring(ctx, k, binary)
		if err != nil {
			return err
		}
		err = errors.Join(u.put(ctx, k, src), src.Close())
		if err != nil {
			return err
		}
	}
	u.share(ctx, k)
	next, err := u.succession(ctx)
	if err != nil {
		return err
	}
	if err := u.change(func(b *release.Book) (bool, error) {
		if _, err := b.May(s, u.running, platformHere, asked); err != nil { // the owner may have pinned another meanwhile
			return false, err
		}
		return true, b.Try(k, u.d.deps.Clock.Wall())
	}); err != nil {
		return err
	}
	next.Kept, next.Path, next.Trial = &k, u.path(k), true
	u.hand(next)
	return nil
}

func (u *updater) path(k release.Kept) string { return u.shelf.Path(k) }

// kept returns nil if a build is on the shelf.
func (u *updater) kept(k release.Kept) error { return u.shelf.Holds(k) }

// put puts a build on the shelf. Nobody else does: do lets one in at a time.
func (u *updater) put(ctx context.Context, k release.Kept, src io.Reader) error {
	return u.shelf.Add(ctx, k, src)
}

// hand has the daemon end for another build.
func (u *updater) hand(s *Succession) {
	u.mu.Lock()
	u.next = s
	u.mu.Unlock()
	u.d.deps.Log.Info("this daemon ends for another build; slivers run on", "build", s.Path, "trial", s.Trial)
	close(u.begin)
}

// back has what ran before run again.
func (u *updater) back(ctx context.Context) error {
	next := &Succession{Path: os.Getenv(InstalledEnv)}
	if err := u.change(func(b *release.Book) (bool, error) {
		if p := b.Previous; p != nil {
			if err := u.shelf.Holds(*p); err != nil {
				return false, err
			}
			next.Kept, next.Path = p, u.shelf.Path(*p)
		}
		if b.Current != nil && next.Path == "" {
			return false, fmt.Errorf("%s does not say which program was installed: stop this daemon and start that", InstalledEnv)
		}
		return true, b.Back("its owner went back", u.d.deps.Clock.Wall())
	}); err != nil {
		return err
	}
	u.hand(next)
	return nil
}

// InstalledEnv tells a build from the shelf which program the owner installed.
const InstalledEnv = "CROFT_INSTALLED"

// succession is what a successor has to have.
func (u *updater) succession(ctx context.Context) (*Succession, error) {
	s := &Succession{Hosting: u.d.deps.Hosting != nil, Joined: u.d.deps.Wire.Peers() > 0, Leases: map[lease.ID]int64{}}
	books, err := owner{u.d}.Books(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range books {
		if c.Sliver != "" {
			s.Leases[c.Lease] = c.Until
		}
	}
	return s, nil
}

// Succession is the build for which Run ended with [ErrSuccession].
func (d *Daemon) Succession() *Succession {
	d.updates.mu.Lock()
	defer d.updates.mu.Unlock()
	return d.updates.next
}

// readRegular reads a file of at most limit bytes that is one.
func readRegular(path string, limit int64) ([]byte, error) {
	f, _, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return b, err
}

// openRegular opens a file, and nothing that could make who opens it wait.
func openRegular(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", path)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, st, nil
}
