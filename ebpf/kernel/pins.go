// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"

	"croft/ebpf"
)

const (
	bpffs = "/sys/fs/bpf"
	links = "links" // directory of link pins below a node's
)

var tagForm = regexp.MustCompile(`^[a-z0-9-]{1,16}$`)

// pinDir returns where a node's objects are pinned.
func pinDir(root, tag string) (string, error) {
	if !tagForm.MatchString(tag) {
		return "", fmt.Errorf("tag %.20q: want 1 to 16 of a-z, 0-9 and dash: %w", tag, ebpf.ErrField)
	}
	if root == "" {
		root = bpffs
	}
	return filepath.Join(root, "croft-"+tag), nil
}

// needBPFFS mounts the bpf file system where it belongs when it is not there.
func needBPFFS(root string) error {
	if root == "" {
		root = bpffs
	}
	missing := func(err error) error {
		if errors.Is(err, os.ErrPermission) {
			return explain("mounting "+root, err)
		}
		return &FeatureError{"the bpf file system", "mount -t bpf bpf " + root, err}
	}
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil {
		return missing(err)
	}
	if uint32(st.Type) == unix.BPF_FS_MAGIC {
		return nil
	}
	if err := unix.Mount("bpf", root, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return missing(err)
	}
	return nil
}

func (g *Guard) linkPin(sliver string, d ebpf.Direction) string {
	return filepath.Join(g.dir, links, sliver+"-"+d.String()) // the file system has no names with dots
}

// Destroy removes everything that is pinned for a tag, also what a crash left.
// Whoever calls it has taken the slivers' veths away: what is left of them is
// guarded no longer. It is idempotent.
func Destroy(root, tag string) error {
	dir, err := pinDir(root, tag)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return explain("removing "+dir, err)
	}
	return nil
}
