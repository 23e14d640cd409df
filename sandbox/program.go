// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"path"
	"strings"

	"croft/lease"
)

// ProgramKind says what the blob of a program is.
type ProgramKind string

const (
	RootFS ProgramKind = "rootfs" // a tar of a root file system, plain, gzip or zstd
	Binary ProgramKind = "binary" // one static executable
)

// Program is what runs in a sliver.
type Program struct {
	Kind ProgramKind  `json:"kind"`
	Blob lease.Digest `json:"blob"`
	Size int64        `json:"size"` // bytes of the blob
	Args []string     `json:"args"` // of a binary, base(Args[0]) is its name in /bin
	Env  []string     `json:"env,omitempty"`
	Cwd  string       `json:"cwd,omitempty"` // absolute; empty is /
}

// BinaryName is the name that a static binary gets in /bin of its root.
func (p Program) BinaryName() string {
	if len(p.Args) == 0 {
		return ""
	}
	return path.Base(p.Args[0])
}

// Check reports what is impossible about a program, as [ErrProgram].
func (p Program) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrProgram}, args...)...)
	}
	switch {
	case p.Kind != RootFS && p.Kind != Binary:
		return bad("kind %q, want rootfs or binary", p.Kind)
	case p.Blob.IsZero():
		return bad("no blob")
	case p.Size <= 0:
		return bad("size %d", p.Size)
	case len(p.Args) == 0 || p.Args[0] == "":
		return bad("no command")
	case p.Cwd != "" && !path.IsAbs(p.Cwd):
		return bad("working directory %q is not absolute", p.Cwd)
	}
	if p.Kind == Binary {
		if name := p.BinaryName(); name == "." || name == ".." || name == "/" || len(name) > 200 {
			return bad("%q cannot be the name of a binary", name)
		}
	}
	if err := checkWords(p.Args, p.Env, p.Cwd); err != nil {
		return bad("%v", err)
	}
	return nil
}

func checkWords(args, env []string, cwd string) error {
	if len(args) > MaxArgs || len(env) > MaxEnv {
		return fmt.Errorf("%d arguments and %d variables, at most %d and %d", len(args), len(env), MaxArgs, MaxEnv)
	}
	total := len(cwd)
	for _, list := range [][]string{args, env, {cwd}} {
		for _, w := range list {
			if total += len(w); len(w) > MaxWord || total > MaxWords {
				return fmt.Errorf("arguments and variables are too long: at most %d bytes each, %d together", MaxWord, MaxWords)
			}
			if strings.ContainsRune(w, 0) {
				return fmt.Errorf("a zero byte in an argument or variable")
			}
		}
	}
	for _, v := range env {
		if i := strings.IndexByte(v, '='); i <= 0 {
			return fmt.Errorf("variable %q is not NAME=value", v)
		}
	}
	return nil
}
