// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/keep"
	"croft/node/slice"
	"croft/sandbox"
)

const keepVerbs = lease.VerbRun | lease.VerbRenew | lease.VerbStop

// chargeOf is what alice hands over, under an authority.
func chargeOf(t *testing.T, m *world, authority []byte) keep.Charge {
	t.Helper()
	set, err := lease.ParseRSet("cpu=100,memory=64MiB,pids=8,egress.rate=1mbit,egress.packets=100")
	if err != nil {
		t.Fatal(err)
	}
	return keep.Charge{Slice: "ron", Want: 2, Term: 600, Until: m.Wall().Add(time.Hour).Unix(), Pool: lease.PoolCommons, RSet: set,
		Program:   sandbox.Program{Kind: sandbox.Binary, Blob: blobOf("probe"), Size: 10, Args: []string{"probe"}},
		Nodes:     []lease.Principal{leasetest.Who("n2")},
		Authority: authority}
}

func by(name string) api.Caller { return api.Caller{Principal: leasetest.Who(name)} }

// Who hands a slice over is its owner, with a grant of all that it takes, to a node that
// lets him.
func TestWhoMayHandASliceOver(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		node := m.boot().d.Node().Charges
		g := &grants{t: t, m: m}
		good := g.grant("node", "ron", keepVerbs)
		refuses := func(what string, who string, want error, change func(*keep.Charge)) {
			t.Helper()
			c := chargeOf(t, m, good)
			change(&c)
			if k, err := node.Hand(t.Context(), by(who), c); !errors.Is(err, want) {
				t.Errorf("%s: %+v, %v", what, k, err)
			}
		}
		nothing := func(*keep.Charge) {}
		refuses("nobody has let alice", "alice", api.ErrNotKept, nothing)
		for _, p := range []string{"alice", "mallory"} {
			if _, err := node.Admit(t.Context(), leasetest.Who(p)); err != nil {
				t.Fatal(err)
			}
		}
		refuses("another shows her grant", "mallory", api.ErrNotGranted, nothing)
		refuses("and says that he is she", "mallory", api.ErrNotGranted, func(c *keep.Charge) { c.Owner = leasetest.Who("alice") })
		refuses("for another slice", "alice", api.ErrNotGranted, func(c *keep.Charge) { c.Slice = "web" })
		refuses("a grant to somebody else", "alice", api.ErrNotGranted, func(c *keep.Charge) { c.Authority = g.grant("bob", "ron", keepVerbs) })
		refuses("a grant of less", "alice", api.ErrNotGranted, func(c *keep.Charge) { c.Authority = g.grant("node", "ron", lease.VerbRun|lease.VerbRenew) })
		refuses("no grant", "alice", api.ErrBadRequest, func(c *keep.Charge) { c.Authority = []byte("grant") })
		refuses("too many", "alice", api.ErrBadRequest, func(c *keep.Charge) { c.Want = keep.MaxWant + 1 })
		refuses("none", "alice", api.ErrBadRequest, func(c *keep.Charge) { c.Want = 0 })
		refuses("too short leases", "alice", api.ErrBadRequest, func(c *keep.Charge) { c.Term = 10 })
		refuses("it is over", "alice", api.ErrBadRequest, func(c *keep.Charge) { c.Until = m.Wall().Unix() })
		refuses("by tickets", "alice", api.ErrBadRequest, func(c *keep.Charge) { c.Pool = lease.PoolSharp })
		refuses("no query", "alice", api.ErrBadRequest, func(c *keep.Charge) { c.Where = "cpu>>" })
		refuses("no program", "alice", api.ErrBadRequest, func(c *keep.Charge) { c.Program.Args = nil })
		if list, err := node.AllKept(t.Context()); err != nil || len(list) != 0 {
			t.Fatalf("it keeps %+v, %v", list, err)
		}
		k, err := node.Hand(t.Context(), by("alice"), chargeOf(t, m, g.grant("node", "ron", keepVerbs)))
		if err != nil || k.Owner != leasetest.Who("alice") || k.Want != 2 {
			t.Fatalf("%+v, %v", k, err)
		}
		if _, err := node.Drop(t.Context(), by("mallory"), "ron"); !errors.Is(err, api.ErrNoCharge) {
			t.Errorf("another ends it: %v", err)
		}
		if list, _ := node.Kept(t.Context(), by("mallory")); len(list) != 0 {
			t.Errorf("another is told of it: %+v", list)
		}
		m.pass(2 * time.Minute) // let in no more; what is kept she may change all the same
		c := chargeOf(t, m, g.grant("node", "ron", keepVerbs))
		c.Want = 3
		if k, err = node.Hand(t.Context(), by("alice"), c); err != nil || k.Want != 3 {
			t.Errorf("%+v, %v", k, err)
		}
		if k, err = node.Drop(t.Context(), by("alice"), "ron"); err != nil || k.Over == "" {
			t.Errorf("%+v, %v", k, err)
		}
		refuses("ended and not let in", "alice", api.ErrNotKept, func(c *keep.Charge) { c.Authority = g.grant("node", "ron", keepVerbs) })
	})
}

