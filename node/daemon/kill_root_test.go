// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/client"
	"croft/node/daemon"
	"croft/sandbox"
)

// rounds is how often the daemon is killed.
const rounds = 20

// TestRootKilledDaemonKeepsItsWord kills a real daemon with real slivers at
// random moments, while a client asks without end: what the node signed, it
// keeps; what it did not, leaves nothing behind.
func TestRootKilledDaemonKeepsItsWord(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute of crashes")
	}
	n := newNode(t)
	n.start()
	c := newCustomer(t, n)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() { defer close(stopped); c.work(ctx) }()
	moment := time.NewTimer(0)
	defer moment.Stop()
	for range rounds {
		<-moment.C
		moment.Reset(100*time.Millisecond + rand.N(700*time.Millisecond))
		<-moment.C
		moment.Reset(0)
		n.kill()
		n.start()
	}
	stop()
	<-stopped
	t.Logf("%d rounds: %d leases, %d activated, %d closed", rounds, len(c.leases), c.count(activated), c.count(closed))
	if len(c.leases) < 5 {
		t.Errorf("only %d leases: nothing is tested", len(c.leases))
	}
	c.audit()
	c.closeAll()
	n.eventually("every sliver is gone", func() bool { return len(n.slivers()) == 0 })
	n.interrupt()
	n.run("net", "destroy", "--state", n.state)
	n.nothingLeft()
}

// node is one real daemon in a network namespace of its own.
type node struct {
	t         *testing.T
	croft     string
	namespace string
	state     string
	tag       string
	way       *client.Way
	who       lease.Principal
	daemon    *exec.Cmd
	ended     chan struct{}
	log       *os.File
}

func newNode(t *testing.T) *node {
	runc, err := daemon.FindRuntime("")
	for _, p := range []string{"../../build/runc"} {
		if abs, e := filepath.Abs(p); err != nil && e == nil {
			runc, err = daemon.FindRuntime(abs)
		}
	}
	switch {
	case err == nil && os.Geteuid() == 0:
	case os.Getenv("CROFT_REQUIRE_ROOT") == "1":
		t.Fatalf("needs root and runc: uid %d, %v", os.Geteuid(), err)
	default:
		t.Skipf("needs root and runc: uid %d, %v", os.Geteuid(), err)
	}
	dir := t.TempDir()
	n := &node{t: t, croft: filepath.Join(dir, "croft"), state: filepath.Join(dir, "state"),
		namespace: fmt.Sprintf("croft-kill-%08x", rand.Uint32())}
	build := exec.Command("go", "build", "-trimpath", "-o", n.croft, "croft/cmd/croft")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building croft: %v\n%s", err, out)
	}
	if err := os.MkdirAll(n.state, 0o755); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("name = \"kill\"\nprofile = \"lab\"\nplaces = 250\nruntime = %q\nlisten = [\"/ip4/198.18.99.1/tcp/4001\"]\n"+
		"[capacity]\ncpu = \"400000\"\nmemory = \"64GiB\"\ndisk = \"64GiB\"\npids = \"100000\"\n"+
		"[commons]\ncpu = \"200000\"\nmemory = \"32GiB\"\ndisk = \"32GiB\"\npids = \"50000\"\n", runc.Path)
	if err := os.WriteFile(filepath.Join(n.state, "croft.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if n.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n.daemon != nil {
			n.kill()
		}
		if out, err := n.inside("net", "destroy", "--state", n.state).CombinedOutput(); err != nil {
			t.Errorf("cleaning up: %v: %s", err, out)
		}
		if out, err := exec.Command("ip", "netns", "del", n.namespace).CombinedOutput(); err != nil {
			t.Errorf("removing the namespace: %v: %s", err, out)
		}
		if t.Failed() {
			b, _ := os.ReadFile(n.log.Name())
			t.Logf("the daemons said:\n%s", b[max(0, len(b)-2<<10):])
		}
		n.log.Close()
	})
	for _, args := range [][]string{{"netns", "add", n.namespace}, {"-n", n.namespace, "link", "set", "lo", "up"},
		{"-n", n.namespace, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"}, {"-n", n.namespace, "addr", "add", "198.18.99.1/24", "dev", "eth0"},
		{"-n", n.namespace, "link", "set", "eth1", "up"}, {"-n", n.namespace, "link", "set", "eth0", "up"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %q: %v: %s", args, err, out)
		}
	}
	n.way = client.New(daemon.Socket(n.state))
	return n
}

// inside is a command in the node's network namespace. (Unlike `ip netns exec`
// this leaves /sys, where cgroups and pins are, as it is.)
func (n *node) inside(args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--net=/run/netns/" + n.namespace, n.croft}, args...)...)
}

