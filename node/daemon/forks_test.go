// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/ebpf/audit"
	"croft/gossip"
	"croft/gossip/pubsub"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/api"
)

// watcher is a node's witness and its gossip, on a real host.
type watcher struct {
	d      *Daemon
	host   host.Host
	gossip *pubsub.Gossip
}

// newWatcher starts one that knows those nodes, of which n1 alone shows its log.
func newWatcher(t *testing.T, name, state string, nodes neighbourhood, n1 *record) *watcher {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	o := &overlay{heard: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}}
	g, err := pubsub.New(pubsub.Config{Host: h, Now: time.Now, OnEffect: o.effect, ReadFork: ReadFork, PullEvery: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{host: h, gossip: g, d: &Daemon{cfg: Config{State: state}, deps: Deps{Key: leasetest.Key(name), Clock: machineClock{},
		Log: slog.New(slog.DiscardHandler), View: nodes.view, Counted: nodes.view, Forks: rumours{g.Forks, o.heard[1]}}}}
	if w.d.witness, err = openWitness(w.d); err != nil {
		t.Fatal(err)
	}
	w.d.witness.ask = func(_ context.Context, node lease.Principal, size uint64) (audit.Growth, error) {
		if node != leasetest.Who("n1") {
			return audit.Growth{}, api.ErrUnreachable
		}
		return n1.Growth(size)
	}
	w.d.forks = newForks(w.d.witness, w.d.deps.Forks)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.d.witness.run(ctx) })
	running.Go(func() { w.d.forks.run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait(); g.Close(); h.Close() })
	return w
}

func (w *watcher) connect(t *testing.T, to *watcher) {
	t.Helper()
	if err := w.host.Connect(t.Context(), peer.AddrInfo{ID: to.host.ID(), Addrs: to.host.Addrs()}); err != nil {
		t.Fatal(err)
	}
}

