// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	slivernet "croft/ebpf/net"
	"croft/gossip"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/journal"
	"croft/sandbox"
)

var errDead = errors.New("the daemon was killed")

// world is what outlives a daemon: kernel, wardens, disk, clocks. A daemon
// reaches it through a life, which ends with the daemon's.
type world struct {
	t     *testing.T
	state string
	begun time.Time
	step  atomic.Int64 // ns by which somebody set the wall clock

	mu       sync.Mutex
	calls    []string
	runs     map[string]sandbox.Spec
	status   map[string]sandbox.Status
	watches  map[chan sandbox.Status]context.Context
	links    map[string]slivernet.Sliver
	up       map[string]bool
	guards   map[string]ebpf.Limits
	meters   map[string]*ebpf.Meter // sliver and direction → what is left of its lease
	charged  map[string]uint64      // sliver, channel and direction → bytes
	output   string                 // what reading a log gives; empty: a line
	tenures  audit.Tenures
	rows     []audit.Row      // in the record
	failing  map[string]error // call → what it returns
	finds    api.Discovery    // what is built in
	doors    *doorModel       // of slivers; nil: they have none
	roles    map[string]RoleConfig
	starting chan struct{} // if set, Start waits for it or its context
	offers   []offer.Opened
	closed   int
	told     [][]byte // proofs published
	hear     func(notice []byte) error

	presence Presence // of each life; nil: none is watched

	known   []string              // nodes to join by
	hosts   func(*life, *Hosting) // puts real parts in the place of models
	appends int
	crash   func(n int) (before, after bool) // at the n-th append
	refuse  func(closing bool) error         // what an append returns, having done nothing
}

func newWorld(t *testing.T) *world {
	m := &world{t: t, state: t.TempDir(), begun: time.Now(), runs: map[string]sandbox.Spec{}, status: map[string]sandbox.Status{},
		watches: map[chan sandbox.Status]context.Context{}, links: map[string]slivernet.Sliver{}, up: map[string]bool{},
		guards: map[string]ebpf.Limits{}, meters: map[string]*ebpf.Meter{}, charged: map[string]uint64{}, failing: map[string]error{}, hear: func([]byte) error { return nil }}
	return m
}

func (m *world) Wall() time.Time { return time.Now().Add(time.Duration(m.step.Load())) }
func (m *world) Boot() int64     { return int64(time.Since(m.begun)) + int64(time.Hour) }

// fail has a call fail from now on; with nil, no more.
func (m *world) fail(call string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failing[call] = err; err == nil {
		delete(m.failing, call)
	}
}

// note records a call and returns what it is to fail with.
func (m *world) note(format string, args ...any) error {
	call := fmt.Sprintf(format, args...)
	m.calls = append(m.calls, call)
	for prefix, err := range m.failing {
		if len(call) >= len(prefix) && call[:len(prefix)] == prefix {
			return err
		}
	}
	return nil
}

// idle fails the test if anything of a sliver is left.
func (m *world) idle() {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.runs)+len(m.status)+len(m.links)+len(m.guards) > 0 {
		m.t.Errorf("left: runs %v, status %v, links %v, guards %v", m.runs, m.status, m.links, m.guards)
	}
	for _, t := range m.tenures {
		if t.Until == 0 {
			m.t.Errorf("tenure %+v is still on", t)
		}
	}
}

// end is a program's end, by itself or at its deadline.
func (m *world) end(sliver, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	st, ok := m.status[sliver]
	if !ok || st.State != sandbox.Running {
		return
	}
	st.State, st.Reason, st.Exit = sandbox.Stopped, reason, new(int)
	m.status[sliver] = st
	for ch, ctx := range m.watches {
		go func() {
			select {
			case ch <- st:
			case <-ctx.Done():
			}
		}()
	}
}

// life is a machine as one daemon has it.
type life struct {
	*world
	d      *Daemon
	cancel context.CancelFunc
	ended  chan error
	dead   bool // guarded by the machine's mutex

	rumours *gossip.Proofs // guarded by the machine's mutex
	heard   chan struct{}
}