func (n *node) run(args ...string) {
	n.t.Helper()
	if out, err := n.inside(args...).CombinedOutput(); err != nil {
		n.t.Errorf("croft %q: %v: %s", args, err, out)
	}
}

func (n *node) start() {
	n.t.Helper()
	n.daemon, n.ended = n.inside("up", "--state", n.state), make(chan struct{})
	n.daemon.Stdout, n.daemon.Stderr = n.log, n.log
	if err := n.daemon.Start(); err != nil {
		n.t.Fatal(err)
	}
	go func(d *exec.Cmd, ended chan struct{}) { _ = d.Wait(); close(ended) }(n.daemon, n.ended)
	n.eventually("the daemon answers", func() bool {
		s, err := n.way.Status(n.t.Context())
		if err == nil && !s.Hosting {
			n.t.Fatalf("hosts nothing: %q", s.Why)
		}
		if err == nil && n.tag == "" {
			n.who, n.tag = s.Node, s.Tag
		}
		return err == nil
	})
}

func (n *node) kill() {
	_ = n.daemon.Process.Kill()
	<-n.ended
	n.daemon = nil
}

func (n *node) interrupt() {
	_ = n.daemon.Process.Signal(syscall.SIGINT)
	n.eventually("the daemon ends", func() bool {
		select {
		case <-n.ended:
			return true
		default:
			return false
		}
	})
	n.daemon = nil
}

// eventually waits for something outside this process, to a deadline.
func (n *node) eventually(what string, is func() bool) {
	n.t.Helper()
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-late.C:
			n.t.Fatalf("not in time: %s", what)
		}
	}
}

