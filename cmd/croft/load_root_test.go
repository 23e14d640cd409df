// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/lease/purse"
	"croft/node/api"
	"croft/node/client"
	"croft/sandbox"
	"croft/sandbox/oci"
	"croft/sim/lab"
)

// loadNotice is the notice of evictable leases in seconds, and so what leases of
// pool sharp may begin late.
const loadNotice = 5

// loadPolicy makes fuses and notices short, so that many burn down.
const loadPolicy = `
[pool.commons]
part = "40%"
each = { cpu = "any", memory = "any", disk = "any", pids = "any" }

[pool.sharp]
part = "30%"

[pool.calendar]
part = "20%"
exclusive = true
ahead = "1h"
no_show = "6s"
each = { cpu = "any", memory = "any", disk = "any", pids = "any" }

[pool.share]
part = "10%"
notice = "5s"
each = { cpu = "any", memory = "any", disk = "any", pids = "any" }

[times]
hold = "6s"
activation = "10s"
grace = "4s"
`

// load is one real node under random load by all four mechanisms.
type load struct {
	t       *testing.T
	lab     *lab.Lab
	name    string
	state   string
	who     lease.Principal
	tag     string
	way     *client.Way
	book    *book
	program json.RawMessage
	blob    []byte
	tokens  chan struct{} // each lets one sliver start
	ready   atomic.Int64  // when the daemon came up, Unix ns; 0 while it is down
	groups  oci.Cgroups
}

// TestRootLoad holds a node under random load by all four mechanisms at once,
// with requests that come twice, late and out of order, and a daemon that is
// killed again and again. Beside it what the node has signed is added up and
// held against its capacities, its books and its processes. CROFT_LOAD is for
// how long.
func TestRootLoad(t *testing.T) {
	needLab(t)
	span := 15 * time.Second
	if s := os.Getenv("CROFT_LOAD"); s != "" {
		var err error
		if span, err = time.ParseDuration(s); err != nil {
			t.Fatal("CROFT_LOAD: ", err)
		}
	}
	if testing.Short() {
		t.Skip("a minute of load")
	}
	l := newLoad(t)
	before := l.inventory()
	ctx, stop := context.WithTimeout(t.Context(), span)
	defer stop()
	var holders, others sync.WaitGroup
	began := time.Now()
	l.people(ctx, began.Add(span), &holders, &others)
	others.Go(func() { l.killer(ctx, span) })
	others.Go(func() { l.revoker(ctx) })
	others.Go(func() { l.tell(ctx, min(30*time.Second, span/2)) })
	watched, unwatch := context.WithCancel(t.Context())
	defer unwatch()
	var watch sync.WaitGroup
	watch.Go(func() { l.watch(watched) })
	watch.Go(func() { l.compare(watched) })
	holders.Wait()
	others.Wait()
	l.show("under load")
	l.settle(span < time.Minute)
	l.eventually(90*time.Second, "the books are empty", func() string { return l.left() })
	l.eventually(90*time.Second, "nothing is left on the node", func() string { return differ(before, l.inventory()) })
	unwatch()
	watch.Wait()
	l.show("at the end")
	t.Logf("%s of load: %s", span, l.book.line())
	for _, v := range l.book.violations {
		t.Error(v)
	}
	l.book.do(func() {
		must := []string{"holds", "lease gang", "lease share", "lease calendar", "lease sharp", "activations", "kills", "sums", "compared", "repeats"}
		if span >= 5*time.Minute {
			must = append(must, "refused oversubscribed", "borne out", "evictions", "renewals", "revokes")
		}
		for _, what := range must {
			if l.book.count[what] == 0 {
				t.Errorf("no %s: that is not tested", what)
			}
		}
	})
}