// boot starts a daemon.
func (m *world) boot() *life {
	m.t.Helper()
	l := &life{world: m, ended: make(chan error, 1), rumours: gossip.NewProofs(gossip.ProofsConfig{}), heard: make(chan struct{}, 1)}
	deps := Deps{
		Key: leasetest.Key("node"), Clock: m, Log: slog.New(slog.DiscardHandler),
		OpenJournal: l.openJournal, Socket: func() (net.Listener, error) { return newPlug(), nil },
		Gossip: gossipModel{l}, Presence: m.presence, Rumours: rumourModel{l}, Wire: wireModel{newPlug()},
		Hosting: &Hosting{Network: networkModel{l}, Guard: guardModel{l}, Runtime: runtimeModel{l}, Blobs: blobModel{}, Audit: auditModel{l}},
	}
	deps.Discovery = m.finds
	if m.doors != nil {
		deps.Hosting.Doors = m.doors
	}
	if m.hosts != nil {
		m.hosts(l, deps.Hosting)
	}
	capacity, err := lease.ParseRSet("cpu=4000,memory=4GiB,disk=8GiB,pids=1000,egress.rate=100mbit,egress.packets=10000,ports.out=16384")
	if err != nil {
		m.t.Fatal(err)
	}
	l.d, err = New(Config{Name: "n1", State: m.state, Join: m.known, Capacity: capacity, Roles: m.roles, Bounds: Bounds{Places: 8}}, deps, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(m.t.Context())
	l.cancel = cancel
	go func() { l.ended <- l.d.Run(ctx) }()
	m.t.Cleanup(l.stop)
	return l
}

// stop ends the daemon as its owner would.
func (l *life) stop() {
	if l.ended == nil {
		return
	}
	l.cancel()
	<-l.ended
	l.ended = nil
}

// kill lets the daemon do nothing any more.
func (l *life) kill() {
	l.mu.Lock()
	l.dead = true
	l.mu.Unlock()
	l.stop()
}

// does is what every call of an adapter begins with.
func (l *life) does(format string, args ...any) error {
	if l.dead {
		return errDead
	}
	return l.note(format, args...)
}

// faulty is a real journal that fails when told to.
type faulty struct {
	OpenJournal
	l *life
}

func (l *life) openJournal() (OpenJournal, [][]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return nil, nil, errDead
	}
	j, records, err := journal.Open(filepath.Join(l.state, "journal"), journal.Options{Ballast: -1})
	if err != nil {
		return nil, nil, err
	}
	opened, out := Books(j, records)
	return faulty{opened, l}, out, nil
}

func (f faulty) Append(r ...[]byte) error        { return f.put(false, f.OpenJournal.Append, r) }
func (f faulty) AppendClosing(r ...[]byte) error { return f.put(true, f.OpenJournal.AppendClosing, r) }

func (f faulty) put(closing bool, put func(...[]byte) error, records [][]byte) error {
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	if f.l.dead {
		return errDead
	}
	f.l.appends++
	var before, after bool
	if f.l.crash != nil {
		before, after = f.l.crash(f.l.appends)
	}
	if f.l.refuse != nil {
		if err := f.l.refuse(closing); err != nil {
			return err
		}
	}
	if f.l.dead = before; before {
		return errDead
	}
	err := put(records...)
	if f.l.dead = after; after {
		return errDead
	}
	return err
}

type networkModel struct{ l *life }

func (n networkModel) Add(_ context.Context, s slivernet.Sliver) (slivernet.Attachment, error) {
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	if err := n.l.does("network add %s", s.Name); err != nil {
		return slivernet.Attachment{}, err
	}
	n.l.links[s.Name] = s
	return slivernet.Attachment{NetNS: "/run/netns/" + s.Name, Guard: ebpf.Port{Sliver: s.Name, Place: s.Place, IfIndex: s.Place + 1},
		Addresses: ebpf.Addresses{Source4: netip.AddrFrom4([4]byte{10, 0, 0, byte(s.Place)})}, SourcePorts: n.SourcePorts(s)}, nil
}

func (networkModel) SourcePorts(s slivernet.Sliver) [2]uint16 {
	return [2]uint16{20000, 19999 + uint16(cmp.Or(s.Out, 256))}
}

func (n networkModel) Up(_ context.Context, sliver string) error {
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	if _, ok := n.l.guards[sliver]; !ok {
		n.l.t.Errorf("the link of %s is raised without limits", sliver)
	}
	n.l.up[sliver] = true
	return n.l.does("network up %s", sliver)
}

func (n networkModel) Remove(_ context.Context, sliver string) error {
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	if err := n.l.does("network remove %s", sliver); err != nil {
		return err
	}
	delete(n.l.links, sliver)
	delete(n.l.up, sliver)
	return nil
}

