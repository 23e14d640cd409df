// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/release"
	"croft/sandbox"
	"croft/sandbox/oci"
)

// TestRootUpdates has a node with a running sliver take a release over, and refuse or
// give up those that are not signed, not newer, not whole, end or hang. Through all of it
// the sliver's process, its lease and the node's process stay what they were. Builds that
// fail are scripts which tell the version that they should.
func TestRootUpdates(t *testing.T) {
	if testing.Short() {
		t.Skip("two minutes, most of them for a build that hangs")
	}
	u := &updating{t: t, n: newNode(t)}
	u.n.configure(fmt.Sprintf("[updates]\npublishers = [%q, %q]\nneed = 2\n", leasetest.Who("ann"), leasetest.Who("bob")))
	u.n.start()
	u.employ()
	good, next := u.build("0.2.0"), u.script("0.3.0", "exit 1")

	u.refused("a build that says another version", "does not start as it should", u.text("0.1.5", next, "ann", "bob"), next)
	u.refused("one publisher of two", "not signed by enough", u.text("0.2.0", good, "ann"), good)
	u.refused("a stranger's signature", "not signed by enough", u.text("0.2.0", good, "ann", "eve"), good)
	u.refused("another text under the signatures", "not signed by enough", strings.Replace(u.text("0.2.0", good, "ann", "bob"), "version 0.2.0", "version 0.2.1", 1), good)
	u.refused("a lower version", "lower than what was released before", u.text("0.0.9", good, "ann", "bob"), good)
	release2 := u.text("0.2.0", good, "ann", "bob")
	u.refused("a truncated file", "not", release2, good[:len(good)-1])
	u.refused("a file of the right size", "not the build of the release", release2, append(bytes.Clone(good[:len(good)-1]), ^good[len(good)-1]))
	u.refused("another build of the same version", "another release of the same version", u.text("0.2.0", next, "ann", "bob"), next)
	u.fullDisk(release2, good)

	u.begin(release2, good)
	u.n.eventually("the release is on trial", func() bool { return u.version() == "0.2.0" })
	u.n.kill() // watcher and watched
	u.n.eventually("the trial ended with its watcher", func() bool { return !u.onShelf() })
	u.n.start()
	u.same("after a trial was interrupted", "0.1.0")
	u.failed("0.2.0", "interrupted")

	u.pid = u.n.daemon.Process.Pid
	u.begin(release2, good)
	u.current("0.2.0", 60*time.Second)
	u.same("after the update", "0.2.0")
	u.refused("what was released before", "lower than", u.text("0.1.9", good, "ann", "bob"), good)

	u.begin(u.text("0.3.0", next, "ann", "bob"), next)
	u.gaveUp("0.3.0", "it ended", 30*time.Second)
	u.same("after one that ends", "0.2.0")

	hangs := u.script("0.4.0", "while :; do sleep 1; done")
	u.begin(u.text("0.4.0", hangs, "ann", "bob"), hangs)
	u.gaveUp("0.4.0", "not healthy within", 150*time.Second)
	u.same("after one that hangs", "0.2.0")

	u.wish(api.UpdateWish{Do: "rollback"})
	u.n.eventually("what was installed runs again", func() bool { return u.version() == "0.1.0" })
	u.same("after going back", "0.1.0")
	u.customer.close(t.Context(), u.lease)
	u.n.eventually("the sliver is gone", func() bool { return len(u.n.slivers()) == 0 })
	u.n.interrupt()
	u.n.run("net", "destroy", "--state", u.n.state)
	u.n.nothingLeft()
}

