// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// netnsDir is where ip(8) keeps named namespaces, so that it shows ours.
const netnsDir = "/run/netns"

func netnsPath(name string) string { return filepath.Join(netnsDir, name) }

// onThread runs f on an OS thread that ends with it, so that whatever f does
// to its thread's namespaces cannot reach any other goroutine.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the runtime ends the thread
		done <- f()
	}()
	return <-done
}

// within runs f in a named network namespace. Processes that f starts are in
// it too; goroutines that it starts are not.
func within(name string, f func() error) error {
	return onThread(func() error {
		ns, err := os.Open(netnsPath(name))
		if err != nil {
			return fmt.Errorf("%w: %w", errNoNetNS, err)
		}
		defer ns.Close()
		err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		if errors.Is(err, unix.EINVAL) { // a name that was never mounted
			return fmt.Errorf("%w: %s is a plain file", errNoNetNS, name)
		}
		if err != nil {
			return fmt.Errorf("entering namespace %s: %w", name, err)
		}
		return f()
	})
}

// makeNetNS makes a named namespace and runs f in it.
func makeNetNS(name string, f func() error) error {
	if err := shareNetNSDir(); err != nil {
		return err
	}
	path := netnsPath(name)
	file, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return fmt.Errorf("naming namespace: %w", err)
	}
	file.Close()
	return onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making namespace %s: %w", name, err)
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mounting namespace %s: %w", name, err)
		}
		return f()
	})
}

// shareNetNSDir makes netnsDir a shared mount, as ip(8) does. Without it, the
// first `ip netns add` on the host would mount the directory over itself, and
// what was mounted there before could neither be reached nor removed.
func shareNetNSDir() error {
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if errors.Is(err, unix.EINVAL) { // not a mount point yet
		if err = unix.Mount(netnsDir, netnsDir, "none", unix.MS_BIND|unix.MS_REC, ""); err == nil {
			err = unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "")
		}
	}
	if err != nil {
		return fmt.Errorf("sharing mount %s: %w", netnsDir, err)
	}
	return nil
}

// dropNetNS removes a named namespace, also one that a crash left half made.
// The kernel ends the namespace with the last process in it.
func dropNetNS(name string) error {
	path := netnsPath(name)
	for { // a name may have been mounted over more than once
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break // only a file, or nothing
		}
		if err != nil {
			return fmt.Errorf("unmounting namespace %s: %w", name, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing namespace %s: %w", name, err)
	}
	return nil
}

// netnsOf lists the namespaces of the lab of this name.
func netnsOf(lab string) ([]string, error) {
	entries, err := os.ReadDir(netnsDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix+lab+"-") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Names lists the labs that have a namespace on this machine, whoever made
// them: what to Sweep when a directory is lost.
func Names() ([]string, error) {
	entries, err := os.ReadDir(netnsDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name, ours := strings.CutPrefix(e.Name(), prefix)
		name, _, inner := strings.Cut(name, "-")
		if ours && inner && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}
