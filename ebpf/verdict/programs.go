// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	cebpf "github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Digest is the SHA-256 of an object, by which a program is known.
type Digest [sha256.Size]byte

// DigestOf is the digest of an object.
func DigestOf(object []byte) Digest { return sha256.Sum256(object) }

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Config is what [Open] needs.
type Config struct {
	Tag    string   // of the node
	Parent string   // directory of the cgroup above all slivers, in the cgroup2 hierarchy
	Loader []string // a command that comes to [Main]
	Root   string   // bpf file system; empty: where it belongs
	Log    *slog.Logger
}

// Counts are what a program has judged since it was loaded.
type Counts struct {
	Seen    uint64 // packets; one with segments still to be cut is one
	Refused uint64 // of these, or that it would have refused
}

// Programs are the packet programs of one node.
type Programs struct {
	cfg Config
	dir string

	mu     sync.Mutex // not held while the kernel verifies
	loaded map[Digest]*program
	force  *Digest // whose verdicts count
	closed bool
}

// Open takes up what is pinned for the tag: programs that judge go on with it. It
// needs root, a bpf file system, and for programs Linux 5.8 or newer.
func Open(cfg Config) (*Programs, error) {
	dir, err := pinDir(cfg.Root, cfg.Tag)
	if err != nil {
		return nil, err
	}
	p := &Programs{cfg: cfg, dir: dir, loaded: map[Digest]*program{}}
	if err := p.restore(); err != nil {
		return nil, errors.Join(fmt.Errorf("taking up packet programs: %w", err), p.Close())
	}
	return p, nil
}

// Close lets go of what is open. What is pinned goes on judging.
func (p *Programs) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.loaded {
		x.close()
	}
	clear(p.loaded)
	p.closed = true
	return nil
}

// Load has the kernel verify an object and attaches it to all slivers: it counts what
// it would refuse, and refuses nothing until it is put in force. What is loaded already
// stays as it is. The error is [ErrProgram] for what no node takes, and [ErrFull].
func (p *Programs) Load(ctx context.Context, object []byte) (Digest, error) {
	d := DigestOf(object)
	if done, err := p.room(d); done || err != nil {
		return d, err
	}
	x, err := start(ctx, p.cfg.Loader, object) // for seconds: nobody waits for it
	if err != nil {
		return d, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if done, err := p.roomFor(d); done || err != nil {
		x.close()
		return d, err
	}
	if err := x.pin(p.home(d)); err != nil {
		x.close()
		return d, errors.Join(fmt.Errorf("keeping a packet program: %w", err), os.RemoveAll(p.home(d)))
	}
	p.loaded[d] = x
	if err := p.attach(d, x); err != nil {
		return d, errors.Join(err, p.drop(d))
	}
	return d, nil
}

func (p *Programs) room(d Digest) (done bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.roomFor(d)
}

// roomFor reports whether a program is loaded already, or why it cannot be. It is
// called with mu held.
func (p *Programs) roomFor(d Digest) (done bool, err error) {
	switch {
	case p.closed:
		return false, os.ErrClosed
	case p.loaded[d] != nil:
		return true, nil
	case len(p.loaded) >= MaxPrograms:
		return false, ErrFull
	}
	return false, nil
}

// Enforce has the verdicts of one program count and no other's; nil is nobody's: all
// packets pass. The new one is in force before the other is not.
func (p *Programs) Enforce(d *Digest) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d != nil && p.loaded[*d] == nil {
		return fmt.Errorf("%w: %s", ErrUnknown, d)
	}
	set := func(x *program, on uint64) error { return x.force.Put(uint32(0), on) }
	var errs []error
	if d != nil {
		errs = append(errs, set(p.loaded[*d], 1))
	}
	for other, x := range p.loaded {
		if d == nil || other != *d {
			errs = append(errs, set(x, 0))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("putting a packet program in force: %w", err)
	}
	p.force = nil
	if d != nil {
		p.force = new(*d)
	}
	return nil
}

// Enforced returns the program whose verdicts count, if there is one.
func (p *Programs) Enforced() *Digest {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.force == nil {
		return nil
	}
	return new(*p.force)
}

// Keep drops every program but these and the one in force.
func (p *Programs) Keep(these []Digest) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for d := range p.loaded {
		if !slices.Contains(these, d) && (p.force == nil || *p.force != d) {
			errs = append(errs, p.drop(d))
		}
	}
	return errors.Join(errs...)
}

// drop takes a program away from all slivers.
func (p *Programs) drop(d Digest) error {
	p.loaded[d].close()
	delete(p.loaded, d)
	if err := os.RemoveAll(p.home(d)); err != nil { // its links are there
		return fmt.Errorf("dropping a packet program: %w", err)
	}
	return nil
}

// Begin makes a sliver's cgroup, unless it is there, below one at which all programs
// are: what the sliver sends is judged from the first packet. The cgroup above goes with
// the last sliver, and that of this one keeps it. Begin is idempotent.
func (p *Programs) Begin(sliver string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := os.MkdirAll(filepath.Join(p.cfg.Parent, sliver), 0o755); err != nil {
		return fmt.Errorf("making the cgroup of %s: %w", sliver, err)
	}
	for d, x := range p.loaded {
		if err := p.attach(d, x); err != nil {
			return err
		}
	}
	return nil
}

// End removes what Begin made if no process ever had it. It is idempotent.
func (p *Programs) End(sliver string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = unix.Rmdir(filepath.Join(p.cfg.Parent, sliver)) // else it is the runtime's, or gone
	_ = unix.Rmdir(p.cfg.Parent)                        // with the last
}

// Counts returns what a program has judged, or would have, of all slivers.
func (p *Programs) Counts(d Digest) (Counts, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.loaded[d]
	if x == nil {
		return Counts{}, fmt.Errorf("%w: %s", ErrUnknown, d)
	}
	var t total
	if err := x.totals.Lookup(uint32(0), &t); err != nil {
		return Counts{}, fmt.Errorf("reading what a packet program judged: %w", err)
	}
	return Counts{Seen: t.Seen[out] + t.Seen[in], Refused: t.Refused[out] + t.Refused[in]}, nil
}

// Refused returns how many packets of a sliver the program in force has refused, since
// that sliver's cgroup was made.
func (p *Programs) Refused(sliver string) (n uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.force == nil {
		return 0, nil
	}
	id, err := cgroupID(filepath.Join(p.cfg.Parent, sliver))
	if err == nil {
		err = p.loaded[*p.force].refusals.Lookup(id, &n)
	}
	if errors.Is(err, cebpf.ErrKeyNotExist) || errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	return n, err
}