func (n networkModel) Queues(context.Context, string) (slivernet.Queues, error) {
	return slivernet.Queues{}, nil
}

func (n networkModel) Counters(context.Context) (all []slivernet.Counters, err error) {
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	for name, s := range n.l.links {
		all = append(all, slivernet.Counters{Place: s.Place, Sliver: name, Limit: s.Live, Out: 3, In: 1, RefusedOut: 5, NoPort: 7})
	}
	return all, nil
}

func (n networkModel) Slivers(context.Context) ([]string, error) { return nil, nil }
func (n networkModel) Close() error                              { return nil }

type runtimeModel struct{ l *life }

func (r runtimeModel) Start(ctx context.Context, s sandbox.Spec) error {
	r.l.mu.Lock()
	wait := r.l.starting
	r.l.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	if err := r.l.does("runtime start %s", s.Sliver); err != nil {
		return err
	}
	if !r.l.up[s.Sliver] {
		r.l.t.Errorf("%s is started before its link is up", s.Sliver)
	}
	if r.l.status[s.Sliver].State == sandbox.Running {
		return nil
	}
	if s.Deadline <= r.l.Boot() {
		return sandbox.ErrDeadline
	}
	r.l.runs[s.Sliver] = s
	r.l.status[s.Sliver] = sandbox.Status{Sliver: s.Sliver, State: sandbox.Running, Deadline: s.Deadline}
	r.l.world.mind(s.Sliver)
	return nil
}

// mind ends a sliver at its deadline, daemon alive or dead.
func (m *world) mind(sliver string) {
	at := m.runs[sliver].Deadline
	time.AfterFunc(time.Duration(at-m.Boot()), func() {
		m.mu.Lock()
		same := m.runs[sliver].Deadline == at
		m.mu.Unlock()
		if same {
			m.end(sliver, sandbox.ReasonDeadline)
		}
	})
}

func (r runtimeModel) Extend(_ context.Context, sliver string, rset lease.RSet, deadline int64) error {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	if err := r.l.does("runtime extend %s", sliver); err != nil {
		return err
	}
	if r.l.status[sliver].State != sandbox.Running {
		return sandbox.ErrNotRunning
	}
	s := r.l.runs[sliver]
	s.RSet, s.Deadline = rset, deadline
	r.l.runs[sliver] = s
	r.l.world.mind(sliver)
	return nil
}

func (r runtimeModel) Stop(_ context.Context, sliver string, _ time.Duration) error {
	r.l.mu.Lock()
	err := r.l.does("runtime stop %s", sliver)
	dead := r.l.dead
	r.l.mu.Unlock()
	if !dead {
		r.l.end(sliver, sandbox.ReasonStopped)
	}
	return err
}

func (r runtimeModel) Remove(_ context.Context, sliver string) error {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	if err := r.l.does("runtime remove %s", sliver); err != nil {
		return err
	}
	delete(r.l.runs, sliver)
	delete(r.l.status, sliver)
	return nil
}

func (r runtimeModel) List(context.Context) (list []sandbox.Status, err error) {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	for _, st := range r.l.status {
		list = append(list, st)
	}
	return list, nil
}

func (r runtimeModel) Exec(ctx context.Context, sliver string, e sandbox.Exec, stdio sandbox.IO) (int, error) {
	if stdio.In != nil {
		if _, err := io.Copy(stdio.Out, stdio.In); err != nil { // as cat does
			return 0, err
		}
		if _, err := stdio.Err.Write([]byte("done")); err != nil {
			return 0, err
		}
	}
	return 7, nil
}

func (r runtimeModel) Logs(ctx context.Context, sliver string, o sandbox.LogOptions, w io.Writer) error {
	r.l.mu.Lock()
	output := r.l.output
	r.l.mu.Unlock()
	if output == "" {
		output = "hello\n"
	}
	_, err := io.WriteString(w, output)
	return err
}

