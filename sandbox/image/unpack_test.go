// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"croft/sandbox"
)

type entry struct {
	tar.Header
	body string
}

func file(name, body string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, body}
}

func link(name, to string) entry {
	return entry{tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}, ""}
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		e.Size = int64(len(e.body))
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// unpack unpacks into a directory inside another, which holds a victim.
func unpack(t testing.TB, blob []byte, limit Bounds) (outer string, err error) {
	t.Helper()
	outer = t.TempDir()
	if err := os.WriteFile(filepath.Join(outer, "victim"), []byte("safe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(outer, "root"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.OpenRoot(filepath.Join(outer, "root"))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	_, err = Unpack(context.Background(), bytes.NewReader(blob), dir, limit)
	return outer, err
}

func untouched(t testing.TB, outer string) {
	t.Helper()
	list, err := os.ReadDir(outer)
	b, readErr := os.ReadFile(filepath.Join(outer, "victim"))
	info, statErr := os.Lstat(filepath.Join(outer, "victim"))
	if err := errors.Join(err, readErr, statErr); err != nil || len(list) != 2 || string(b) != "safe" || info.Mode() != 0o600 {
		t.Errorf("outside of the root: %v, victim %q, %v", list, b, err)
	}
}

var roomy = Bounds{100, 1 << 20}

func TestUnpack(t *testing.T) {
	plain := archive(t,
		entry{tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755}, ""},
		file("/deep/er/file", "content"),
		entry{tar.Header{Typeflag: tar.TypeReg, Name: "setuid", Mode: 0o6755}, "#!"},
		entry{tar.Header{Typeflag: tar.TypeDir, Name: "sticky", Mode: 0o1777}, ""},
		link("absolute", "/deep/er"),
		link("relative", "deep/er"),
		file("relative/through", "a link that stays inside"),
		entry{tar.Header{Typeflag: tar.TypeLink, Name: "hard", Linkname: "./deep/er/file"}, ""},
		entry{tar.Header{Typeflag: tar.TypeChar, Name: "dev/null"}, ""},
		file("twice", "old"), file("twice", "new"),
	)
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	z, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	_, gErr := g.Write(plain)
	_, zErr := z.Write(plain)
	if err := errors.Join(gErr, zErr, g.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	for name, blob := range map[string][]byte{"plain": plain, "gzip": gz.Bytes(), "zstd": zs.Bytes()} {
		t.Run(name, func(t *testing.T) {
			outer, err := unpack(t, blob, roomy)
			if err != nil {
				t.Fatal(err)
			}
			untouched(t, outer)
			root := os.DirFS(filepath.Join(outer, "root"))
			for name, want := range map[string]string{"deep/er/file": "content", "hard": "content", "twice": "new",
				"deep/er/through": "a link that stays inside"} {
				if b, err := fs.ReadFile(root, name); err != nil || string(b) != want {
					t.Errorf("%s: %q, %v", name, b, err)
				}
			}
			for name, want := range map[string]fs.FileMode{"setuid": 0o755, "sticky": fs.ModeDir | fs.ModeSticky | 0o777} {
				if info, err := fs.Stat(root, name); err != nil || info.Mode() != want {
					t.Errorf("%s: %v, %v", name, info, err)
				}
			}
			if _, err := fs.Stat(root, "dev/null"); err == nil {
				t.Error("dev/null was made")
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	long := strings.Repeat("x/", MaxDepth+1) + "x"
	for name, c := range map[string]struct {
		entries []entry
		limit   Bounds
	}{
		"climbing":            {[]entry{file("../victim", "x")}, roomy},
		"climbing inside":     {[]entry{file("a/../../victim", "x")}, roomy},
		"through a link out":  {[]entry{link("out", ".."), file("out/victim", "x")}, roomy},
		"through an absolute": {[]entry{link("out", "/tmp"), file("out/croft-victim", "x")}, roomy},
		"directory on a link": {[]entry{link("out", ".."), {tar.Header{Typeflag: tar.TypeDir, Name: "out", Mode: 0o777}, ""}}, roomy},
		"hard link out":       {[]entry{{tar.Header{Typeflag: tar.TypeLink, Name: "x", Linkname: "../victim"}, ""}}, roomy},
		"hard link to out":    {[]entry{link("out", "../victim"), {tar.Header{Typeflag: tar.TypeLink, Name: "x", Linkname: "out/y"}, ""}}, roomy},
		"device":              {[]entry{{tar.Header{Typeflag: tar.TypeBlock, Name: "sda"}, ""}}, roomy},
		"pipe":                {[]entry{{tar.Header{Typeflag: tar.TypeFifo, Name: "p"}, ""}}, roomy},
		"owner":               {[]entry{{tar.Header{Typeflag: tar.TypeReg, Name: "x", Uid: 65536}, ""}}, roomy},
		"file on directory":   {[]entry{file("a/b", ""), file("a", "")}, roomy},
		"deep":                {[]entry{file(long, "")}, roomy},
		"root is a file":      {[]entry{file(".", "")}, roomy},
		"too many":            {[]entry{file("a", ""), file("b", "")}, Bounds{1, 10}},
		"too large":           {[]entry{file("a", "12345"), file("b", "123456")}, Bounds{9, 10}},
	} {
		outer, err := unpack(t, archive(t, c.entries...), c.limit)
		if !errors.Is(err, ErrTar) {
			t.Errorf("%s: %v", name, err)
		}
		untouched(t, outer)
	}
	for name, blob := range map[string][]byte{
		"torn":     archive(t, file("a", strings.Repeat("x", 2000)))[:1000],
		"garbage":  []byte(strings.Repeat("garbage ", 200)),
		"bad gzip": {0x1f, 0x8b, 1, 2},
		"bad zstd": {0x28, 0xb5, 0x2f, 0xfd, 1, 2},
	} {
		if _, err := unpack(t, blob, roomy); !errors.Is(err, ErrTar) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A full disk has its own error. /dev/full cannot be unpacked to; a tiny tmpfs
// needs root.
func TestRootUnpackDiskFull(t *testing.T) {
	dir := tinyDisk(t)
	s, err := Open(dir, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	blob := archive(t, file("zeros", strings.Repeat("\x00", 2<<20)))
	var z bytes.Buffer
	g := gzip.NewWriter(&z)
	if _, err := g.Write(blob); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	p := store(t, s, z.Bytes())
	if _, err := s.Root(t.Context(), p, sandbox.FirstUID); !errors.Is(err, sandbox.ErrNoSpace) {
		t.Errorf("unpacking 2 MiB on 1 MiB: %v", err)
	}
	if list, err := os.ReadDir(filepath.Join(dir, "roots")); err != nil || len(list) != 0 {
		t.Errorf("left behind: %v, %v", list, err)
	}
	big := bytes.Repeat([]byte("y"), 2<<20)
	d := digest(big)
	if _, err := s.Begin(d, int64(len(big))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(d, 0, big); !errors.Is(err, sandbox.ErrNoSpace) {
		t.Errorf("appending 2 MiB on 1 MiB: %v", err)
	}
	if offset, err := s.Begin(d, int64(len(big))); err != nil || offset != 0 {
		t.Errorf("after it the blob goes on at %d, %v", offset, err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, file("a/b", "content"), link("l", "a"), file("l/c", "x")))
	f.Add(archive(f, link("out", "../victim"), file("out", "x"), file("../victim", "x")))
	f.Add(archive(f, entry{tar.Header{Typeflag: tar.TypeLink, Name: "x", Linkname: "../victim"}, ""}, file("x", "y")))
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff})
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0})
	f.Fuzz(func(t *testing.T, blob []byte) {
		limit := Bounds{Entries: 20, Bytes: 1 << 16}
		outer, err := unpack(t, blob, limit)
		untouched(t, outer)
		if err != nil && !errors.Is(err, ErrTar) {
			t.Errorf("an error of another kind: %v", err)
		}
		total := int64(0)
		walkErr := filepath.WalkDir(filepath.Join(outer, "root"), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().IsRegular() {
				total += info.Size()
			}
			if err == nil && (info.Mode()&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSetuid|fs.ModeSetgid) != 0) {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return err
		})
		if walkErr != nil && os.Geteuid() == 0 {
			t.Error(walkErr)
		}
		if total > limit.Bytes*int64(limit.Entries) { // hard links count each time here
			t.Errorf("%d bytes of %d", total, limit.Bytes)
		}
	})
}
