// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/client"
	"croft/sandbox"
	"croft/sandbox/oci"
)

// TestRootSharesAreInForce runs three evictable leases of weights 1:2:4 beside a
// hard one that comes, is renewed with less, and goes, and kills the daemon in
// between. Every sliver
// wants more than it gets, of processor and of network. Held against the shares
// that follow from the books are: the quota in the sliver's cgroup, exactly; the
// processor time that the kernel accounts to it, and the octets that the guard
// lets pass, each as its part of the sum over all slivers, within 5 %. What is
// compared are parts of one window, so that neither the speed of the machine nor
// the length of the window matters. No sliver is started a second time.
func TestRootSharesAreInForce(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute of measuring")
	}
	n := newNode(t)
	s := &sharing{t: t, n: n, words: map[string]uint64{}}
	s.prepare()
	n.start()
	s.build()
	var err error
	if s.groups, err = oci.HostCgroups(); err != nil {
		t.Fatal(err)
	}
	for i, who := range []string{"one", "two", "four"} {
		s.lease(who, &lease.Ask{Pool: lease.PoolShare, Class: lease.Evictable, Weight: 1 << i, RSet: amount(t,
			"cpu=700,memory=24MiB,disk=16MiB,pids=32,egress.rate=7mbit,egress.packets=70k,flows.live=100,flows.new=100")})
	}
	s.follow("alone", 100, 200, 400)
	hard := s.lease("hard", &lease.Ask{Pool: lease.PoolCommons, RSet: amount(t,
		"cpu=350,memory=24MiB,disk=16MiB,pids=32,egress.rate=3500kbit,egress.packets=35k,flows.live=100,flows.new=100")})
	s.follow("beside a hard lease", 50, 100, 200, 350)
	n.kill()
	n.start()
	s.follow("after the daemon was killed", 50, 100, 200, 350)
	hard.take(&lease.Ask{Pool: lease.PoolCommons, RSet: amount(t, // a smaller one, while it runs
		"cpu=175,memory=20MiB,disk=16MiB,pids=32,egress.rate=1750kbit,egress.packets=35k,flows.live=100,flows.new=100")})
	s.follow("the hard lease renewed with half of it", 75, 150, 300, 175)
	if pid := s.first(hard); pid != hard.pid {
		t.Errorf("process %d was %d: the renewal started it again", pid, hard.pid)
	}
	hard.close()
	s.slivers = s.slivers[:3]
	s.follow("alone again", 100, 200, 400)
	for _, x := range s.slivers {
		if pid := s.first(x); pid != x.pid {
			t.Errorf("%s: process %d was %d: it was started again", x.who, pid, x.pid)
		}
		x.close()
	}
	n.eventually("every sliver is gone", func() bool { return len(n.slivers()) == 0 })
	n.interrupt()
	n.run("net", "destroy", "--state", n.state)
	n.nothingLeft()
}

// sharing is the node of that test, and what runs there.
type sharing struct {
	t       *testing.T
	n       *node
	groups  oci.Cgroups
	program json.RawMessage
	blob    []byte
	slivers []*sharer
	words   map[string]uint64
}

type sharer struct {
	*sharing
	who  string
	node *client.Node
	id   lease.ID
	name string
	pid  int
}

// target is where the datagrams go: out of the node, and no further.
const target = "198.18.99.2"

// prepare gives the node 700 thousandths of a core, half of them commons, and a
// neighbour that takes every datagram and says nothing.
func (s *sharing) prepare() {
	path := filepath.Join(s.n.state, "croft.toml")
	b, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(b), "[capacity]")
	config := head + fmt.Sprintf("open = [%q]\n", target+"/32") +
		"[capacity]\ncpu = \"700\"\nmemory = \"1GiB\"\ndisk = \"1GiB\"\npids = \"2000\"\n\"egress.rate\" = \"7mbit\"\n\"egress.packets\" = \"70k\"\n" +
		"[commons]\ncpu = \"350\"\n"
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		s.t.Fatal(err)
	}
	out, err := exec.Command("ip", "-n", s.n.namespace, "neigh", "add", target, "lladdr", "02:00:00:00:00:02", "dev", "eth0").CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
}

