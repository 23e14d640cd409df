// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"croft/sandbox"
)

// MinVersion is the oldest runc that has the fixes of CVE-2025-31133,
// CVE-2025-52565 and CVE-2025-52881: each lets a container out.
const MinVersion = "1.2.8"

// Find returns the first of the candidates, or runc on the PATH, that is runc
// at [MinVersion] or later; the caller sets Root. None is a [sandbox.Missing].
func Find(ctx context.Context, candidates ...string) (Runc, error) {
	seen := "none found"
	for _, c := range append(candidates, "runc") {
		if c == "" {
			continue
		}
		path, err := exec.LookPath(c)
		if err != nil {
			continue
		}
		version, err := Version(ctx, path)
		if err != nil {
			seen = err.Error()
			continue
		}
		if newEnough(version, MinVersion) {
			return Runc{Path: path}, nil
		}
		seen = fmt.Sprintf("%s is runc %s", path, version)
	}
	return Runc{}, &sandbox.Missing{Feature: "runc " + MinVersion + " or later", Needs: "scripts/build-runc makes one (" + seen + ")"}
}

// Version asks a runc for its version.
func Version(ctx context.Context, path string) (string, error) {
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env = os.Environ()
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", path, err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	version, ok := strings.CutPrefix(first, "runc version ")
	if !ok {
		return "", fmt.Errorf("%s is not runc: %.60q", path, first)
	}
	return strings.TrimSpace(version), nil
}

// newEnough compares the numbers of two versions; a pre-release (1.2.8-rc.1)
// and a distribution's suffix (1.1.5+ds1) count as the release.
func newEnough(have, want string) bool {
	var h, w [3]int
	scanVersion(have, &h)
	scanVersion(want, &w)
	for i := range h {
		if h[i] != w[i] {
			return h[i] > w[i]
		}
	}
	return true
}

func scanVersion(s string, out *[3]int) {
	// A version that ends early leaves zeros, which is what it means.
	_, _ = fmt.Sscanf(s, "%d.%d.%d", &out[0], &out[1], &out[2])
}