func newLoad(t *testing.T) *load {
	sites, capacity := lab.DefaultSites()[:1], lab.DefaultCapacity()
	capacity["cpu"], capacity["memory"], capacity["disk"] = "10000", "1600MiB", "2GiB"
	made, _ := bringUp(t, lab.Config{Sites: sites, Nodes: []lab.NodeSpec{{Site: sites[0].Name, Capacity: capacity}}})
	l := &load{t: t, lab: made, book: newBook(), tokens: make(chan struct{}, 2)}
	node := l.status()
	l.name, l.state, l.way = node.Name, node.State, client.New(node.Socket)
	// More places than the default: each rests a minute after its sliver.
	config := filepath.Join(l.state, "croft.toml")
	b, err := os.ReadFile(config)
	if err == nil {
		err = os.WriteFile(config, append([]byte("places = 400\n"), b...), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(l.state, "policy.toml"), []byte(loadPolicy), 0o600)
	}
	if err == nil {
		err = l.again()
	}
	if err != nil {
		t.Fatal(err)
	}
	status, err := l.way.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.who, l.tag = status.Node, status.Tag
	cal, err := l.way.Calendar(t.Context(), lease.Term{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range cal.Pools {
		l.book.pools[p.Pool] = p
	}
	if l.groups, err = oci.HostCgroups(); err != nil {
		t.Fatal(err)
	}
	if l.blob, err = os.ReadFile("/bin/busybox"); err != nil {
		t.Fatal(err)
	}
	l.program, err = json.Marshal(sandbox.Program{Kind: sandbox.Binary, Blob: sha256.Sum256(l.blob), Size: int64(len(l.blob)),
		Args: []string{"busybox", "sleep", "3600"}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *load) status() lab.NodeStatus {
	s, err := l.lab.Status(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return s.Nodes[0]
}

// again kills the daemon and starts it.
func (l *load) again() error {
	l.ready.Store(0)
	if err := l.lab.Kill(l.t.Context(), l.name); err != nil {
		return err
	}
	if err := l.lab.Start(l.t.Context(), l.name); err != nil {
		return err
	}
	l.ready.Store(time.Now().UnixNano())
	return nil
}

func (l *load) send(ctx context.Context, n *client.Node) error {
	return n.Send(ctx, sha256.Sum256(l.blob), int64(len(l.blob)), bytes.NewReader(l.blob), func(int64) {})
}

// people sets the holders to work: they ask, or redeem what an agent gave them of
// a ticket of degree 150.
func (l *load) people(ctx context.Context, until time.Time, holders, others *sync.WaitGroup) {
	var users []*holder
	for i, pool := range []lease.Pool{lease.PoolCommons, lease.PoolCommons, lease.PoolCommons, lease.PoolShare, lease.PoolShare, lease.PoolShare,
		lease.PoolCalendar, lease.PoolCalendar, lease.PoolSharp, lease.PoolSharp, lease.PoolSharp} {
		h := l.holder(fmt.Sprintf("%s%d", pool, i), pool, rand.Uint64())
		if pool == lease.PoolSharp {
			users = append(users, h)
		}
		holders.Go(func() { h.work(ctx) })
	}
	agent := l.holder("agent", lease.PoolSharp, rand.Uint64())
	rset, err := lease.ParseRSet("cpu=1500,memory=240MiB,disk=256MiB,pids=500,egress.rate=12mbit,ingress.rate=12mbit,egress.packets=6000,ingress.packets=6000,flows.live=5000,flows.new=1000")
	if err != nil {
		l.t.Fatal(err)
	}
	now := time.Now().Unix()
	whole := lease.Term{From: now, Until: until.Unix() + 120}
	req := api.IssueRequest{Holder: agent.key.Principal(), RSet: rset, From: whole.From, Until: whole.Until, Degree: 150}
	a, ok := agent.request("issue", func() (api.Answer, error) { return l.way.Issue(l.t.Context(), req) })
	if !ok || a.Refusal != nil {
		l.t.Fatalf("no ticket: %v", a.Refusal)
	}
	agent.sign(purse.Keep{Chain: a.Statements})
	for _, u := range users {
		part := rset
		for r := range part {
			part[r] = part[r] * 9 / 20 // three of them: 135 of the 150 hundredths
		}
		agent.give(u, part, whole)
	}
	// What is left of the agent's budget goes out for a while at a time.
	others.Go(func() {
		for wait(ctx, 10*time.Second); ctx.Err() == nil; wait(ctx, 20*time.Second) {
			part, to := rset, users[agent.rng.IntN(len(users))]
			for r := range part {
				part[r] = part[r] / 10
			}
			now := time.Now().Unix()
			agent.give(to, part, lease.Term{From: now, Until: now + 40})
			agent.again()
			direct := api.IssueRequest{Holder: to.key.Principal(), RSet: part, From: now, Until: now + 60, Degree: 100}
			if a, ok := agent.request("issue", func() (api.Answer, error) { return l.way.Issue(l.t.Context(), direct) }); ok && a.Refusal == nil {
				l.book.add("gives")
				to.inbox <- a.Statements
			}
		}
	})
}

// give passes a part of the agent's ticket on.
func (h *holder) give(to *holder, part lease.RSet, term lease.Term) {
	chain := h.sign(purse.Give{Ticket: h.purse.Held()[0].ID, Slot: purse.AnySlot, Holder: to.key.Principal(), RSet: part, Term: term,
		Degree: lease.MinDegree, Request: h.nonce()})
	if chain != nil {
		h.book.add("gives")
		to.inbox <- chain
	}
}

// killer kills the daemon every half minute to minute, and in a short run once.
func (l *load) killer(ctx context.Context, span time.Duration) {
	for {
		wait(ctx, min(30*time.Second+rand.N(30*time.Second), span/2))
		if ctx.Err() != nil {
			return
		}
		if err := l.again(); err != nil {
			l.book.fault("the daemon does not come back: %v", err)
			return
		}
		l.book.add("kills")
	}
}

// revoker is the node's owner, who takes something back now and then.
func (l *load) revoker(ctx context.Context) {
	for wait(ctx, 4*time.Second); ctx.Err() == nil; wait(ctx, 3*time.Second+rand.N(8*time.Second)) {
		open := l.book.open(time.Now())
		if len(open) == 0 {
			continue
		}
		p := open[rand.IntN(len(open))]
		var of lease.Opened
		var grace int64
		var heirs []*promise
		l.book.do(func() {
			if of = p.hold; p.lease.Statement != nil {
				of, grace = p.lease, int64(p.lease.Statement.(*lease.Lease).Grace)
			}
			heirs = slices.Clone(p.heirs)
		})
		for _, x := range append(heirs, p) {
			l.book.ending(x, time.Now().Unix()+grace)
		}
		a, err := l.way.Revoke(ctx, of.ID, "the owner wants it back")
		if err != nil || a.Refusal != nil {
			continue // killed, or it has ended by itself
		}
		l.book.add("revokes")
		// What passes over before the notice is out is left to, and the answer is
		// the revoke of what it passes over to.
		ends, unheard := p, false
		l.book.do(func() {
			for _, x := range p.heirs {
				unheard = unheard || x.committing
				if x.lease.Statement == nil {
					continue
				}
				if _, err := lease.VerifyEnd(x.lease, a.Statements[0]); err == nil {
					ends, of = x, x.lease
				}
			}
		})
		o, err := lease.VerifyEnd(of, a.Statements[0])
		if err != nil && unheard {
			continue // of a renewal of which its holder has yet to hear
		}
		if err != nil {
			if of.Kind() == lease.KindLease { // a hold may have become a lease meanwhile
				l.book.fault("revoke: %v", err)
			}
			continue
		}
		r := o.Statement.(*lease.Revoke)
		if r.At-r.Said < grace {
			l.book.fault("revoked with %d s of notice, the lease states %d", r.At-r.Said, grace)
		}
		l.book.ends(ends, time.Unix(r.At, 0))
	}
}

// tell prints how it goes, and lets slivers start at a pace that the machine can
// follow.
func (l *load) tell(ctx context.Context, every time.Duration) {
	began := time.Now()
	start, line := time.NewTicker(time.Second), time.NewTicker(every)
	defer start.Stop()
	defer line.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-line.C:
			l.t.Logf("%s: %s", time.Since(began).Round(time.Second), l.book.line())
		case <-start.C:
			select {
			case l.tokens <- struct{}{}:
			default:
			}
		}
	}
}

// boot is the boot clock, which no setting of the time moves.
func boot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err) // every kernel since 2.6.39 has it
	}
	return time.Duration(ts.Nano())
}

