// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"croft/sandbox"
	"croft/sandbox/swarm"
)

// program is what a person wants to run: a file of this machine, and how.
type program struct {
	sandbox.Program
	bytes   io.ReaderAt
	sums    swarm.Sums // of its pieces
	private bool       // nodes do not pass it on
	file    *os.File
}

func (p *program) close() { p.file.Close() }

// openProgram looks at a file and says what it is: one static binary, or a
// root file system as a tar.
func openProgram(path string, args []string) (*program, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usage("a static binary, or a root file system as a tar", "no file %q", path)
	}
	if err != nil {
		return nil, err
	}
	p, err := lookAt(f, path, args)
	if err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

func lookAt(f *os.File, path string, args []string) (*program, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, usage("a static binary, or a root file system as a tar", "%s is not a file", path)
	}
	p := &program{bytes: f, file: f}
	p.Size = st.Size()
	if p.sums, p.Blob, err = swarm.Sum(bufio.NewReaderSize(f, 1<<20), p.Size); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if p.Kind, err = kindOf(f); err != nil {
		return nil, usage(hintOf(err), "%s: %w", path, err)
	}
	switch {
	case p.Kind == sandbox.Binary:
		p.Args = append([]string{filepath.Base(path)}, args...)
	case len(args) == 0:
		return nil, usage("croft run "+path+" -- COMMAND…", "a root file system needs a command")
	default:
		p.Args = args
	}
	p.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "TERM=xterm"}
	return p, p.Check()
}

// kindOf reads the first bytes of a file.
func kindOf(f *os.File) (sandbox.ProgramKind, error) {
	head := make([]byte, 512)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		return sandbox.Binary, static(f)
	case len(head) > 262 && bytes.Equal(head[257:262], []byte("ustar")),
		bytes.HasPrefix(head, []byte{0x1f, 0x8b}),             // gzip
		bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}): // zstd
		return sandbox.RootFS, nil
	}
	return "", errors.New("neither an ELF binary nor a tar")
}

var errDynamic = errors.New("the binary is linked dynamically, and a sliver has no libraries of its own")

// hintOf says what to do about a file that cannot run.
func hintOf(err error) string {
	if errors.Is(err, errDynamic) {
		return "build it static (Go: CGO_ENABLED=0 go build; C: cc -static), or pack it with its libraries: tar -cf root.tar -C DIR . && croft run root.tar -- /path/in/it"
	}
	return "a static binary, or a root file system as a tar"
}

// static refuses a binary that wants a loader, which an empty root has not.
func static(f *os.File) error {
	e, err := elf.NewFile(f)
	if err != nil {
		return err
	}
	for _, p := range e.Progs {
		if p.Type == elf.PT_INTERP {
			return errDynamic
		}
	}
	return nil
}