// What is kept is kept by the next daemon too, until the owner takes his grant back.
func TestChargesOutliveADaemonAndNotTheirGrant(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l := m.boot()
		g := &grants{t: t, m: m}
		if _, err := l.d.Node().Charges.Admit(t.Context(), leasetest.Who("alice")); err != nil {
			t.Fatal(err)
		}
		if _, err := l.d.Node().Charges.Hand(t.Context(), by("alice"), chargeOf(t, m, g.grant("node", "ron", keepVerbs))); err != nil {
			t.Fatal(err)
		}
		l.kill()
		if err := os.WriteFile(filepath.Join(m.state, "charges", "0123.charge"), []byte("{}"), 0o600); err != nil { // a file that is none
			t.Fatal(err)
		}
		l = m.boot()
		m.pass(time.Minute)
		list, err := l.d.Node().Charges.AllKept(t.Context())
		if err != nil || len(list) != 1 || list[0].Over != "" || list[0].Want != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		if _, err := l.d.slices.put(g.revoked("ron"), false, m.Wall()); err != nil {
			t.Fatal(err)
		}
		m.pass(time.Minute)
		list, err = l.d.Node().Charges.AllKept(t.Context())
		if err != nil || len(list) != 1 || !strings.Contains(list[0].Over, "grant does not stand") {
			t.Fatalf("%+v, %v", list, err)
		}
	})
}

// A node can list what it likes: what counts is what it has signed for this very slice,
// once, and no more of it than a look can bear.
func TestWhatANodeListsOfASlice(t *testing.T) {
	now := time.Now().Unix()
	signed := func(node, owner, slice string, n int) []byte {
		s, err := lease.Seal(&lease.Lease{K: lease.KindLease, Holder: leasetest.Who(owner), Node: leasetest.Who(node),
			RSet: lease.RSet{lease.CPU: 100}, From: now, Until: now + 600 + int64(n), Slice: slice, Parent: lease.ID{1}, Pool: lease.PoolCommons}, leasetest.Key(node))
		if err != nil {
			t.Fatal(err)
		}
		return s.Bytes()
	}
	rec := slice.Record{Slice: "web", Owner: leasetest.Who("alice"), Actor: leasetest.Who("node")}
	row := func(b []byte, owner, label string) api.Sliver {
		s := api.Sliver{Run: "running", Left: 1 << 40, Signed: b}
		s.Owner, s.Slice = leasetest.Who(owner), label
		return s
	}
	list := []api.Sliver{
		row(signed("n1", "alice", "web", 0), "alice", "web"),
		row(signed("n2", "alice", "web", 0), "alice", "web"),     // another node's
		row(signed("n1", "mallory", "web", 0), "alice", "web"),   // another owner's
		row(signed("n1", "alice", "mail", 0), "alice", "web"),    // another slice's
		row(signed("n1", "mallory", "web", 0), "mallory", "web"), // not of this slice
		row([]byte("lease"), "alice", "web"),
	}
	got := newestOf(rec, leasetest.Who("n1"), list, now)
	if len(got) != 1 {
		t.Fatalf("%d count: %+v", len(got), got)
	}
	for _, s := range got {
		if s.left != 600 || s.state != keep.Runs {
			t.Errorf("%+v", s)
		}
	}
	var many []api.Sliver
	for i := range maxListed + 10 {
		many = append(many, row(signed("n1", "alice", "web", i), "alice", "web"))
	}
	if got := newestOf(rec, leasetest.Who("n1"), many, now); len(got) != maxListed {
		t.Errorf("%d of %d are taken", len(got), len(many))
	}
}