// watch looks for slivers that outlive their leases.
func (l *load) watch(ctx context.Context) {
	start, at := time.Now(), boot()
	for ; ctx.Err() == nil; wait(ctx, 400*time.Millisecond) {
		var ready time.Time
		if ns := l.ready.Load(); ns != 0 {
			ready = time.Unix(0, ns)
		}
		for _, name := range l.slivers() {
			now := start.Add(boot() - at) // before the look: what is seen then was there then
			if pids, err := l.groups.Procs(sandbox.Cgroup(l.tag, name)); err == nil && len(pids) > 0 {
				l.book.ran(name, now, ready)
			}
		}
	}
}

// slivers are those that have a cgroup.
func (l *load) slivers() (names []string) {
	for _, dir := range l.groups.Layout.Dirs(sandbox.Parent(l.tag)) {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if e.IsDir() && !strings.HasPrefix(e.Name(), "warden-") {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// books is the node's calendar of the next hour.
func (l *load) books() (api.Calendar, error) {
	now := time.Now().Unix()
	return l.way.Calendar(l.t.Context(), lease.Term{From: now - 60, Until: now + 3600})
}

// compare holds the books against what is in hand, all the time.
func (l *load) compare(ctx context.Context) {
	for ; ctx.Err() == nil; wait(ctx, time.Second) {
		before := time.Now()
		if cal, err := l.books(); err == nil {
			l.book.compare(before, cal, loadNotice*time.Second)
		}
	}
}

// settle closes some of what is left, or all of it.
func (l *load) settle(all bool) {
	open := l.book.open(time.Now())
	l.t.Logf("the load ends with %d holds and leases in hand", len(open))
	for i, p := range open {
		if !all && i%2 > 0 || p.by == nil {
			continue // it runs out
		}
		p.by.end(p)
	}
}

// left names what is live in the books.
func (l *load) left() string {
	cal, err := l.books()
	if err != nil {
		return err.Error()
	}
	var list []string
	for _, p := range cal.Pools {
		for _, c := range p.Claims {
			list = append(list, fmt.Sprintf("%s %s until %d", c.State, c.Slice, c.Until))
		}
	}
	return strings.Join(list, ", ")
}

// inventory names everything that the node has in the kernel and on the disk for
// slivers.
func (l *load) inventory() (names []string) {
	for _, pattern := range []string{filepath.Join(l.state, "slivers", "*"), "/run/netns/croft-" + l.tag + "*"} {
		found, _ := filepath.Glob(pattern)
		names = append(names, found...)
	}
	for _, dir := range append(l.groups.Layout.Dirs(sandbox.Parent(l.tag)), "/sys/fs/bpf/croft-"+l.tag) {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error { // what goes meanwhile is gone
			if err == nil && (d.IsDir() || strings.HasPrefix(path, "/sys/fs/bpf/")) {
				names = append(names, path)
			}
			return nil
		})
	}
	namespaces := []string{l.status().NetNS}
	found, _ := filepath.Glob("/run/netns/croft-" + l.tag + "*")
	for _, ns := range found {
		namespaces = append(namespaces, filepath.Base(ns))
	}
	for _, ns := range namespaces {
		links, _ := exec.Command("ip", "-n", ns, "-br", "link").Output() // a namespace may go meanwhile
		for line := range strings.Lines(string(links)) {
			names = append(names, "link of "+ns+": "+strings.Fields(line)[0])
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		l.t.Error(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, l.state) {
			names = append(names, "mount "+strings.Fields(line)[1])
		}
	}
	slices.Sort(names)
	return names
}

// differ says what there is now that there was not, but for the cgroup above all
// slivers.
func differ(before, now []string) string {
	var more []string
	for _, name := range now {
		if !slices.Contains(before, name) && !(strings.HasPrefix(name, "/sys/fs/cgroup") && strings.HasPrefix(filepath.Base(name), "croft-")) {
			more = append(more, name)
		}
	}
	return strings.Join(more, "\n")
}

// eventually waits until nothing stands against it.
func (l *load) eventually(limit time.Duration, what string, against func() string) {
	l.t.Helper()
	late, cancel := context.WithTimeout(l.t.Context(), limit)
	defer cancel()
	for last := against(); last != ""; last = against() {
		if wait(late, 200*time.Millisecond); late.Err() != nil {
			l.t.Errorf("not so: %s:\n%s", what, last)
			return
		}
	}
}

// show prints what croft lease calendar shows.
func (l *load) show(when string) {
	now := time.Now().Unix()
	cal, err := l.way.Calendar(l.t.Context(), lease.Term{From: now, Until: now + 60})
	if err != nil {
		l.t.Error(err)
		return
	}
	var out bytes.Buffer
	drawBooks(&out, cal, []lease.Resource{lease.CPU, lease.Memory})
	l.t.Logf("croft lease calendar %s:\n%s", when, &out)
}
