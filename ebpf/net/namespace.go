// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// within runs f on a thread of its own in the namespace ns. Sockets and
// children that f makes belong to ns, and so does what it writes under
// /proc/sys/net. f must not start goroutines that rely on any of this.
func within(ns netns.NsHandle, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- visit(ns, f) }()
	return <-done
}

func visit(ns netns.NsHandle, f func() error) (err error) {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("remembering network namespace: %w", err)
	}
	defer home.Close()
	defer func() {
		if back := netns.Set(home); back != nil {
			// The thread is not let go: it ends with this goroutine, and no
			// other ever runs in the wrong namespace.
			err = errors.Join(err, fmt.Errorf("returning to network namespace: %w", back))
			return
		}
		runtime.UnlockOSThread()
	}()
	if ns.IsOpen() {
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("entering network namespace: %w", err)
		}
	}
	return f()
}

// ensureNS opens the named namespace, making it when it is not there. A name
// without a namespace behind it, which a crash between the two steps leaves, is
// made anew.
func ensureNS(name string) (netns.NsHandle, error) {
	if ns, err := openNS(name); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return ns, err
	}
	var ns netns.NsHandle
	err := within(netns.None(), func() (err error) {
		ns, err = netns.NewNamed(name)
		return err
	})
	if err != nil {
		return netns.None(), fmt.Errorf("making network namespace %s: %w", name, err)
	}
	return ns, nil
}

// openNS opens the named namespace; fs.ErrNotExist when there is none, also
// when only its file was left, which then is gone.
func openNS(name string) (netns.NsHandle, error) {
	path := netnsPath(name)
	var at unix.Statfs_t
	if err := unix.Statfs(path, &at); err != nil {
		return netns.None(), &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	if at.Type != unix.NSFS_MAGIC {
		if err := os.Remove(path); err != nil {
			return netns.None(), fmt.Errorf("removing what is left of a namespace: %w", err)
		}
		return netns.None(), &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return netns.None(), fmt.Errorf("opening network namespace %s: %w", name, err)
	}
	return ns, nil
}

// dropNS takes the name away. The namespace goes when its last process and
// socket do.
func dropNS(name string) error {
	path := netnsPath(name)
	// Twice mounted is possible where /run/netns is shared with itself.
	for {
		err := unix.Unmount(path, unix.MNT_DETACH)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break
		}
		if err != nil {
			return fmt.Errorf("unmounting network namespace %s: %w", name, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing network namespace %s: %w", name, err)
	}
	return nil
}

// sliverSpaces lists the names of the tag's sliver namespaces.
func sliverSpaces(tag string) ([]string, error) {
	all, err := filepath.Glob(netnsPath("croft-" + tag + "-*"))
	if err != nil {
		return nil, err
	}
	for i, path := range all {
		all[i] = strings.TrimPrefix(path, netnsDir+"/")
	}
	return all, nil
}