// slivers are those of which anything is on the disk.
func (n *node) slivers() (names []string) {
	entries, err := os.ReadDir(filepath.Join(n.state, "slivers"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		n.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// nothingLeft looks for every kind of thing that a node makes.
func (n *node) nothingLeft() {
	n.t.Helper()
	mark := "croft-" + n.tag
	for _, pattern := range []string{"/run/netns/" + mark + "*", "/sys/fs/bpf/" + mark + "*", "/sys/fs/cgroup/" + mark + "*", "/sys/fs/cgroup/*/" + mark + "*"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			n.t.Errorf("left: %q", found)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), n.state) {
		n.t.Errorf("mounts left below %s, %v", n.state, err)
	}
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range commands {
		if b, err := os.ReadFile(p); err == nil && bytes.Contains(b, []byte(n.state)) {
			n.t.Errorf("a process is left: %s %q", p, b)
		}
	}
	links, err := exec.Command("ip", "-n", n.namespace, "-o", "link").Output()
	if err != nil || strings.Contains(string(links), "cr-"+n.tag) {
		n.t.Errorf("links left: %s, %v", links, err)
	}
}

// progress is how far the node has said that a lease is.
type progress int

const (
	signed progress = iota
	activated
	closing // asked for; the answer may have been lost
	closed
)

type held struct {
	id    lease.ID
	until int64
	progress
}

// customer asks for leases, and keeps what the node signs.
type customer struct {
	t       *testing.T
	n       *node
	node    *client.Node
	name    string
	program json.RawMessage
	send    func(context.Context) error // the program's bytes, unless the node has them
	leases  []*held
	asked   int
}

func newCustomer(t *testing.T, n *node) *customer {
	c := &customer{t: t, n: n, name: "customer"}
	c.node = n.way.Node(n.who, leasetest.Key(c.name))
	t.Cleanup(c.node.Close)
	blob, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	digest := lease.Digest(sha256.Sum256(blob))
	c.send = func(ctx context.Context) error {
		return c.node.Send(ctx, digest, int64(len(blob)), bytes.NewReader(blob), func(int64) {})
	}
	c.program, err = json.Marshal(sandbox.Program{Kind: sandbox.Binary, Blob: digest, Size: int64(len(blob)), Args: []string{"busybox", "sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *customer) count(p progress) (n int) {
	for _, h := range c.leases {
		if h.progress >= p {
			n++
		}
	}
	return n
}

// work runs slivers until ctx ends, one after the other, and closes three of
// four. It keeps a pace, for a place rests a minute after each.
func (c *customer) work(ctx context.Context) {
	pace := time.NewTicker(120 * time.Millisecond)
	defer pace.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		select {
		case <-pace.C:
		case <-ctx.Done():
			return
		}
		h := c.lease(ctx)
		if h == nil {
			continue
		}
		a, ok := c.again(ctx, func() (api.Answer, error) {
			if err := c.send(ctx); err != nil {
				return api.Answer{}, err
			}
			return c.node.Activate(ctx, h.id, c.program)
		})
		if !ok || a.Refusal != nil { // its fuse may have run out while the daemon was dead
			continue
		}
		h.progress = activated
		if i%4 != 0 {
			c.close(ctx, h)
		}
	}
}

// lease asks until a lease is signed; nil if it is not.
func (c *customer) lease(ctx context.Context) *held {
	c.asked++
	rset, err := lease.ParseRSet("cpu=10,memory=16MiB,disk=16MiB,pids=16")
	if err != nil {
		c.t.Error(err)
		return nil
	}
	now := time.Now().Unix()
	ask := &lease.Ask{K: lease.KindAsk, Issuer: leasetest.Who(c.name), Node: c.n.who, RSet: rset, From: now, Until: now + 600,
		Slice: "kill", Pool: lease.PoolCommons}
	copy(ask.Request[:], hex.EncodeToString(fmt.Append(nil, c.asked)))
	wish, err := lease.Seal(ask, leasetest.Key(c.name))
	if err != nil {
		c.t.Error(err)
		return nil
	}
	a, ok := c.again(ctx, func() (api.Answer, error) { return c.node.Wish(ctx, [][]byte{wish.Bytes()}) })
	if !ok || a.Refusal != nil {
		return nil
	}
	hold := c.open(a)
	a, ok = c.again(ctx, func() (api.Answer, error) { return c.node.Commit(ctx, hold.ID) })
	if !ok || a.Refusal != nil {
		return nil
	}
	o := c.open(a)
	h := &held{id: o.ID, until: o.Statement.(*lease.Lease).Until}
	c.leases = append(c.leases, h)
	return h
}

func (c *customer) open(a api.Answer) lease.Opened {
	o, err := lease.Open(a.Statements[0])
	if err != nil {
		c.t.Errorf("the node signed %x: %v", a.Statements[0], err)
	}
	return o
}

func (c *customer) close(ctx context.Context, h *held) {
	st, err := lease.Seal(&lease.Close{K: lease.KindClose, Issuer: leasetest.Who(c.name), Node: c.n.who, Claim: h.id, At: time.Now().Unix()}, leasetest.Key(c.name))
	if err != nil {
		c.t.Error(err)
		return
	}
	h.progress = closing
	a, ok := c.again(ctx, func() (api.Answer, error) { return c.node.End(ctx, st.Bytes()) })
	if !ok {
		return
	}
	if a.Refusal != nil {
		c.t.Errorf("closing %s: %v", h.id.Short(), a.Refusal)
	}
	h.progress = closed
}

// again repeats a call, the same bytes each time, until it is answered.
func (c *customer) again(ctx context.Context, call func() (api.Answer, error)) (api.Answer, bool) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		a, err := call()
		if err == nil {
			return a, true
		}
		if p := new(client.Problem); errors.As(err, &p) && p.Status < 500 {
			c.t.Errorf("the node finds fault: %v", err)
			return a, false
		}
		select {
		case <-ctx.Done():
			return a, false
		case <-tick.C:
		}
	}
}

// audit holds the node's books against what it signed, and its slivers against
// its books.
func (c *customer) audit() {
	books, err := c.n.way.Books(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	byLease, live := map[lease.ID]api.Claim{}, map[string]bool{}
	for _, b := range books {
		byLease[b.Lease] = b
		if b.State == "active" || b.State == "closing" {
			live[b.Sliver] = true
		}
	}
	for _, h := range c.leases {
		b, there := byLease[h.id]
		switch {
		case !there:
			c.t.Errorf("lease %s was signed and is not in the books", h.id.Short())
		case h.progress == activated && b.State != "active":
			c.t.Errorf("lease %s was activated and is %s", h.id.Short(), b.State)
		case h.progress == closed && b.State != "closed" && b.State != "closing":
			c.t.Errorf("lease %s was closed and is %s", h.id.Short(), b.State)
		}
	}
	var names []string
	c.t.Cleanup(func() {
		if c.t.Failed() {
			c.t.Logf("on the disk: %q\nin the books: %v", names, live)
		}
	})
	c.n.eventually("no sliver is without a lease, and none is missing", func() bool {
		names = c.n.slivers()
		missing := maps.Clone(live)
		for _, name := range names {
			delete(missing, name)
		}
		return len(missing) == 0 && len(names) == len(live)
	})
}

func (c *customer) closeAll() {
	for _, h := range c.leases {
		if h.progress == activated {
			c.close(c.t.Context(), h)
		}
	}
	// Some were activated although the answer was lost.
	list, err := c.node.Slivers(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	for _, s := range list {
		c.close(c.t.Context(), &held{id: s.Lease})
	}
}
