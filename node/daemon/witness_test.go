// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/ebpf/audit/store"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/api"
)

// record is a node's real audit store, filled by hand.
type record struct {
	*store.Store
	t     *testing.T
	node  string
	clock int64 // seconds
	epoch uint64
}

var (
	sentTo = netip.MustParseAddrPort("203.0.113.9:443")
	sentBy = netip.MustParseAddrPort("198.51.100.7:20117")
)

func openStore(t *testing.T, dir, node string) *record {
	t.Helper()
	s, err := store.Open(dir, store.Options{Node: leasetest.Who(node), Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r := &record{Store: s, t: t, node: node, clock: 1_000_000}
	if err := s.AppendTenure(audit.Tenure{Sliver: "s1", Slice: "web@" + node, Place: 1, First: 20000, Last: 20255, From: 1}); err != nil {
		t.Fatal(err)
	}
	return r
}

// coders has the store make what packs and unpacks for the whole process before any
// bubble does, of which others could not use it.
func coders(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	r := openStore(t, dir, "coder")
	r.segment(1)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, dir, "coder")
}

// segment records some packets and has the log closed and signed over them.
func (r *record) segment(packets uint64) {
	r.t.Helper()
	r.sent(packets)
	r.clock += 301
	head, err := r.Turn(r.t.Context(), time.Unix(r.clock, 0), leasetest.Key(r.node))
	if err != nil || head == nil {
		r.t.Fatalf("no head: %v", err)
	}
}

func (r *record) sent(packets uint64) {
	r.t.Helper()
	r.epoch++
	at := r.clock * 1e9
	e := ebpf.Epoch{Series: 7, Number: r.epoch, At: at, Flows: []ebpf.Flow{{Place: 1, Sliver: "s1", Proto: 6,
		Src: netip.MustParseAddrPort("10.0.0.2:40000"), Dst: sentTo, Packets: packets, Bytes: 100 * packets, First: at - 1e9, Last: at}}}
	e.Identity.Seen, e.Identity.Recorded = packets, packets
	if err := errors.Join(r.Append(e), r.tick()); err != nil {
		r.t.Fatal(err)
	}
}

// tick begins the segment's five minutes.
func (r *record) tick() error {
	_, err := r.Turn(r.t.Context(), time.Unix(r.clock, 0), leasetest.Key(r.node))
	return err
}

// neighbourhood are the nodes that a witness can find.
type neighbourhood []string

func (n neighbourhood) view() (all []*offer.Opened) {
	for i, name := range n {
		all = append(all, &offer.Opened{Offer: offer.Offer{Node: leasetest.Who(name), Name: name,
			Addrs: []string{fmt.Sprintf("/ip4/198.51.%d.1/tcp/4001", i)}}})
	}
	return all
}

// A node rewrites a segment with its index, and signs a new head with its own key.
// Its witness, which was restarted in between, proves it to everybody.
func TestWitnessFindsARewrittenStore(t *testing.T) {
	coders(t)
	for name, rewritten := range map[string][]uint64{"of the same size": {1, 99, 3}, "of a larger size": {1, 99, 3, 4}} {
		t.Run(name, func(t *testing.T) {
			state, honest, forged := t.TempDir(), t.TempDir(), t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				shown := openStore(t, honest, "n1")
				for _, packets := range []uint64{1, 2, 3} {
					shown.segment(packets)
				}
				w := follow(t, state, shown)
				if e := w.about("n1"); e.State != "holds" || e.Size != 3 || e.First != 3 {
					t.Fatalf("after the first look: %+v", e)
				}
				shown.segment(4)
				w.wait(audit.WitnessEvery)
				if e := w.about("n1"); e.State != "holds" || e.Size != 4 || e.First != 3 {
					t.Fatalf("after a segment: %+v", e)
				}
				w.stop()

				// Another history from the same key: what a node has that wrote its
				// files anew.
				other := openStore(t, forged, "n1")
				for _, packets := range append(rewritten, 5) {
					other.segment(packets)
				}
				w = follow(t, state, other)
				e := w.about("n1")
				if e.State != "fork" {
					t.Fatalf("after the store was rewritten: %+v", e)
				}
				if s, err := audit.VerifyProof(e.Fork); err != nil || s.Kind != audit.ProofFork || s.Head.Node != leasetest.Who("n1") {
					t.Fatalf("the proof shows %+v, %v", s, err)
				}
				w.stop()

				// It stays found out, also when the old files are back.
				w = follow(t, state, shown)
				if e := w.about("n1"); e.State != "fork" {
					t.Errorf("after the old files came back: %+v", e)
				}
				said, err := (audits{d: w.d}).Witnessed(t.Context(), leasetest.Who("n1"))
				if _, proofErr := audit.VerifyProof(said.Fork); err != nil || proofErr != nil {
					t.Errorf("who asks is told %v, %v", err, proofErr)
				}
				word, err := audit.OpenWitnessed(said.Word)
				if err != nil || word.Head.Size != 4 || word.First != 3 || word.Witness != leasetest.Who("w") {
					t.Errorf("who asks is told %+v, %v", word, err)
				}
				w.stop()
			})
		})
	}
}

