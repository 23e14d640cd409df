// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"croft/lease"
)

// CgroupMode is how the cgroup file systems of a machine are arranged.
type CgroupMode string

const (
	CgroupNone   CgroupMode = "none"
	CgroupV1     CgroupMode = "v1"
	CgroupV2     CgroupMode = "v2"
	CgroupHybrid CgroupMode = "hybrid" // controllers on v1, and a cgroup2 beside them
)

// Layout is where the cgroup hierarchies of a machine are mounted.
type Layout struct {
	Mode        CgroupMode
	Unified     string            // mount point of cgroup2, if there is one
	Controllers map[string]string // v1 controller (or "name=systemd") to mount point
	Enabled     []string          // controllers of cgroup2, sorted
}

// ParseLayout reads /proc/mounts and, for cgroup2, the file cgroup.controllers
// of its root: /proc/cgroups leaves out controllers that have no v1 form. The
// first mount of a hierarchy counts, as it does for runc.
func ParseLayout(mounts, controllers string) Layout {
	l := Layout{Mode: CgroupNone, Controllers: map[string]string{}}
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		where := unescapeMount(f[1])
		switch f[2] {
		case "cgroup2":
			if l.Unified == "" {
				l.Unified = where
			}
		case "cgroup":
			for opt := range strings.SplitSeq(f[3], ",") {
				if _, known := l.Controllers[opt]; !known && (controllerName(opt) || strings.HasPrefix(opt, "name=")) {
					l.Controllers[opt] = where
				}
			}
		}
	}
	l.Enabled = strings.Fields(controllers)
	slices.Sort(l.Enabled)
	switch v1 := len(l.Controllers) > 0; {
	case v1 && l.Unified != "":
		l.Mode = CgroupHybrid
	case v1:
		l.Mode = CgroupV1
	case l.Unified != "":
		l.Mode = CgroupV2
	}
	return l
}

func controllerName(s string) bool {
	switch s {
	case "cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "devices", "freezer",
		"net_cls", "net_prio", "perf_event", "hugetlb", "rdma", "misc":
		return true
	}
	return false
}

// unescapeMount undoes the octal escapes of /proc/mounts.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// Has reports whether the machine can hold slivers to the named v1 controller,
// or to what it became in v2.
func (l Layout) Has(controller string) bool {
	if l.Mode == CgroupV2 {
		switch controller {
		case "freezer", "devices": // part of v2 itself
			return true
		case "blkio":
			controller = "io"
		case "cpuacct":
			controller = "cpu"
		}
		return slices.Contains(l.Enabled, controller)
	}
	_, ok := l.Controllers[controller]
	return ok
}

// Check reports the first controller without which a leased rset cannot be
// held, as a [Missing].
func (l Layout) Check(r lease.RSet) error {
	if l.Mode == CgroupNone {
		return &Missing{"a cgroup file system", "mount cgroup2 at /sys/fs/cgroup"}
	}
	for _, c := range []struct {
		name string
		want bool
	}{{"cpu", true}, {"memory", true}, {"pids", true}, {"freezer", true}, {"devices", true}, {"blkio", r[lease.IO] > 0}} {
		if c.want && !l.Has(c.name) {
			return &Missing{"cgroup controller " + c.name, fmt.Sprintf("a kernel with it, and in /proc/mounts on a %s layout", l.Mode)}
		}
	}
	return nil
}

// Mounts returns every hierarchy's mount point once, sorted.
func (l Layout) Mounts() []string {
	var dirs []string
	if l.Unified != "" {
		dirs = append(dirs, l.Unified)
	}
	for _, dir := range l.Controllers {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs) // the map's order ends here
	return slices.Compact(dirs)
}

// Dirs returns the directory of a cgroup in every hierarchy.
func (l Layout) Dirs(cgroup string) []string {
	dirs := l.Mounts()
	for i := range dirs {
		dirs[i] = path.Join(dirs[i], cgroup)
	}
	return dirs
}

// Parent is the cgroup above all slivers of the node with this tag, Cgroup that
// of one sliver and WardenCgroup that of its warden: beside it, since a process
// of cgroup2 lives in leaves only.
func Parent(tag string) string               { return "/croft-" + tag }
func Cgroup(tag, sliver string) string       { return Parent(tag) + "/" + sliver }
func WardenCgroup(tag, sliver string) string { return Parent(tag) + "/warden-" + sliver }
