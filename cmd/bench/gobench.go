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

// goBench runs a benchmark of a package of this repository so many times over, so that
// its cases come in turns, and returns what each case reported in a unit. What only the
// package can reach is measured there.
func goBench(ctx context.Context, times int, dir, name, benchtime, unit string) (map[string]sample, error) {
	tmp, err := os.MkdirTemp("", "croft-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	binary := filepath.Join(tmp, "bench.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./"+dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the benchmarks of %s, from the repository's root: %w: %s", dir, err, out)
	}
	found := map[string]sample{}
	for range times {
		c := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.bench=^"+name+"$", "-test.benchtime="+benchtime)
		c.Dir = dir
		c.Env = append(os.Environ(), "CROFT_REQUIRE_ROOT=1") // fails where it would be left out
		out, err := c.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("running %s of %s: %w: %s", name, dir, err, out)
		}
		for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
			f := strings.Fields(s.Text())
			if len(f) == 0 {
				continue
			}
			of, mine := strings.CutPrefix(f[0], name+"/")
			for i := 2; mine && i+1 < len(f); i += 2 {
				if f[i+1] != unit {
					continue
				}
				v, err := strconv.ParseFloat(f[i], 64)
				if err != nil {
					return nil, err
				}
				if at := strings.LastIndexByte(of, '-'); at > 0 { // processors
					of = of[:at]
				}
				found[of] = append(found[of], v)
			}
		}
	}
	return found, nil
}