func (s *sharing) build() {
	file := filepath.Join(s.t.TempDir(), "busy")
	build := exec.Command("go", "build", "-trimpath", "-o", file, "testdata/busy/main.go")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		s.t.Fatalf("building busy: %v\n%s", err, out)
	}
	var err error
	if s.blob, err = os.ReadFile(file); err != nil {
		s.t.Fatal(err)
	}
	s.program, err = json.Marshal(sandbox.Program{Kind: sandbox.Binary, Blob: sha256.Sum256(s.blob), Size: int64(len(s.blob)),
		Args: []string{"busy", target + ":9"}})
	if err != nil {
		s.t.Fatal(err)
	}
}

func amount(t *testing.T, text string) lease.RSet {
	rset, err := lease.ParseRSet(text)
	if err != nil {
		t.Fatal(err)
	}
	return rset
}

// lease has a sliver run under an ask, and waits until it does.
func (s *sharing) lease(who string, ask *lease.Ask) *sharer {
	s.t.Helper()
	x := &sharer{sharing: s, who: who, node: s.n.way.Node(s.n.who, leasetest.Key(who))}
	s.t.Cleanup(x.node.Close)
	l := x.take(ask)
	x.name = l.SliverOf(x.id)
	ctx := s.t.Context()
	if err := x.node.Send(ctx, sha256.Sum256(s.blob), int64(len(s.blob)), bytes.NewReader(s.blob), func(int64) {}); err != nil {
		s.t.Fatal(err)
	}
	x.answer(x.node.Activate(ctx, x.id, s.program))
	s.n.eventually(who+" runs", func() bool {
		list, err := x.node.Slivers(ctx)
		if len(list) > 0 && list[0].Run == "failed" {
			s.t.Fatalf("%s: %s", who, list[0].Reason)
		}
		return err == nil && len(list) > 0 && list[0].Run == "running"
	})
	x.pid = s.first(x)
	s.prefer()
	s.slivers = append(s.slivers, x)
	return x
}

// take gets a lease for an ask, in place of the one that x has, if it has one.
func (x *sharer) take(ask *lease.Ask) *lease.Lease {
	x.t.Helper()
	ctx, key, now := x.t.Context(), leasetest.Key(x.who), time.Now().Unix()
	ask.K, ask.Issuer, ask.Node, ask.From, ask.Until, ask.Slice = lease.KindAsk, key.Principal(), x.n.who, now, now+900, x.who
	ask.Replaces, ask.Request = x.id, lease.Request(x.id[:16])
	wish, err := lease.Seal(ask, key)
	if err != nil {
		x.t.Fatal(err)
	}
	hold := x.answer(x.node.Wish(ctx, [][]byte{wish.Bytes()}))
	got := x.answer(x.node.Commit(ctx, hold.ID))
	x.id = got.ID
	return got.Statement.(*lease.Lease)
}

func (x *sharer) answer(a api.Answer, err error) lease.Opened {
	x.t.Helper()
	if err == nil && a.Refusal != nil {
		err = a.Refusal
	}
	if err != nil {
		x.t.Fatalf("%s: %v", x.who, err)
	}
	o, err := lease.Open(a.Statements[0])
	if err != nil {
		x.t.Fatal(err)
	}
	return o
}

// prefer has the kernel run the node's slivers before whatever else the machine
// does: quotas are to decide, and nothing else.
func (s *sharing) prefer() {
	dir, v1 := s.groups.Layout.Controllers["cpu"]
	file, most := "cpu.shares", "262144"
	if !v1 {
		dir, file, most = s.groups.Layout.Unified, "cpu.weight", "10000"
	}
	if err := os.WriteFile(filepath.Join(dir, sandbox.Parent(s.n.tag), file), []byte(most), 0); err != nil {
		s.t.Fatal(err)
	}
}

func (x *sharer) close() {
	x.t.Helper()
	key := leasetest.Key(x.who)
	st, err := lease.Seal(&lease.Close{K: lease.KindClose, Issuer: key.Principal(), Node: x.n.who, Claim: x.id, At: time.Now().Unix()}, key)
	if err != nil {
		x.t.Fatal(err)
	}
	if a, err := x.node.End(x.t.Context(), st.Bytes()); err != nil || a.Refusal != nil {
		x.t.Fatalf("closing %s: %v %v", x.who, a.Refusal, err)
	}
}

