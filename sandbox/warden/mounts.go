// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/sandbox"
	"croft/sandbox/image"
)

// private makes this process's mount namespace its own: what happens here is
// not seen outside, and what is taken away outside goes here too. Other
// slivers' network namespaces are let go, or a copy of their mounts would keep
// them alive.
func private(netns string) error {
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	own, err := filepath.EvalSymlinks(netns)
	if err != nil {
		own = netns
	}
	for line := range strings.Lines(string(b)) {
		before, after, ok := strings.Cut(line, " - ")
		f := strings.Fields(before)
		if ok && strings.HasPrefix(after, "nsfs ") && len(f) > 4 && f[4] != own {
			_ = unix.Unmount(f[4], unix.MNT_DETACH) // what stays costs memory, not safety
		}
	}
	return nil
}

// mountRoot builds the sliver's root below at: the shared root, and over it a
// writable layer of the leased size. It returns the devices to be throttled.
func mountRoot(ctx context.Context, p plan, at, img string) ([]sandbox.Device, error) {
	base := sandbox.UIDBase(p.Spec.Place)
	lower, layer, root := filepath.Join(at, "lower"), filepath.Join(at, "layer"), filepath.Join(at, "root")
	for _, path := range []string{lower, layer, root} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, err
		}
	}
	if err := mountLower(p.Root, lower, base); err != nil {
		return nil, err
	}
	device, err := mountLayer(ctx, p.Spec.RSet[lease.Disk], img, layer, base)
	if err != nil {
		return nil, err
	}
	upper, work := filepath.Join(layer, "upper"), filepath.Join(layer, "work")
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755), os.Chown(upper, int(base), int(base))); err != nil {
		return nil, fmt.Errorf("making writable layer: %w", space(err))
	}
	opts := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,index=off,metacopy=off,xino=off", lower, upper, work)
	if err := unix.Mount("overlay", root, "overlay", unix.MS_NODEV|unix.MS_NOSUID, opts); err != nil {
		return nil, fmt.Errorf("mounting root: %w", err)
	}
	return device, nil
}

func mountLower(r image.Root, at string, base uint32) error {
	if !r.Mapped {
		return image.Mount(r.Path, at, base)
	}
	if err := unix.Mount(r.Path, at, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting shared root: %w", err)
	}
	if err := unix.Mount("", at, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID, ""); err != nil {
		return fmt.Errorf("mounting shared root read-only: %w", err)
	}
	return nil
}

// mountLayer mounts a file system of exactly size bytes. Without any leased
// disk it is a scrap of memory for the runtime's mount points, and the root is
// read-only.
func mountLayer(ctx context.Context, size uint64, img, at string, base uint32) ([]sandbox.Device, error) {
	if size == 0 {
		opts := fmt.Sprintf("size=64k,nr_inodes=64,mode=755,uid=%d,gid=%d", base, base)
		if err := unix.Mount("tmpfs", at, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, opts); err != nil {
			return nil, fmt.Errorf("mounting layer: %w", err)
		}
		return nil, nil
	}
	if err := makeLayer(ctx, img, size, base); err != nil {
		os.Remove(img)
		return nil, fmt.Errorf("making writable layer of %s: %w", lease.Disk.Format(size), space(err))
	}
	loop, number, err := attach(img)
	if err != nil {
		return nil, err
	}
	defer loop.Close() // the mount keeps it; the last close takes it away
	if err := unix.Mount(loop.Name(), at, "ext4", unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOATIME, ""); err != nil {
		return nil, fmt.Errorf("mounting layer: %w", err)
	}
	return []sandbox.Device{number}, nil
}

// makeLayer makes a file system in a file whose blocks are set aside, so that
// a sliver that fills its lease does not meet the node's full disk instead.
func makeLayer(ctx context.Context, img string, size uint64, base uint32) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(img), &fs); err != nil {
		return err
	}
	// Asked beforehand: to find out by filling the disk would hurt everybody.
	if free := fs.Bavail * uint64(max(fs.Bsize, 0)); size > free {
		return fmt.Errorf("%s free: %w", lease.Disk.Format(free), sandbox.ErrNoSpace)
	}
	f, err := os.OpenFile(img, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, int64(size))
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = f.Truncate(int64(size))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	mkfs, err := lookSbin("mke2fs")
	if err != nil {
		return err
	}
	owner := strconv.FormatUint(uint64(base), 10)
	// No journal: what a crash leaves of a layer is thrown away.
	out, err := exec.CommandContext(ctx, mkfs, "-q", "-F", "-t", "ext4", "-m", "0", "-O", "^has_journal,^resize_inode",
		"-E", "lazy_itable_init=1,nodiscard,root_owner="+owner+":"+owner, img).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mke2fs: %w: %.200s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// lookSbin finds a tool that a service's PATH may leave out.
func lookSbin(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", &sandbox.Missing{Feature: name, Needs: "the package e2fsprogs"}
}

// attach puts a file behind a loop device that goes away with its last user.
func attach(img string) (*os.File, sandbox.Device, error) {
	fail := func(err error) (*os.File, sandbox.Device, error) {
		if errors.Is(err, os.ErrNotExist) {
			err = &sandbox.Missing{Feature: "loop devices", Needs: "modprobe loop"}
		}
		return nil, sandbox.Device{}, fmt.Errorf("attaching loop device: %w", err)
	}
	file, err := os.OpenFile(img, os.O_RDWR, 0)
	if err != nil {
		return fail(err)
	}
	defer file.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return fail(err)
	}
	defer control.Close()
	for range 64 { // others take free devices too
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return fail(err)
		}
		loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return fail(err)
		}
		config := unix.LoopConfig{Fd: uint32(file.Fd())}
		config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &config)
		if err == nil {
			var st unix.Stat_t
			if err := unix.Fstat(int(loop.Fd()), &st); err != nil {
				loop.Close()
				return fail(err)
			}
			return loop, sandbox.Device{Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev))}, nil
		}
		loop.Close()
		if !errors.Is(err, unix.EBUSY) {
			return fail(err)
		}
	}
	return fail(sandbox.ErrBusy)
}
