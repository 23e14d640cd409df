// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// roles is what it costs that others than the built-in may answer: the benchmark of
// package node/daemon, several times over, so that its cases come in turns.
func (b *bench) roles(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "croft-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "daemon.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./node/daemon").CombinedOutput(); err != nil {
		return fmt.Errorf("building the daemon's benchmark, from the repository's root: %w: %s", err, out)
	}
	found := map[string]sample{}
	for range b.rounds(9, 3) {
		c := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.bench=^BenchmarkRole$", "-test.benchtime=200x")
		c.Dir = "node/daemon"
		out, err := c.CombinedOutput()
		if err != nil {
			return fmt.Errorf("running the daemon's benchmark: %w: %s", err, out)
		}
		for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
			name, rest, ok := strings.Cut(s.Text(), " ")
			name, mine := strings.CutPrefix(name, "BenchmarkRole/")
			f := strings.Fields(rest)
			if !ok || !mine || len(f) < 3 || f[2] != "ns/op" {
				continue
			}
			v, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				return err
			}
			if at := strings.LastIndexByte(name, '-'); at > 0 {
				name = name[:at]
			}
			found[name] = append(found[name], v/1e6)
		}
	}
	for _, c := range []struct{ name, what, base, beside string }{
		{"builtin", "find of 100 nodes by the role's messages", "direct", "the built-in, called directly"},
		{"socket", "… by a tenant at its socket", "builtin", "by the role's messages"},
		{"python", "… by the finder in Python", "builtin", "by the role's messages"},
		{"shadowed", "… with that as a challenger", "builtin", "by the role's messages"},
		{"fallback", "… after who hung up", "builtin", "by the role's messages"},
	} {
		if len(found[c.name]) == 0 || len(found[c.base]) == 0 {
			return fmt.Errorf("the daemon's benchmark has no %s", c.name)
		}
		b.add(against(c.what, "ms", found[c.name], c.beside, found[c.base], nil, ""))
	}
	return nil
}
