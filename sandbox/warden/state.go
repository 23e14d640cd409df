// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"croft/sandbox"
	"croft/sandbox/image"
	"croft/sandbox/oci"
)

// plan is spec.json: everything that a warden needs to know.
type plan struct {
	Spec   sandbox.Spec `json:"spec"`
	Root   image.Root   `json:"root"`
	Runc   oci.Runc     `json:"runc"`
	Tag    string       `json:"tag"`
	OnGone []string     `json:"on_gone,omitempty"`
	Boot   string       `json:"boot"` // the boot whose clock the deadline is on
}

// dir is the directory of one sliver.
type dir string

func (d dir) file(name string) string { return filepath.Join(string(d), name) }
func (d dir) sliver() string          { return filepath.Base(string(d)) }

func (d dir) plan() (p plan, err error) { return p, readJSON(d.file("spec.json"), &p) }

func (d dir) status() (s sandbox.Status, err error) { return s, readJSON(d.file("status.json"), &s) }

func readJSON(file string, into any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	return nil
}

// write replaces a file: it is durable on return, and at no time half there.
func (d dir) write(name string, content any) error {
	b, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	tmp := d.file(name + ".new")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, space(err))
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, d.file(name))
	}
	if err == nil {
		err = syncDir(string(d))
	}
	if err != nil {
		os.Remove(tmp)
		return fmt.Errorf("writing %s: %w", name, space(err))
	}
	return nil
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func space(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", sandbox.ErrNoSpace, err)
	}
	return err
}

// lock takes the directory's lock, which a warden holds while it lives. It is
// errAlive when somebody has it. Closing gives it back; the kernel does so for
// the dead.
func (d dir) lock() (*flock.Flock, error) {
	lock := flock.New(d.file("lock"))
	switch ours, err := lock.TryLock(); {
	case err != nil:
		return nil, err
	case !ours:
		return nil, errAlive
	}
	return lock, nil
}

var errAlive = errors.New("the warden is alive")

// runDir is where a node keeps what must not outlive a boot: the runtime's
// state and the mount points. Everybody may pass through it, since the first
// process of a sliver walks it as a user without rights on the node.
func runDir(tag string) string           { return "/run/croft-" + tag }
func runcRoot(tag string) string         { return filepath.Join(runDir(tag), "runc") }
func mountDir(tag, sliver string) string { return filepath.Join(runDir(tag), "m", sliver) }

func makeMountDir(tag, sliver string) error {
	for _, path := range []string{runDir(tag), runcRoot(tag), filepath.Join(runDir(tag), "m"), mountDir(tag, sliver)} {
		if err := os.MkdirAll(path, 0o711); err != nil {
			return err
		}
		if err := os.Chmod(path, 0o711); err != nil { // whatever the umask
			return err
		}
	}
	return nil
}

// common takes part in what the slivers of a node have in common: the directories
// and cgroups above their own, which go with the last of them. Who makes
// something there shares it with other makers (LOCK_SH); who removes what is
// empty is alone (LOCK_EX), or it would be gone from under a maker.
func (d dir) common(how int) (leave func(), err error) {
	fd, err := unix.Open(filepath.Dir(string(d)), unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", filepath.Dir(string(d)), err)
	}
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(fd, how)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("locking %s: %w", filepath.Dir(string(d)), err)
	}
	return func() { unix.Close(fd) }, nil
}

// removeMountDir removes the directories of a sliver, and of the node when it
// was the last. What is not empty stays.
func removeMountDir(tag, sliver string) error {
	// Only directories and the small files of commands are here: mounts were in
	// the warden's namespace.
	err := os.RemoveAll(mountDir(tag, sliver))
	for _, path := range []string{filepath.Join(runDir(tag), "m"), runcRoot(tag), runDir(tag)} {
		_ = unix.Rmdir(path)
	}
	return err
}

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// bootNow reads the boot clock in nanoseconds.
func bootNow() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0 // cannot fail on Linux
	}
	return ts.Nano()
}