// knows publishes a node's offer, so that the node is known.
func (w *watcher) knows(t *testing.T, node string) {
	t.Helper()
	o := &offer.Offer{Node: leasetest.Who(node), Sequence: 1, Made: time.Now().Unix(), Name: node}
	o.Until = o.Made + offer.MaxValid
	o.Free = []offer.Free{{Pool: lease.PoolCommons, RSet: lease.RSet{lease.CPU: 2000}}}
	sealed, err := offer.Seal(o, leasetest.Key(node))
	if err == nil {
		err = w.gossip.Publish(t.Context(), sealed)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// says is what the node shows of another, "" if nothing.
func (w *watcher) says(node string) string {
	list, _ := audits{d: w.d}.Watched(context.Background())
	for _, e := range list {
		if e.Node == leasetest.Who(node) {
			return e.State
		}
	}
	return ""
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// A node has two faces: one log for all of its witnesses, and another for who asks
// it. The asker holds what it was shown against what a witness says, tells its own
// node, and all know, those that follow no log included; also after a restart, and
// who comes later.
func TestANodeOfTwoFacesIsFoundOutByAll(t *testing.T) {
	face, other := openStore(t, t.TempDir(), "n1"), openStore(t, t.TempDir(), "n1")
	for i := range 3 {
		face.segment(uint64(i + 1))
		other.segment(uint64(i + 1)) // the same, with salts of its own
	}
	nodes := neighbourhood{"n1", "w0", "w1", "w2", "w3"}
	var all []*watcher
	var states []string
	for i := range 4 {
		states = append(states, t.TempDir())
		known := nodes
		if i == 3 {
			known = neighbourhood{"w3"} // knows nobody whose log it would follow
		}
		all = append(all, newWatcher(t, fmt.Sprint("w", i), states[i], known, face))
		if i > 0 {
			all[i].connect(t, all[i-1])
		}
	}
	eventually(t, "all are neighbours", func() bool {
		return !slices.ContainsFunc(all, func(w *watcher) bool { return w.gossip.Stats().Neighbours == 0 })
	})
	all[0].knows(t, "n1")
	for i, w := range all {
		eventually(t, fmt.Sprintf("w%d knows n1", i), func() bool { return w.gossip.Stats().Nodes == 1 })
	}
	for i, w := range all[:3] {
		eventually(t, fmt.Sprintf("w%d follows n1", i), func() bool { return w.says("n1") == "holds" })
	}

	said, err := audits{d: all[2].d}.Witnessed(t.Context(), leasetest.Who("n1"))
	if err != nil {
		t.Fatal(err)
	}
	word, err := audit.OpenWitnessed(said.Word)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := other.Growth(word.Head.Size)
	if err != nil {
		t.Fatal(err)
	}
	_, _, fork, err := shown.After(word.Head)
	if err != nil || fork == nil {
		t.Fatalf("two logs, no fork: %v", err)
	}
	forged := fork.Bytes()
	forged[len(forged)-1] ^= 1
	for name, b := range map[string][]byte{"forged": forged, "cut": fork.Bytes()[:100], "empty": nil} {
		if _, err := (audits{d: all[0].d}).TakeFork(t.Context(), b); !errors.Is(err, api.ErrBadRequest) {
			t.Errorf("a fork that is %s: %v", name, err)
		}
	}
	if o, err := (audits{d: all[0].d}).TakeFork(t.Context(), fork.Bytes()); err != nil || o.Node != leasetest.Who("n1") {
		t.Fatalf("%+v, %v", o, err)
	}
	for i, w := range all {
		eventually(t, fmt.Sprintf("w%d knows of the fork", i), func() bool { return w.says("n1") == "fork" })
	}
	if e := all[3].d.witness.watched(leasetest.Who("n1")); !e.Told() || !bytes.Equal(e.Fork.Bytes(), fork.Bytes()) {
		t.Errorf("who follows no log keeps %+v", e)
	}

	// Who hears of n1 now pulls the fork; who was told is started anew, and alone.
	late := newWatcher(t, "late", t.TempDir(), neighbourhood{"late"}, face)
	late.connect(t, all[3])
	eventually(t, "the latecomer knows of the fork", func() bool { return late.says("n1") == "fork" })
	alone := newWatcher(t, "w3", states[3], neighbourhood{"w3"}, face)
	eventually(t, "it is there for those who pull", func() bool { return len(alone.gossip.Forks.Kept()) == 1 })
	if p := alone.gossip.Forks.Kept()[0]; alone.says("n1") != "fork" || p.From != gossip.Past {
		t.Errorf("after a restart: %s, from %s", alone.says("n1"), p.From)
	}
}

// carrier is what one node's gossip keeps, by hand.
type carrier struct {
	kept  *gossip.Proofs
	told  [][]byte
	heard chan struct{}
}

func (c *carrier) Accuse(_ context.Context, fork []byte) error {
	c.told = append(c.told, fork)
	return c.Keep(fork, false)
}

func (c *carrier) Keep(fork []byte, told bool) error {
	var in gossip.Input = gossip.Local{Bytes: fork}
	if told {
		in = gossip.Received{Bytes: fork, From: gossip.Past, Pulled: true}
	}
	c.kept.Step(time.Unix(1, 0), in)
	return nil
}

func (c *carrier) Kept() []gossip.Proven  { return c.kept.Proven() }
func (c *carrier) Heard() <-chan struct{} { return c.heard }

// forkOf is the smallest fork there is.
func forkOf(t testing.TB, node string) *audit.Fork {
	t.Helper()
	var heads [2]audit.OpenedHead
	for i := range heads {
		var err error
		heads[i], err = audit.SealHead(audit.Head{Node: leasetest.Who(node), Size: 1, Root: lease.Digest{byte(i)}, At: 1}, leasetest.Key(node))
		if err != nil {
			t.Fatal(err)
		}
	}
	f, ok := audit.ForkOfHeads(heads[0], heads[1])
	if !ok {
		t.Fatal("no fork")
	}
	return f
}

// Whoever makes nodes and forks of them without end fills the places of what he
// brings himself. What the witness finds by itself stays, and so does what others
// brought.
func TestAFloodOfForksDisplacesItself(t *testing.T) {
	c := &carrier{heard: make(chan struct{}, 1), kept: gossip.NewForks(ReadFork, func(lease.Principal) bool { return true })}
	d := &Daemon{cfg: Config{State: t.TempDir()}, deps: Deps{Key: leasetest.Key("w"), Clock: machineClock{}, Log: slog.New(slog.DiscardHandler), Forks: c}}
	var err error
	if d.witness, err = openWitness(d); err != nil {
		t.Fatal(err)
	}
	f := newForks(d.witness, c)
	d.forks = f
	// turn compares once, and gives the machine what came of it.
	turn := func() {
		t.Helper()
		for range 2 { // what went, and what came
			done := make(chan error, 1)
			go func() { done <- f.compare(t.Context()); close(done) }()
			for waiting := true; waiting; {
				select {
				case in := <-d.witness.inputs:
					effects := d.witness.machine.Step(time.Unix(1, 0), in)
					if err := d.witness.keep(effects); err != nil {
						t.Fatal(err)
					}
				case err := <-done:
					if waiting = false; err != nil {
						t.Fatal(err)
					}
				}
			}
			for len(d.witness.inputs) > 0 {
				if err := d.witness.keep(d.witness.machine.Step(time.Unix(1, 0), <-d.witness.inputs)); err != nil {
					t.Fatal(err)
				}
			}
			d.witness.publish()
		}
	}
	hear := func(from, node string) gossip.Verdict {
		b := forkOf(t, node).Bytes()
		return c.kept.Step(time.Unix(int64(1), 0), gossip.Received{Bytes: b, From: leasetest.Who(from), Pulled: true})[0].(gossip.Verdict)
	}
	// One that it found itself: it keeps a head of n1.
	d.witness.machine.Step(time.Unix(1, 0), audit.Known{Nodes: []audit.Candidate{{Node: leasetest.Who("w")}, {Node: leasetest.Who("n1")}}})
	d.witness.machine.Step(time.Unix(1, 0), audit.Told{Fork: forkOf(t, "n1")})
	d.witness.publish()
	turn()
	if len(c.told) != 1 {
		t.Fatalf("its own was told %d times", len(c.told))
	}
	for i := range gossip.MaxForks + 10 {
		hear("mallory", fmt.Sprint("made", i))
	}
	turn()
	if n := len(d.witness.forked()); n != gossip.MaxForks {
		t.Fatalf("%d forks kept, want %d", n, gossip.MaxForks)
	}
	if v := hear("alice", "n2"); v.Reason != "" {
		t.Fatalf("an honest neighbour's: %s", v)
	}
	turn()
	kept := d.witness.forked()
	for _, node := range []string{"n1", "n2"} {
		if _, ok := kept[leasetest.Who(node)]; !ok {
			t.Errorf("the fork of %s is not kept", node)
		}
	}
	if len(kept) != gossip.MaxForks || len(c.told) != 1 {
		t.Errorf("%d forks kept, %d told", len(kept), len(c.told))
	}
}

// The bounds of the two trees, which do not know one another, fit.
func TestForksFitIntoAMessage(t *testing.T) {
	if gossip.MaxForks != audit.MaxForks {
		t.Errorf("%d go round and %d are kept", gossip.MaxForks, audit.MaxForks)
	}
	const levels = 40
	f := audit.Fork{K: audit.ProofFork, A: make([]byte, audit.MaxHead), B: make([]byte, audit.MaxHead),
		Split: []audit.Split{{Index: audit.MaxSegments, PathA: make([]lease.Digest, levels), PathB: make([]lease.Digest, levels)}}}
	if n := len(f.Bytes()); n > gossip.MaxFork {
		t.Errorf("a fork takes up to %d bytes, a message %d", n, gossip.MaxFork)
	}
}

// What a stranger sends as a fork is read, judged and named, and breaks nothing.
func FuzzReadFork(f *testing.F) {
	good := forkOf(f, "n1").Bytes()
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ReadFork(b)
		if err != nil {
			return
		}
		s, err := e.Shows()
		if proof, wrong := audit.VerifyProof(b); (err == nil) != (wrong == nil && proof.Kind == audit.ProofFork) {
			t.Fatalf("%v, and by itself %v", err, wrong)
		}
		if err == nil && (s.Accused != e.Accused() || lease.ID(s.Accused) != e.ID()) {
			t.Fatalf("named %s, accuses %s", e.ID(), s.Accused)
		}
	})
}
