// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	cebpf "github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"croft/ebpf"
)

func TestErrorsHaveTypes(t *testing.T) {
	if explain("x", nil) != nil {
		t.Error("no error became one")
	}
	var feature *FeatureError
	if err := explain("x", cebpf.ErrNotSupported); !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &feature) || feature.Need == "" {
		t.Errorf("unsupported: %v", err)
	}
	if err := explain("x", unix.EPERM); !errors.Is(err, ErrPrivilege) || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("not permitted: %v", err)
	}
	if err := explain("x", cebpf.ErrMapIncompatible); !errors.Is(err, ErrIncompatible) {
		t.Errorf("incompatible: %v", err)
	}
}

func TestOpenRefusesBadConfig(t *testing.T) {
	for _, tag := range []string{"", "../x", "UPPER", "a-very-long-name-for-a-tag"} {
		if _, err := Open(Config{Tag: tag}); !errors.Is(err, ebpf.ErrField) {
			t.Errorf("tag %q: %v", tag, err)
		}
		if err := Destroy("", tag); !errors.Is(err, ebpf.ErrField) {
			t.Errorf("destroying tag %q: %v", tag, err)
		}
	}
	if _, err := Open(Config{Tag: "abc234", Opened: []netip.Prefix{{}}}); !errors.Is(err, ebpf.ErrField) {
		t.Errorf("range: %v", err)
	}
}

func TestRootBPFFSIsMountedOrNamed(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	if _, err := Open(Config{Tag: testTag(), BPFFS: missing}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("no directory to mount on: %v, want an unsupported error", err)
	}
	tag := testTag()
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	g, err := Open(Config{Tag: tag, BPFFS: dir})
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Statfs_t
	if err := errors.Join(unix.Statfs(dir, &st), g.Close()); err != nil || st.Type != unix.BPF_FS_MAGIC {
		t.Errorf("file system type %#x, %v", st.Type, err)
	}
	if err := Destroy(dir, tag); err != nil {
		t.Error(err)
	}
}

func TestRootDestroyLeavesNothing(t *testing.T) {
	w := newWorld(t, Config{})
	at, own, _ := w.NewPort("gone")
	if err := w.guard.Attach(t.Context(), at, ebpf.Limits{Egress: wide, Ingress: wide, Source4: own.Source4, MAC: own.MAC, Deadline: 1 << 62}); err != nil {
		t.Fatal(err)
	}
	dir := w.guard.dir
	if names, err := os.ReadDir(filepath.Join(dir, links)); err != nil || len(names) != 2 {
		t.Fatalf("%d link pins, %v", len(names), err)
	}
	if err := w.guard.Detach(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if names, err := os.ReadDir(filepath.Join(dir, links)); err != nil || len(names) != 0 {
		t.Fatalf("%d link pins after detach, %v", len(names), err)
	}
	if err := w.guard.Drain(t.Context(), func(ebpf.Epoch) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*cebpf.Map{"limits": w.guard.objects.Limits, "meters": w.guard.objects.Meters, "tenures": w.guard.objects.Tenures} {
		var k, v []byte
		if all := m.Iterate(); all.Next(&k, &v) || all.Err() != nil {
			t.Errorf("%s is not empty, %v", name, all.Err())
		}
	}
	for range 2 {
		if err := Destroy("", w.cfg.Tag); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", dir, err)
	}
}

func TestRootClosedGuardSaysSo(t *testing.T) {
	g := openGuard(t, Config{})
	if err := errors.Join(g.Close(), g.Close()); err != nil {
		t.Fatal(err)
	}
	if err := g.Detach(t.Context(), "x"); !errors.Is(err, ErrClosed) {
		t.Errorf("detach: %v", err)
	}
	if err := g.Drain(t.Context(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("drain: %v", err)
	}
}