// Who fills the role monitor chooses nobody's witnesses: nodes that he calls absent are
// among them, and none that this node counts as gone.
func TestTheMonitorChoosesNoWitness(t *testing.T) {
	w := &witness{d: &Daemon{deps: Deps{Key: leasetest.Key("w"), View: neighbourhood{"n1", "dead", "w"}.view, Counted: neighbourhood{"n1", "n2", "w"}.view}}}
	var got []lease.Principal
	for _, c := range w.nodes() {
		got = append(got, c.Node)
	}
	if want := []lease.Principal{leasetest.Who("w"), leasetest.Who("n1"), leasetest.Who("n2")}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A witness whose file is damaged puts it aside and follows from now on.
func TestWitnessWithoutAPast(t *testing.T) {
	coders(t)
	state, dir := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n1 := openStore(t, dir, "n1")
		n1.segment(1)
		w := follow(t, state, n1)
		w.stop()
		if err := os.WriteFile(w.path, []byte("no file of ours"), 0o600); err != nil {
			t.Fatal(err)
		}
		n1.segment(2)
		w = follow(t, state, n1)
		if e := w.about("n1"); e.State != "holds" || e.First != 2 {
			t.Errorf("%+v", e)
		}
		w.stop()
		if _, err := os.Stat(w.path + ".damaged"); err != nil {
			t.Error(err)
		}
	})
}

// following is a witness that runs.
type following struct {
	*witness
	t    *testing.T
	stop func()
}

// follow starts a witness that knows four nodes, of which n1 alone answers.
func follow(t *testing.T, state string, n1 *record) *following {
	t.Helper()
	d := &Daemon{cfg: Config{State: state}, deps: Deps{Key: leasetest.Key("w"), Clock: machineClock{}, Log: slog.New(slog.DiscardHandler),
		Counted: neighbourhood{"n1", "n2", "n3", "w"}.view}}
	var err error
	if d.witness, err = openWitness(d); err != nil {
		t.Fatal(err)
	}
	d.witness.ask = func(_ context.Context, node lease.Principal, size uint64) (audit.Growth, error) {
		if node != leasetest.Who("n1") {
			return audit.Growth{}, api.ErrUnreachable
		}
		return n1.Growth(size)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { d.witness.run(ctx); close(done) }()
	f := &following{d.witness, t, func() { cancel(); <-done }}
	f.wait(time.Second)
	return f
}

func (f *following) wait(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func (f *following) about(node string) api.Watched {
	f.t.Helper()
	list, err := (audits{d: f.d}).Watched(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, e := range list {
		if e.Node == leasetest.Who(node) {
			return e
		}
	}
	f.t.Fatalf("nothing is known of %s", node)
	return api.Watched{}
}
