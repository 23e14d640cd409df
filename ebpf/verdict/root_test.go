// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	cebpf "github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be the loader that Programs starts, and a sliver's
// process that sends.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case Command:
			os.Exit(Main())
		case "send":
			os.Exit(send(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

var loader = []string{"/proc/self/exe", Command}

// needRoot skips a test that cannot run, or fails it where CI says that it must.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 && unified() != "" {
		return
	}
	if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
		t.Fatal("CROFT_REQUIRE_ROOT=1, and this is not root, or there is no cgroup2")
	}
	t.Skip("needs root and cgroup2")
}

// unified is where cgroup2 is mounted.
func unified() string {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			return f[1]
		}
	}
	return ""
}

// node is what a test has of one: nothing of it is there afterwards.
type node struct {
	t   testing.TB
	cfg Config
	*Programs
}

func newNode(t testing.TB) *node {
	t.Helper()
	needRoot(t)
	tag := "t" + strings.ToLower(rand.Text()[:7])
	top := filepath.Join(unified(), "croft-"+tag)
	n := &node{t: t, cfg: Config{Tag: tag, Loader: loader, Parent: top}}
	t.Cleanup(func() {
		if n.Programs != nil {
			n.Close()
		}
		if err := Destroy("", tag); err != nil {
			t.Error(err)
		}
		below, _ := filepath.Glob(filepath.Join(top, "*", "cgroup.procs"))
		for _, at := range append(below, filepath.Join(top, "cgroup.procs")) {
			if err := unix.Rmdir(filepath.Dir(at)); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
		}
	})
	n.open()
	return n
}

// open opens what the daemon of the node would, again after it was killed.
func (n *node) open() {
	n.t.Helper()
	if n.Programs != nil {
		n.Close()
	}
	var err error
	if n.Programs, err = Open(n.cfg); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) load(name string) Digest {
	n.t.Helper()
	d, err := n.Load(n.t.Context(), objectOf(n.t, name))
	if err != nil {
		n.t.Fatal(err)
	}
	return d
}

func (n *node) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// send sends a datagram from each source port over lo and says which were refused, and
// which did not come.
func send(ports []string) int {
	to, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, p := range ports {
		var port int
		fmt.Sscan(p, &port)
		c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, to.LocalAddr().(*net.UDPAddr))
		if err != nil {
			fmt.Println(err)
			return 1
		}
		_, err = c.Write([]byte("x"))
		c.Close()
		if err != nil && !errors.Is(err, unix.EPERM) {
			fmt.Println(err)
			return 1
		}
		if err != nil {
			fmt.Print("refused ")
			continue
		}
		// What is on lo has been received, or dropped, when it was sent.
		raw, _ := to.SyscallConn()
		got := 0
		_ = raw.Control(func(fd uintptr) {
			got, _, _ = unix.Recvfrom(int(fd), make([]byte, 10), unix.MSG_DONTWAIT)
		})
		fmt.Print(map[bool]string{true: "came ", false: "lost "}[got > 0])
	}
	return 0
}

