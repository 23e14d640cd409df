// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"

	"croft/sandbox"
)

// Bounds are the limits of one unpacking; the zero value is nothing at all.
type Bounds struct {
	Entries int
	Bytes   int64
}

// Unpack writes the tree of a tar, plain, gzip or zstd, below dir and returns
// its bytes. It refuses what cannot be in a root that strangers wrote: names
// that climb, entries behind links that lead out, devices, owners outside the
// uid range. Set-id bits and extended attributes are dropped: a sliver gains
// no privilege from a file. What dev would hold is left out, since a sliver's
// /dev is made by the node.
func Unpack(ctx context.Context, r io.Reader, dir *os.Root, limit Bounds) (int64, error) {
	plain, closer, err := decompress(&patient{ctx, r})
	if err != nil {
		return 0, err
	}
	defer closer()
	u := unpacker{dir: dir, left: limit, owner: os.Geteuid() == 0}
	archive := tar.NewReader(plain)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return limit.Bytes - u.left.Bytes, nil
		}
		if err != nil {
			return 0, tarError(ctx, "reading archive", err)
		}
		if err := u.entry(h, archive); err != nil {
			return 0, tarError(ctx, fmt.Sprintf("unpacking %.200q", h.Name), err)
		}
	}
}

// tarError sorts an error: ours and the disk's stay, all others are the
// archive's.
func tarError(ctx context.Context, doing string, err error) error {
	err = space(err)
	if ctx.Err() != nil || errors.Is(err, ErrTar) || errors.Is(err, sandbox.ErrNoSpace) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, ErrTar, err)
}

func decompress(r io.Reader) (io.Reader, func(), error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	magic, _ := buffered.Peek(4) // a short archive fails in the tar reader
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, nil, fmt.Errorf("reading archive: %w: %w", ErrTar, err)
		}
		return z, func() { z.Close() }, nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		// One decoder thread and a bounded window: a header can ask for gigabytes.
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(128<<20))
		if err != nil {
			return nil, nil, fmt.Errorf("reading archive: %w: %w", ErrTar, err)
		}
		return z, z.Close, nil
	}
	return buffered, func() {}, nil
}

type unpacker struct {
	dir   *os.Root
	left  Bounds
	owner bool // may give files away
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if u.left.Entries--; u.left.Entries < 0 {
		return fmt.Errorf("%w: too many entries", ErrTar)
	}
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	if h.Typeflag == tar.TypeXGlobalHeader || strings.HasPrefix(name, "dev/") {
		return nil
	}
	if h.Uid < 0 || h.Uid >= sandbox.UIDs || h.Gid < 0 || h.Gid >= sandbox.UIDs {
		return fmt.Errorf("%w: owner %d:%d is outside of 0…%d", ErrTar, h.Uid, h.Gid, sandbox.UIDs-1)
	}
	mode := fs.FileMode(h.Mode) & fs.ModePerm
	if h.Mode&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	if h.Typeflag == tar.TypeDir {
		return u.directory(name, mode, h)
	}
	if name == "." {
		return fmt.Errorf("%w: the root is no directory", ErrTar)
	}
	if err := u.clear(name); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		return u.file(name, mode, h, content)
	case tar.TypeSymlink:
		if len(h.Linkname) > MaxName || h.Linkname == "" {
			return fmt.Errorf("%w: impossible link", ErrTar)
		}
		// Any target is fine: it is followed inside the sliver only, and
		// os.Root follows none that leads out.
		if err := u.dir.Symlink(h.Linkname, name); err != nil {
			return err
		}
		return u.chown(name, h)
	case tar.TypeLink:
		to, err := cleanName(h.Linkname)
		if err != nil {
			return err
		}
		return u.dir.Link(to, name)
	}
	return fmt.Errorf("%w: devices, pipes and sockets cannot come with a root (type %q)", ErrTar, h.Typeflag)
}

// clear makes way for an entry: its parents exist, nothing has its name.
func (u *unpacker) clear(name string) error {
	if err := u.dir.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if info, err := u.dir.Lstat(name); err == nil {
		if info.IsDir() {
			return fmt.Errorf("%w: a directory has this name already", ErrTar)
		}
		return u.dir.Remove(name)
	}
	return nil
}

func (u *unpacker) directory(name string, mode fs.FileMode, h *tar.Header) error {
	if err := u.dir.MkdirAll(name, 0o755); err != nil {
		return err
	}
	// A link of this name would have the next line change what it leads to.
	info, err := u.dir.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: something else has this name already", ErrTar)
	}
	if err := u.chown(name, h); err != nil {
		return err
	}
	return u.dir.Chmod(name, mode)
}

func (u *unpacker) file(name string, mode fs.FileMode, h *tar.Header, content io.Reader) error {
	if h.Size > u.left.Bytes {
		return fmt.Errorf("%w: larger than allowed when unpacked", ErrTar)
	}
	u.left.Bytes -= h.Size
	f, err := u.dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, content); err != nil {
		return err
	}
	if u.owner {
		if err := f.Chown(h.Uid, h.Gid); err != nil {
			return err
		}
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return u.dir.Chtimes(name, h.ModTime, h.ModTime)
}

func (u *unpacker) chown(name string, h *tar.Header) error {
	if !u.owner {
		return nil
	}
	return u.dir.Lchown(name, h.Uid, h.Gid)
}

// cleanName turns a name of an archive into one below the root.
func cleanName(name string) (string, error) {
	if name == "" || len(name) > MaxName || strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("%w: impossible name", ErrTar)
	}
	parts := 0
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", fmt.Errorf("%w: a name that climbs", ErrTar)
		}
		if parts++; parts > MaxDepth || len(part) > 255 {
			return "", fmt.Errorf("%w: name too deep or too long", ErrTar)
		}
	}
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	if clean == "" {
		clean = "."
	}
	return clean, nil
}
