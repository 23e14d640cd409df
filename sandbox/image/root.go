// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"croft/sandbox"
)

// Root is an unpacked program that slivers share.
type Root struct {
	Path string

	// Mapped says that the files belong to the uid range already. Else they
	// belong to 0…65535 and go through [Mount].
	Mapped bool
}

// Root returns the root of a program for the uid range that starts at base,
// and makes it if need be. Nobody may write into it.
func (s *Store) Root(ctx context.Context, p sandbox.Program, base uint32) (Root, error) {
	if err := p.Check(); err != nil {
		return Root{}, err
	}
	select {
	case s.make <- struct{}{}:
		defer func() { <-s.make }()
	case <-ctx.Done():
		return Root{}, ctx.Err()
	}
	key := name(p.Blob)
	if p.Kind == sandbox.Binary {
		h := sha256.Sum256([]byte(p.BinaryName()))
		key += fmt.Sprintf("-%x", h[:8])
	}
	shared, err := s.root(ctx, key, func(dir *os.Root, room int64) (int64, error) { return s.fill(ctx, p, dir, room) })
	if err != nil {
		return Root{}, fmt.Errorf("making root of %s: %w", p.Blob, err)
	}
	if IDMapped(s.dir) {
		return Root{Path: shared}, nil
	}
	copied, err := s.root(ctx, fmt.Sprintf("%s-for-%d", key, base), func(dir *os.Root, room int64) (int64, error) {
		return copyShifted(ctx, shared, dir, base, room)
	})
	if err != nil {
		return Root{}, fmt.Errorf("copying root of %s: %w", p.Blob, err)
	}
	return Root{Path: copied, Mapped: true}, nil
}

// root returns the root under key, or makes it in a directory of its own that
// gets its name once it is whole.
func (s *Store) root(ctx context.Context, key string, fill func(dir *os.Root, room int64) (int64, error)) (string, error) {
	entry := "roots/" + key
	path := filepath.Join(s.dir, entry, "root")
	s.mu.Lock()
	_, there := s.sizes[entry]
	room := min(s.quota-s.used, MaxRoot)
	s.mu.Unlock()
	if there {
		return path, nil
	}
	if room <= 0 {
		return "", fmt.Errorf("the blob store is full: %w", sandbox.ErrNoSpace)
	}
	tmp, err := os.MkdirTemp(filepath.Join(s.dir, "roots"), ".new-")
	if err != nil {
		return "", space(err)
	}
	defer os.RemoveAll(tmp)
	size, err := s.makeIn(tmp, room, fill)
	if err != nil {
		return "", space(err)
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := os.Rename(tmp, filepath.Join(s.dir, entry)); err != nil {
		return "", space(err)
	}
	s.mu.Lock()
	s.keep(entry, size)
	s.mu.Unlock()
	return path, syncDir(filepath.Join(s.dir, "roots"))
}

func (s *Store) makeIn(tmp string, room int64, fill func(dir *os.Root, room int64) (int64, error)) (int64, error) {
	path := filepath.Join(tmp, "root")
	if err := os.Mkdir(path, 0o755); err != nil {
		return 0, err
	}
	dir, err := os.OpenRoot(path)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	size, err := fill(dir, room)
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(tmp, "size"), []byte(strconv.FormatInt(size, 10)), 0o600); err != nil {
		return 0, err
	}
	// The name must not reach the disk before the files do.
	f, err := dir.Open(".")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return size, unix.Syncfs(int(f.Fd()))
}

func (s *Store) fill(ctx context.Context, p sandbox.Program, dir *os.Root, room int64) (int64, error) {
	blob, err := s.Open(p.Blob)
	if err != nil {
		return 0, err
	}
	defer blob.Close()
	if p.Kind == sandbox.RootFS {
		size, err := Unpack(ctx, blob, dir, Bounds{MaxEntries, room})
		if err != nil {
			return 0, err
		}
		return size, mountPoints(dir)
	}
	if err := static(blob); err != nil {
		return 0, err
	}
	info, err := blob.Stat()
	if err != nil {
		return 0, err
	}
	if info.Size() > room {
		return 0, fmt.Errorf("the blob store is full: %w", sandbox.ErrNoSpace)
	}
	if err := mountPoints(dir); err != nil {
		return 0, err
	}
	f, err := dir.OpenFile("bin/"+p.BinaryName(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(f, &patient{ctx, blob})
	if err := errors.Join(err, f.Chmod(0o755), f.Close()); err != nil {
		return 0, err
	}
	users := []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
	groups := []byte("root:x:0:\ntty:x:5:\nnogroup:x:65534:\n")
	return n, errors.Join(dir.WriteFile("etc/passwd", users, 0o644), dir.WriteFile("etc/group", groups, 0o644))
}

// mountPoints makes the directories that a sliver's mounts go on, where the
// archive has none. A link in such a place is the archive's mistake, and the
// runtime's to refuse.
func mountPoints(dir *os.Root) error {
	for _, name := range []string{"bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"} {
		if _, err := dir.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			if err := dir.Mkdir(name, 0o755); err != nil {
				return err
			}
		}
	}
	return nil
}

// static refuses what cannot run alone: it would fail in the sliver with a
// message that misleads ("no such file or directory").
func static(blob *os.File) error {
	f, err := elf.NewFile(blob)
	if err != nil {
		return fmt.Errorf("%w: not an executable (ELF) file", sandbox.ErrProgram)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%w: the binary needs shared libraries; link it statically or send a rootfs", sandbox.ErrProgram)
		}
	}
	_, err = blob.Seek(0, io.SeekStart)
	return err
}

// copyShifted copies a root for kernels without id-mapped mounts, every file
// owned by base more than before. Hard links become files of their own.
func copyShifted(ctx context.Context, from string, to *os.Root, base uint32, room int64) (int64, error) {
	source, err := os.OpenRoot(from)
	if err != nil {
		return 0, err
	}
	defer source.Close()
	total := int64(0)
	err = fs.WalkDir(source.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		info, err := source.Lstat(path)
		if err != nil {
			return err
		}
		if total += info.Size(); total > room {
			return fmt.Errorf("the blob store is full: %w", sandbox.ErrNoSpace)
		}
		return copyEntry(source, to, path, info, base)
	})
	return total, err
}

func copyEntry(source, to *os.Root, path string, info fs.FileInfo, base uint32) error {
	uid, gid := owner(info)
	switch {
	case info.IsDir():
		if path != "." {
			if err := to.Mkdir(path, 0o700); err != nil {
				return err
			}
		}
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := source.Readlink(path)
		if err != nil {
			return err
		}
		if err := to.Symlink(target, path); err != nil {
			return err
		}
		return to.Lchown(path, uid+int(base), gid+int(base))
	default:
		in, err := source.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := to.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	if err := to.Lchown(path, uid+int(base), gid+int(base)); err != nil {
		return err
	}
	if err := to.Chmod(path, info.Mode()&(fs.ModePerm|fs.ModeSticky)); err != nil {
		return err
	}
	return to.Chtimes(path, info.ModTime(), info.ModTime())
}