// first is the sliver's oldest process.
func (s *sharing) first(x *sharer) int {
	pids, err := s.groups.Procs(sandbox.Cgroup(s.n.tag, x.name))
	if err != nil || len(pids) == 0 {
		s.t.Fatalf("%s has no process: %v", x.who, err)
	}
	return slices.Min(pids)
}

// word reads a number of the sliver's cgroup: after key, or the only one.
func (s *sharing) word(x *sharer, v1controller, v1file, v2file, key string) uint64 {
	dir, v1 := s.groups.Layout.Controllers[v1controller]
	file := v1file
	if !v1 {
		dir, file = s.groups.Layout.Unified, v2file
	} else {
		key = ""
	}
	b, err := os.ReadFile(filepath.Join(dir, sandbox.Cgroup(s.n.tag, x.name), file))
	if err != nil {
		s.t.Fatal(err)
	}
	fields := strings.Fields(string(b))
	at := 0
	if key != "" {
		at = slices.Index(fields, key) + 1
	}
	v, err := strconv.ParseUint(fields[at], 10, 64)
	if err != nil {
		return 0 // "max": no limit
	}
	return v
}

// quota is what the kernel holds the sliver to, in thousandths of a core: µs in
// a period of 100 ms.
func (s *sharing) quota(x *sharer) uint64 {
	return s.word(x, "cpu", "cpu.cfs_quota_us", "cpu.max", "") / 100
}

func (s *sharing) used(x *sharer) uint64 {
	return s.word(x, "cpuacct", "cpuacct.usage", "cpu.stat", "usage_usec")
}

func (s *sharing) passed(x *sharer) uint64 {
	t, err := x.node.Traffic(s.t.Context(), x.name)
	if err != nil {
		s.t.Fatalf("traffic of %s: %v", x.who, err)
	}
	return t.Out.PassedBytes
}

// follow waits until quotas are the shares, and then measures windows until in
// one of them every sliver's part of what all used is its part of the shares. The
// first windows still spend the bursts, and a busy machine spoils some.
func (s *sharing) follow(when string, shares ...uint64) {
	s.t.Helper()
	s.n.eventually(when+": quotas follow", func() bool {
		for i, x := range s.slivers {
			if s.quota(x) != shares[i] {
				return false
			}
		}
		return true
	})
	late := time.NewTimer(60 * time.Second)
	defer late.Stop()
	window := time.NewTicker(2 * time.Second)
	defer window.Stop()
	for {
		cpu, sent := s.read(s.used), s.read(s.passed)
		select {
		case <-window.C:
		case <-late.C:
			s.t.Fatalf("%s: what is used does not follow %d: processor %.3f, network %.3f", when, shares,
				parts(minus(s.read(s.used), cpu)), parts(minus(s.read(s.passed), sent)))
		}
		cpu, sent = minus(s.read(s.used), cpu), minus(s.read(s.passed), sent)
		c, b := off(parts(cpu), parts(shares)), off(parts(sent), parts(shares))
		s.t.Logf("%s: processor %.3f (off by %.1f %%), network %.3f (off by %.1f %%)", when, parts(cpu), 100*c, parts(sent), 100*b)
		if c <= 0.05 && b <= 0.05 {
			return
		}
	}
}

func (s *sharing) read(of func(*sharer) uint64) []uint64 {
	list := make([]uint64, len(s.slivers))
	for i, x := range s.slivers {
		list[i] = of(x)
		if key := fmt.Sprintf("%p %s", of, x.name); list[i] < s.words[key] {
			s.t.Errorf("%s: a counter went back from %d to %d", x.who, s.words[key], list[i])
		} else {
			s.words[key] = list[i]
		}
	}
	return list
}

func minus(a, b []uint64) []uint64 {
	for i := range a {
		a[i] -= b[i]
	}
	return a
}

func parts(list []uint64) []float64 {
	var sum float64
	for _, v := range list {
		sum += float64(v)
	}
	out := make([]float64, len(list))
	for i, v := range list {
		out[i] = float64(v) / sum
	}
	return out
}

// off is the greatest relative difference.
func off(got, want []float64) (most float64) {
	for i := range got {
		most = max(most, math.Abs(got[i]/want[i]-1))
	}
	if math.IsNaN(most) {
		return math.Inf(1)
	}
	return most
}
