// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"croft/lease"
	"croft/sandbox"
)

func TestParseLayout(t *testing.T) {
	for _, c := range []struct {
		mode string
		want sandbox.CgroupMode
		dirs []string
	}{
		{"v1", sandbox.CgroupV1, []string{"/sys/fs/cgroup/blkio/x", "/sys/fs/cgroup/cpu,cpuacct/x", "/sys/fs/cgroup/devices/x",
			"/sys/fs/cgroup/freezer/x", "/sys/fs/cgroup/memory/x", "/sys/fs/cgroup/pids/x", "/sys/fs/cgroup/systemd/x"}},
		{"v2", sandbox.CgroupV2, []string{"/sys/fs/cgroup/x"}},
		{"hybrid", sandbox.CgroupHybrid, []string{"/sys/fs/cgroup/blkio/x", "/sys/fs/cgroup/cpu/x", "/sys/fs/cgroup/cpuacct/x", "/sys/fs/cgroup/cpuset/x",
			"/sys/fs/cgroup/devices/x", "/sys/fs/cgroup/freezer/x", "/sys/fs/cgroup/memory/x", "/sys/fs/cgroup/pids/x", "/sys/fs/cgroup/systemd/x", "/sys/fs/cgroup/unified/x"}},
	} {
		l := layout(t, c.mode)
		if l.Mode != c.want {
			t.Errorf("%s: mode %s", c.mode, l.Mode)
		}
		if got := l.Dirs("/x"); !slices.Equal(got, c.dirs) {
			t.Errorf("%s: directories %v, want %v", c.mode, got, c.dirs)
		}
		if err := l.Check(rset(t, "cpu=100 memory=64MiB pids=10 io=1MiB")); err != nil {
			t.Errorf("%s: %v", c.mode, err)
		}
	}
}

func TestLayoutNamesWhatIsMissing(t *testing.T) {
	none := sandbox.ParseLayout("proc /proc proc rw 0 0\n", "")
	if err := none.Check(lease.RSet{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("no cgroups at all: %v", err)
	}
	l := layout(t, "v2")
	l.Enabled = slices.DeleteFunc(l.Enabled, func(s string) bool { return s == "pids" })
	err := l.Check(lease.RSet{})
	if missing := (*sandbox.Missing)(nil); !errors.As(err, &missing) || !strings.Contains(missing.Feature, "pids") {
		t.Errorf("no pids controller: %v", err)
	}
}

func TestLayoutUnescapesMounts(t *testing.T) {
	l := sandbox.ParseLayout(`cgroup2 /my\040groups cgroup2 rw 0 0`, "cpu\n")
	if l.Unified != "/my groups" {
		t.Errorf("mount point %q", l.Unified)
	}
}
