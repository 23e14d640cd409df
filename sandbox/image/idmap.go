// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"croft/sandbox"
)

func owner(info fs.FileInfo) (uid, gid int) {
	st := info.Sys().(*syscall.Stat_t) // Linux has no other
	return int(st.Uid), int(st.Gid)
}

// Mount mounts a shared root read-only at target with its owners 0…65535 shown
// as the range that starts at base. Where the kernel or the file system has no
// id-mapped mounts the error is a [sandbox.Missing].
func Mount(path, target string, base uint32) error {
	tree, err := clone(path, base)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mounting root at %s: %w", target, err)
	}
	return nil
}

// IDMapped reports whether what lies in dir can be mounted by [Mount].
func IDMapped(dir string) bool {
	known.Lock()
	defer known.Unlock()
	if ok, asked := known.dirs[dir]; asked {
		return ok
	}
	tree, err := clone(dir, sandbox.FirstUID)
	if err == nil {
		unix.Close(tree)
	}
	known.dirs[dir] = err == nil
	return err == nil
}

// known remembers the answers of this kernel: they do not change.
var known = struct {
	sync.Mutex
	dirs map[string]bool
}{dirs: map[string]bool{}}

func clone(path string, base uint32) (tree int, err error) {
	tree, err = unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, missing("open_tree", path, err)
	}
	defer func() {
		if err != nil {
			unix.Close(tree)
		}
	}()
	ns, err := userNamespace(base)
	if err != nil {
		return -1, fmt.Errorf("making user namespace: %w", err)
	}
	defer ns.Close()
	attr := unix.MountAttr{
		Attr_set:  unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID,
		Userns_fd: uint64(ns.Fd()),
	}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return -1, missing("mount_setattr", path, err)
	}
	return tree, nil
}

func missing(call, path string, err error) error {
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return &sandbox.Missing{Feature: "id-mapped mounts at " + path, Needs: "Linux 5.12 and a file system that allows them (" + call + ")"}
	}
	return fmt.Errorf("%s of %s: %w", call, path, err)
}

// userNamespace makes a user namespace with the mapping of a uid range. A
// namespace needs a process to be born in: one that is stopped before its first
// instruction and killed once the namespace is open.
func userNamespace(base uint32) (*os.File, error) {
	// The tracer is the thread, and only it may wait.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(base), Size: sandbox.UIDs}}
	p, err := os.StartProcess("/proc/self/exe", []string{"croft-userns"}, &os.ProcAttr{
		Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, Ptrace: true},
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = p.Kill()
		_, _ = p.Wait()
	}()
	return os.Open(fmt.Sprintf("/proc/%d/ns/user", p.Pid))
}