func (r runtimeModel) Watch(ctx context.Context) <-chan sandbox.Status {
	ch, out := make(chan sandbox.Status), make(chan sandbox.Status)
	r.l.mu.Lock()
	r.l.watches[ch] = ctx
	r.l.mu.Unlock()
	go func() {
		defer close(out)
		defer func() {
			r.l.mu.Lock()
			delete(r.l.watches, ch)
			r.l.mu.Unlock()
		}()
		for {
			select {
			case st := <-ch:
				select {
				case out <- st:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

type blobModel struct{}

func (blobModel) Has(d lease.Digest) (int64, bool)         { return 10, d == blobOf("probe") }
func (blobModel) Keep(lease.Digest) (bool, error)          { return true, nil }
func (blobModel) Private(d lease.Digest) bool              { return d == lease.Digest{'p'} }
func (blobModel) Begin(lease.Digest, int64) (int64, error) { return 0, nil }
func (blobModel) Append(_ lease.Digest, at int64, b []byte) (int64, error) {
	return at + int64(len(b)), nil
}
func (blobModel) GC(func(lease.Digest) bool, time.Time) error      { return nil }
func (blobModel) Finish(ctx context.Context, d lease.Digest) error { return nil }

func blobOf(name string) (d lease.Digest) {
	copy(d[:], name)
	return d
}

type auditModel struct{ l *life }

func (auditModel) Append(ebpf.Epoch) error { return nil }

func (a auditModel) AppendTenure(t audit.Tenure) error {
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	if err := a.l.does("audit tenure %s", t.Sliver); err != nil {
		return err
	}
	a.l.tenures = a.l.tenures.Put(t)
	return t.Check()
}

func (a auditModel) Tenures() (audit.Tenures, error) {
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	return append(audit.Tenures(nil), a.l.tenures...), nil
}

func (a auditModel) Flows(context.Context, audit.Flows) (audit.Page, error) {
	return audit.Page{Rows: a.l.rows}, nil
}
func (a auditModel) Rows(context.Context, audit.Flows) iter.Seq2[audit.Row, error] {
	return func(yield func(audit.Row, error) bool) {
		for _, r := range a.l.rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}
func (auditModel) Who(context.Context, audit.Who) (f audit.Finding, err error) { return f, nil }

type gossipModel struct{ l *life }

func (g gossipModel) Publish(_ context.Context, o offer.Opened) error {
	g.l.mu.Lock()
	defer g.l.mu.Unlock()
	if g.l.dead {
		return errDead
	}
	g.l.offers = append(g.l.offers, o)
	return g.l.failing["publish"]
}

func (g gossipModel) Withdraw(_ context.Context, o offer.Opened) error {
	g.l.mu.Lock()
	defer g.l.mu.Unlock()
	if !g.l.dead {
		g.l.closed++
	}
	return nil
}

func (g gossipModel) Tell(_ context.Context, notice []byte) error {
	g.l.mu.Lock()
	hear := g.l.hear
	g.l.mu.Unlock()
	return hear(notice)
}

func (gossipModel) Known() int       { return 0 }
func (gossipModel) Stretch() float64 { return 1 }

type wireModel struct{ plug *plug }

func (wireModel) Pipe(context.Context, lease.Principal) (net.Conn, error) { return nil, errDead }
func (w wireModel) Channels() net.Listener                                { return w.plug }
func (wireModel) Addrs() []string                                         { return []string{"/ip4/192.0.2.1/tcp/4001"} }
func (wireModel) Peers() int                                              { return 1 }

// plug is a listener to which nobody comes.
type plug struct {
	once sync.Once
	done chan struct{}
}

func newPlug() *plug { return &plug{done: make(chan struct{})} }

func (p *plug) Accept() (net.Conn, error) { <-p.done; return nil, net.ErrClosed }
func (p *plug) Close() error              { p.once.Do(func() { close(p.done) }); return nil }
func (p *plug) Addr() net.Addr            { return &net.UnixAddr{Name: "plug", Net: "unix"} }

// program is what the tests run.
func program(t *testing.T) []byte {
	b, err := json.Marshal(sandbox.Program{Kind: sandbox.Binary, Blob: blobOf("probe"), Size: 10, Args: []string{"probe"}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pass lets virtual time go by: outside a bubble it would be a real wait.
func (m *world) pass(d time.Duration) {
	m.meet()
	<-time.After(d)
	m.settle()
}

// settle waits until everybody else waits.
func (m *world) settle() {
	m.meet()
	synctest.Wait()
	m.meet()
}

// meet orders what the test did and saw with what the models do, each under the
// lock: a bubble's clock alone orders nothing.
func (m *world) meet() {
	m.mu.Lock()
	defer m.mu.Unlock()
}

// inBubble runs f in virtual time on a new machine.
func inBubble(t *testing.T, f func(t *testing.T, m *world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := newWorld(t)
		m.state = dir
		f(t, m)
	})
}