// sends runs send in a sliver's cgroup, and in a network of its own.
func (n *node) sends(sliver string, ports ...string) string {
	n.t.Helper()
	dir, err := os.Open(filepath.Join(n.cfg.Parent, sliver))
	n.must(err)
	defer dir.Close()
	c := exec.CommandContext(n.t.Context(), "sh", append([]string{"-c", `ip link set lo up && exec /proc/$PPID/exe send "$@"`, "sh"}, ports...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	runtime.KeepAlive(dir)
	got, err := c.CombinedOutput()
	if err != nil {
		n.t.Fatalf("%v: %s", err, got)
	}
	return strings.TrimSpace(string(got))
}

func (n *node) expect(sliver, want string, ports ...string) {
	n.t.Helper()
	if got := n.sends(sliver, ports...); got != want {
		n.t.Errorf("%s sent %v: %s; want %s", sliver, ports, got, want)
	}
}

func (n *node) counted(d Digest, want Counts) {
	n.t.Helper()
	if got, err := n.Counts(d); err != nil || got != want {
		n.t.Errorf("counted %+v, %v; want %+v", got, err, want)
	}
}

// A program counts before it refuses; refuses when it is in force, for a sliver that
// was there and for one that comes; and no more when another is, or none.
func TestRootProgramJudges(t *testing.T) {
	n := newNode(t)
	n.must(n.Begin("before"))
	n.expect("before", "came came", "1001", "1002")
	odd := n.load("odd")
	n.expect("before", "came came", "1001", "1002")
	n.counted(odd, Counts{Seen: 2, Refused: 1})
	n.must(n.Enforce(&odd))
	n.must(n.Begin("after"))
	n.expect("before", "came refused came", "1001", "1002", "1003") // 3 is no verdict but that it passes
	n.expect("after", "came refused refused", "1001", "1002", "1004")
	n.counted(odd, Counts{Seen: 8, Refused: 4})
	for sliver, want := range map[string]uint64{"before": 1, "after": 2, "nobody": 0} {
		if got, err := n.Refused(sliver); err != nil || got != want {
			t.Errorf("%s: %d refused, %v; want %d", sliver, got, err, want)
		}
	}
	none := n.load("none")
	n.expect("after", "came refused", "1001", "1002")
	n.counted(none, Counts{Seen: 3, Refused: 3}) // on both ways; of 1002 there was nothing to receive
	n.must(n.Enforce(&none))
	n.must(n.Keep(nil))
	n.expect("after", "refused refused", "1001", "1002")
	if _, err := n.Counts(odd); !errors.Is(err, ErrUnknown) {
		t.Errorf("what was dropped is counted: %v", err)
	}
	n.must(n.Enforce(nil))
	n.expect("after", "came came", "1001", "1002")
	n.must(n.Keep(nil))
	if err := n.Enforce(&none); !errors.Is(err, ErrUnknown) {
		t.Errorf("what is not there is in force: %v", err)
	}
}

// What is in force stays so while the daemon is dead, and the next one knows of it and
// gives it to slivers that come.
func TestRootProgramOutlivesTheDaemon(t *testing.T) {
	n := newNode(t)
	n.must(n.Begin("first"))
	none, odd := n.load("none"), n.load("odd")
	n.must(n.Enforce(&none))
	n.Close()
	n.expect("first", "refused", "1001")
	n.Programs = nil
	n.open()
	if got := n.Enforced(); got == nil || *got != none {
		t.Fatalf("in force: %v", got)
	}
	n.must(n.Begin("first"))
	n.must(n.Begin("second"))
	n.expect("first", "refused", "1001")
	n.expect("second", "refused", "1001")
	n.counted(odd, Counts{Seen: 3})

	// A sliver restarts, in a new cgroup.
	n.must(os.Remove(filepath.Join(n.cfg.Parent, "second")))
	n.must(os.Mkdir(filepath.Join(n.cfg.Parent, "second"), 0o755))
	n.expect("second", "refused", "1001")

	// All end while nobody is there, and one comes: in another cgroup, with one above.
	n.Close()
	for _, name := range []string{"first", "second", ""} {
		n.must(os.Remove(filepath.Join(n.cfg.Parent, name)))
	}
	n.Programs = nil
	n.open()
	n.must(n.Begin("third"))
	n.expect("third", "refused", "1001")
	n.End("third")
	n.End("third")
	if _, err := os.Stat(n.cfg.Parent); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left: %v", err)
	}
	n.must(n.Begin("fourth"))
	n.expect("fourth", "refused", "1001")

	// One that a crash left half pinned goes.
	n.Close()
	n.must(os.Remove(filepath.Join(n.home(odd), "force")))
	n.Programs = nil
	n.open()
	if _, err := n.Counts(odd); !errors.Is(err, ErrUnknown) {
		t.Errorf("half a program is there: %v", err)
	}

	// What is nothing of this node's goes, and a map of another form with what has it.
	odd = n.load("odd")
	n.Close()
	n.must(os.Mkdir(filepath.Join(n.dir, "other"), 0o700))
	n.must(os.Remove(filepath.Join(n.home(odd), "force")))
	narrow, err := cebpf.NewMap(&cebpf.MapSpec{Type: cebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	n.must(err)
	n.must(errors.Join(narrow.Pin(filepath.Join(n.home(odd), "force")), narrow.Close()))
	n.Programs = nil
	n.open()
	if _, err := n.Counts(odd); !errors.Is(err, ErrUnknown) {
		t.Errorf("a program with another map is there: %v", err)
	}
	if left, _ := os.ReadDir(n.dir); len(left) != 1 || left[0].Name() != none.String() {
		t.Errorf("left: %v", left)
	}
	if got := n.Enforced(); got == nil || *got != none {
		t.Errorf("in force: %v", got)
	}
}

// What the static look lets through, the kernel refuses, as it does not trust the
// loader with its pointers; and no object does anything to the daemon.
func TestRootProgramVerified(t *testing.T) {
	n := newNode(t)
	verified := map[string]string{
		"overwrite": "cannot write into packet",
		"beyond":    "invalid access to packet",
		"leak":      "leaks addr into map",
	}
	for name, why := range refused {
		verified[name] = why
	}
	verified["long"] = "instructions, at most"
	for name, why := range verified {
		if _, err := n.Load(t.Context(), objectOf(t, name)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v; want %q", name, err, why)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(n.dir, "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// There is a bound on programs, and who is not let load is told.
func TestRootProgramsBounded(t *testing.T) {
	n := newNode(t)
	object := objectOf(t, "none")
	for i := range MaxPrograms {
		if _, err := n.Load(t.Context(), append(object, make([]byte, i)...)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Load(t.Context(), objectOf(t, "odd")); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	n.must(n.Keep(nil))
	n.load("odd")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Load(ctx, object); !errors.Is(err, context.Canceled) || errors.Is(err, ErrProgram) {
		t.Errorf("loaded for nobody, or its fault: %v", err)
	}
}

// While an object is read and verified everything else goes on; who gives up on it, or
// another's end, is not its fault, and that it takes too long is.
func TestRootProgramsGoOnWhileOneLoads(t *testing.T) {
	n := newNode(t)
	n.must(n.Begin("first"))
	odd := n.load("odd")
	n.Programs.cfg.Loader = []string{"sleep", "60"}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 2)
	go func() { _, err := n.Load(ctx, objectOf(t, "none")); over <- err }()
	go func() { _, err := n.Load(t.Context(), objectOf(t, "leak")); over <- err }()
	n.must(n.Enforce(&odd))
	if again, err := n.Load(t.Context(), objectOf(t, "odd")); err != nil || again != odd {
		t.Errorf("what is loaded: %v", err)
	}
	n.must(n.Begin("second"))
	n.expect("second", "came refused", "1001", "1002")
	n.counted(odd, Counts{Seen: 2, Refused: 1})
	if len(over) > 0 {
		t.Fatal("nothing was loading")
	}
	cancel()
	if err := <-over; !errors.Is(err, context.Canceled) || errors.Is(err, ErrProgram) {
		t.Errorf("given up: %v", err)
	}
	if err := <-over; !errors.Is(err, ErrProgram) {
		t.Errorf("too slow: %v", err)
	}
}