// A node that refuses to list anything had nothing, unless it is known to have had some:
// then it is silent, and what it has is not run a second time at once.
func TestWhoRefusesToListIsSilentWhereItHadSome(t *testing.T) {
	st := keep.Standing{Known: []keep.Known{{Sliver: "a", Node: leasetest.Who("n1")}}}
	for _, c := range []struct {
		err     error
		node    string
		nothing bool
	}{
		{api.ErrVisitor, "n1", true},
		{api.ErrVisitor, "n2", true},
		{api.ErrNotGranted, "n1", false},
		{api.ErrNotGranted, "n2", true},
		{api.ErrUnreachable, "n2", false},
	} {
		if got := nothingOf(c.err, st, leasetest.Who(c.node)); got != c.nothing {
			t.Errorf("%s: %v: nothing %v", c.node, c.err, got)
		}
	}
}

// A clock that is wrong ends nothing: the charge waits until it is right again.
func TestAWrongClockEndsNoCharge(t *testing.T) {
	for _, step := range []time.Duration{-2 * time.Hour, 2 * time.Hour, 24 * time.Hour} {
		inBubble(t, func(t *testing.T, m *world) {
			l := m.boot()
			g := &grants{t: t, m: m}
			if _, err := l.d.Node().Charges.Admit(t.Context(), leasetest.Who("alice")); err != nil {
				t.Fatal(err)
			}
			if _, err := l.d.Node().Charges.Hand(t.Context(), by("alice"), chargeOf(t, m, g.grant("node", "ron", keepVerbs))); err != nil {
				t.Fatal(err)
			}
			m.step.Store(int64(step))
			m.pass(5 * time.Minute)
			if list, _ := l.d.Node().Charges.AllKept(t.Context()); len(list) != 1 || list[0].Over != "" || list[0].Doubt == "" {
				t.Errorf("%s: %+v", step, list)
			}
			m.step.Store(0)
			m.pass(time.Minute)
			if list, _ := l.d.Node().Charges.AllKept(t.Context()); len(list) != 1 || list[0].Over != "" || strings.Contains(list[0].Doubt, "clock") {
				t.Errorf("%s and back: %+v", step, list)
			}
			if step > 0 {
				return
			}
			// One that starts before the time of the grant, and has no journal to tell.
			l.kill()
			m.step.Store(int64(step))
			l = m.boot()
			m.pass(time.Minute)
			if list, _ := l.d.Node().Charges.AllKept(t.Context()); len(list) != 1 || list[0].Over != "" || !strings.Contains(list[0].Doubt, "clock") {
				t.Errorf("%s at a start: %+v", step, list)
			}
		})
	}
}

// What was kept once takes no room from what is to be kept.
func TestWhatIsOverTakesNoRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		node := m.boot().d.Node().Charges
		hand := func(label string) error {
			if _, err := node.Admit(t.Context(), leasetest.Who("alice")); err != nil {
				t.Fatal(err)
			}
			g := &grants{t: t, m: m} // of a record of its own
			c := chargeOf(t, m, g.grant("node", label, keepVerbs))
			c.Slice = label
			_, err := node.Hand(t.Context(), by("alice"), c)
			return err
		}
		for i := range 2*maxChargesEach + 2 {
			label := fmt.Sprintf("s%d", i)
			if err := hand(label); err != nil {
				t.Fatalf("%s: %v", label, err)
			}
			if _, err := node.Drop(t.Context(), by("alice"), label); err != nil {
				t.Fatal(err)
			}
			m.pass(time.Second)
		}
		list, err := node.Kept(t.Context(), by("alice"))
		if err != nil || len(list) > maxChargesEach+1 {
			t.Errorf("%d that are over are told of, %v", len(list), err)
		}
		for i := range maxChargesEach + 1 {
			err := hand(fmt.Sprintf("t%d", i))
			if full := i == maxChargesEach; errors.Is(err, api.ErrBusy) != full {
				t.Errorf("%d are kept: %v", i, err)
			}
		}
	})
}

// What would not run did not run, even where it is on record because its close was not
// confirmed.
func TestWhatCountsAsRun(t *testing.T) {
	n := leasetest.Who("n1")
	on := slice.Record{Slivers: []slice.Sliver{{Node: n, Sliver: "a"}}}
	for _, c := range []struct {
		done slice.Done
		ran  int
	}{
		{slice.Done{Outcome: slice.OK, Record: on}, 1},
		{slice.Done{Outcome: slice.Partial, Record: on}, 0},
		{slice.Done{Outcome: slice.Broken, Record: on}, 0},
		{slice.Done{Outcome: slice.OK}, 0},
	} {
		if got := ranAt(keep.Done{}, n, c.done); len(got.Ran) != c.ran || len(got.Missed) != 1-c.ran {
			t.Errorf("%+v: %+v", c.done, got)
		}
	}
}