// configure adds a table to the node's configuration.
func (n *node) configure(table string) {
	n.t.Helper()
	f, err := os.OpenFile(filepath.Join(n.state, "croft.toml"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(table)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

// updating is a node that is updated while it has a sliver.
type updating struct {
	t        *testing.T
	n        *node
	customer *customer
	lease    *held
	sliver   string
	first    int // the sliver's process
	pid      int // the daemon's
}

// employ has a sliver run.
func (u *updating) employ() {
	u.t.Helper()
	ctx := u.t.Context()
	u.pid = u.n.daemon.Process.Pid
	u.customer = newCustomer(u.t, u.n)
	if u.lease = u.customer.lease(ctx); u.lease == nil {
		u.t.Fatal("no lease")
	}
	if err := u.customer.send(ctx); err != nil {
		u.t.Fatal(err)
	}
	if a, err := u.customer.node.Activate(ctx, u.lease.id, u.customer.program); err != nil || a.Refusal != nil {
		u.t.Fatalf("%+v, %v", a.Refusal, err)
	}
	u.n.eventually("the sliver runs", func() bool {
		list, err := u.customer.node.Slivers(ctx)
		return err == nil && len(list) == 1 && list[0].Run == "running"
	})
	u.sliver = u.n.slivers()[0]
	u.first = u.process()
}

// process is the first process of the sliver.
func (u *updating) process() int {
	u.t.Helper()
	groups, err := oci.HostCgroups()
	if err != nil {
		u.t.Fatal(err)
	}
	pids, err := groups.Procs(sandbox.Cgroup(u.n.tag, u.sliver))
	if err != nil || len(pids) == 0 {
		u.t.Fatalf("the sliver has no process: %v", err)
	}
	return slices.Min(pids)
}

// same checks that nothing has happened but that a version runs.
func (u *updating) same(when, version string) {
	u.t.Helper()
	if got := u.version(); got != version {
		u.t.Errorf("%s: %s runs, want %s", when, got, version)
	}
	if pid := u.process(); pid != u.first {
		u.t.Errorf("%s: the sliver's process is %d, and was %d", when, pid, u.first)
	}
	books, err := u.n.way.Books(u.t.Context())
	if err != nil || !slices.ContainsFunc(books, func(c api.Claim) bool {
		return c.Lease == u.lease.id && c.Sliver == u.sliver && c.Until == u.lease.until
	}) {
		u.t.Errorf("%s: the lease is not what it was: %+v, %v", when, books, err)
	}
	select {
	case <-u.n.ended:
		u.t.Fatalf("%s: the daemon's process %d has ended", when, u.pid)
	default:
	}
}

func (u *updating) version() string {
	st, err := u.n.way.Status(u.t.Context())
	if err != nil {
		return err.Error()
	}
	return st.Version
}

// build is this tree's program under another version.
func (u *updating) build(version string) []byte {
	u.t.Helper()
	path := filepath.Join(u.t.TempDir(), "croft")
	c := exec.Command("go", "build", "-trimpath", "-ldflags", "-X croft/node/daemon.Version="+version, "-o", path, "croft/cmd/croft")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		u.t.Fatalf("building %s: %v: %s", version, err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		u.t.Fatal(err)
	}
	return b
}

// script is a build that tells its version, and else does something.
func (u *updating) script(version, does string) []byte {
	return fmt.Appendf(nil, "#!/bin/sh\n[ \"$1\" = --version ] && echo croft %s && exit 0\n%s\n", version, does)
}

// text is a release with one build, signed by some.
func (u *updating) text(version string, build []byte, by ...string) string {
	u.t.Helper()
	v, err := release.ParseVersion(version)
	if err != nil {
		u.t.Fatal(err)
	}
	now := time.Now().Truncate(time.Second)
	s, err := release.New(release.Release{Version: v, Said: now, Until: now.Add(time.Hour),
		Builds: []release.Build{{Platform: runtime.GOOS + "/" + runtime.GOARCH, Size: int64(len(build)), Digest: lease.Digest(sha256.Sum256(build))}}})
	for _, who := range by {
		if err == nil {
			s, err = s.Sign(leasetest.Key(who))
		}
	}
	if err != nil {
		u.t.Fatal(err)
	}
	return string(s.Text())
}

func (u *updating) apply(text string, build []byte) (api.Update, error) {
	u.t.Helper()
	path := filepath.Join(u.t.TempDir(), "build")
	if err := os.WriteFile(path, build, 0o600); err != nil {
		u.t.Fatal(err)
	}
	return u.n.way.Update(u.t.Context(), api.UpdateWish{Do: "apply", Release: text, Binary: path})
}

// refused applies what is not to be run.
func (u *updating) refused(what, why, text string, build []byte) {
	u.t.Helper()
	if got, err := u.apply(text, build); err == nil || !strings.Contains(err.Error(), why) {
		u.t.Errorf("%s: %+v, %v; want %q", what, got, err, why)
	}
	u.same(what, u.version())
	if list, _ := filepath.Glob(filepath.Join(u.n.state, "versions", ".partial*")); len(list) > 0 {
		u.t.Errorf("%s: it leaves %q", what, list)
	}
}

// fullDisk has the builds on a disk that has no room for one.
func (u *updating) fullDisk(text string, build []byte) {
	u.t.Helper()
	dir := filepath.Join(u.n.state, "versions")
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		u.t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			u.t.Errorf("unmounting: %v", err)
		}
	}()
	u.refused("a full disk", "no space left on device", text, build)
}

func (u *updating) wish(w api.UpdateWish) {
	u.t.Helper()
	if _, err := u.n.way.Update(u.t.Context(), w); err != nil {
		u.t.Fatal(err)
	}
}

func (u *updating) begin(text string, build []byte) {
	u.t.Helper()
	if got, err := u.apply(text, build); err != nil || !got.Begun {
		u.t.Fatalf("%+v, %v", got, err)
	}
}

// current waits until a release is taken over: the daemon runs from the shelf, in the
// process in which it did.
func (u *updating) current(version string, limit time.Duration) {
	u.t.Helper()
	u.within(limit, version+" is current", func() bool {
		got, err := u.n.way.Updates(u.t.Context())
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", u.pid))
		return err == nil && got.Running == version && len(got.Failed) == 0 && strings.Contains(exe, "/versions/"+version+"-")
	})
}

// gaveUp waits until a release has failed, and the process is again what watched it.
func (u *updating) gaveUp(version, why string, limit time.Duration) {
	u.t.Helper()
	u.within(limit, version+" is given up", func() bool {
		got, err := u.n.way.Updates(u.t.Context())
		return err == nil && len(got.Failed) > 0 && got.Failed[len(got.Failed)-1].Version == version
	})
	u.failed(version, why)
}

func (u *updating) failed(version, why string) {
	u.t.Helper()
	got, err := u.n.way.Updates(u.t.Context())
	if err != nil || !slices.ContainsFunc(got.Failed, func(f api.FailedRelease) bool { return f.Version == version && strings.Contains(f.Why, why) }) {
		u.t.Errorf("%s: %+v, %v; want %q", version, got.Failed, err, why)
	}
}

// within is eventually, for what takes longer.
func (u *updating) within(limit time.Duration, what string, is func() bool) {
	u.t.Helper()
	late := time.NewTimer(limit)
	defer late.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-u.n.ended:
			u.t.Fatalf("the daemon's process has ended; not yet: %s", what)
		case <-late.C:
			u.t.Fatalf("not in %s: %s", limit, what)
		}
	}
}

// onShelf reports whether a process runs a build of the shelf.
func (u *updating) onShelf() bool {
	list, _ := filepath.Glob("/proc/[0-9]*/exe")
	return slices.ContainsFunc(list, func(p string) bool {
		exe, _ := os.Readlink(p)
		return strings.HasPrefix(exe, filepath.Join(u.n.state, "versions")+"/")
	})
}
