// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/sandbox"
)

// dhtModel is a DHT that somebody else fills.
type dhtModel struct {
	mu    sync.Mutex
	has   map[string]lease.OpenedSlice // by label
	slow  time.Duration
	asked int
	put   []string
}

func (m *dhtModel) PutRecord(_ context.Context, r lease.OpenedSlice) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put = append(m.put, r.Slice)
	return nil
}

func (m *dhtModel) Record(ctx context.Context, _ lease.Principal, label string) (lease.OpenedSlice, error) {
	m.mu.Lock()
	m.asked++
	r, ok := m.has[label]
	slow := m.slow
	m.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return r, ctx.Err()
	}
	if !ok {
		return r, errors.New("not found")
	}
	return r, nil
}

// grants is alice's slice ron, and what she signs about it.
type grants struct {
	t        *testing.T
	m        *world
	sequence uint64
	stand    []lease.ID
}

// grant signs a grant for a day and returns what its holder shows.
func (g *grants) grant(holder, slice string, verbs lease.Verbs) []byte {
	g.t.Helper()
	now := g.m.Wall().Unix()
	s, err := lease.Seal(&lease.Grant{K: lease.KindGrant, Issuer: leasetest.Who("alice"), Holder: leasetest.Who(holder), From: now - 60,
		Until: now + 86400, Slice: slice, Verbs: verbs, Sequence: g.sequence + 1}, leasetest.Key("alice"))
	if err != nil {
		g.t.Fatal(err)
	}
	g.stand = append(g.stand, s.ID())
	return lease.SealAuthority(s.Bytes(), g.record(slice).Bytes)
}

// record signs the next record, on which all grants stand.
func (g *grants) record(slice string) lease.OpenedSlice {
	g.t.Helper()
	g.sequence++
	now := g.m.Wall().Unix()
	list := slices.SortedFunc(slices.Values(g.stand), func(a, b lease.ID) int { return bytes.Compare(a[:], b[:]) })
	r, err := lease.SealSlice(lease.SliceRecord{Owner: leasetest.Who("alice"), Slice: slice, Sequence: g.sequence,
		Made: now - 60, Until: now + 86400, Grants: list}, leasetest.Key("alice"))
	if err != nil {
		g.t.Fatal(err)
	}
	return r
}

// revoked signs a record on which no grant stands.
func (g *grants) revoked(slice string) lease.OpenedSlice {
	g.stand = nil
	return g.record(slice)
}

func TestWhoMayDoWhatWithASliver(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		alice.run(l, "a", time.Hour)
		m.settle()
		sliver := alice.sees(l)[0].Sliver
		g := &grants{t: t, m: m}
		l.d.deps.Hosting.Taps = tapModel{}
		node := l.d.Node()
		verbs := map[string]func(api.Caller) error{
			"see": func(by api.Caller) error {
				list, err := node.Slivers.Slivers(t.Context(), by)
				if err == nil && len(list) == 0 {
					err = api.ErrNoSliver
				}
				return err
			},
			"traffic": func(by api.Caller) error { _, err := node.Slivers.Traffic(t.Context(), by, sliver); return err },
			"logs": func(by api.Caller) error {
				return node.Slivers.Logs(t.Context(), by, sliver, sandbox.LogOptions{}, io.Discard)
			},
			"exec": func(by api.Caller) error {
				_, err := node.Slivers.Exec(t.Context(), by, sliver, sandbox.Exec{Args: []string{"true"}}, sandbox.IO{})
				return err
			},
			"audit": func(by api.Caller) error {
				if by.Authority == nil {
					return api.ErrNoSliver // it is of slices of one's own then
				}
				_, err := node.Audit.Flows(t.Context(), by, "ron")
				return err
			},
			"rows": func(by api.Caller) error {
				if by.Authority == nil {
					return api.ErrNoSliver
				}
				for _, err := range node.Exports.Rows(t.Context(), by, "ron", time.Time{}, time.Time{}) {
					return err
				}
				return nil
			},
			"capture": func(by api.Caller) error {
				_, err := node.Exports.Capture(t.Context(), by, sliver, api.CaptureRequest{Packets: 1}, io.Discard)
				return err
			},
		}
		for name, c := range map[string]struct {
			who   string
			shows []byte
			may   string
		}{
			"the owner":                      {"alice", nil, "see traffic logs exec audit rows capture"},
			"a stranger":                     {"mallory", nil, ""},
			"with the grant of another":      {"mallory", g.grant("bob", "ron", lease.AllVerbs), ""},
			"with rubbish":                   {"mallory", []byte("rubbish"), ""},
			"who may read":                   {"bob", g.grant("bob", "ron", lease.VerbLogs), "see traffic logs"},
			"who may enter":                  {"bob", g.grant("bob", "ron", lease.VerbExec), "see traffic exec"},
			"who may read the traffic":       {"bob", g.grant("bob", "ron", lease.VerbAudit), "see traffic audit rows capture"},
			"who may renew":                  {"bob", g.grant("bob", "ron", lease.VerbRenew), "see traffic"},
			"who may all":                    {"bob", g.grant("bob", "ron", lease.AllVerbs), "see traffic logs exec audit rows capture"},
			"who may all with another slice": {"bob", g.grant("bob", "db", lease.AllVerbs), ""},
			"a device":                       {"phone", g.grant("phone", "", lease.AllVerbs), "see traffic logs exec audit rows capture"},
		} {
			by := api.Caller{Principal: leasetest.Who(c.who), Authority: c.shows}
			for verb, does := range verbs {
				if c.who == "alice" && (verb == "audit" || verb == "rows") {
					continue
				}
				err := does(by)
				if want := strings.Contains(c.may, verb); (err == nil) != want {
					t.Errorf("%s: %s: %v", name, verb, err)
				}
				if err != nil && !errors.Is(err, api.ErrNoSliver) && !errors.Is(err, api.ErrNotGranted) {
					t.Errorf("%s: %s: %v is no refusal", name, verb, err)
				}
			}
		}
	})
}

// A grant that was taken back falls where the owner tells the node, at once, and
// stays fallen over a crash, whatever its holder shows.
func TestARevokedGrantFallsAndStaysFallen(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		alice.run(l, "a", time.Hour)
		m.settle()
		sliver := alice.sees(l)[0].Sliver
		g := &grants{t: t, m: m}
		bob := api.Caller{Principal: leasetest.Who("bob"), Authority: g.grant("bob", "ron", lease.VerbLogs)}
		read := func(l *life) error {
			return l.d.Node().Slivers.Logs(t.Context(), bob, sliver, sandbox.LogOptions{}, io.Discard)
		}
		if err := read(l); err != nil {
			t.Fatal(err)
		}
		next := g.revoked("ron")
		told, err := l.d.Node().Slices.Tell(t.Context(), api.Caller{Principal: leasetest.Who("carol")}, next.Bytes)
		if err != nil || !bytes.Equal(told.Record, next.Bytes) {
			t.Fatalf("telling: %v", err)
		}
		if err := read(l); !errors.Is(err, lease.ErrRevoked) || !errors.Is(err, api.ErrNotGranted) {
			t.Errorf("after the next record: %v", err)
		}
		l.kill()
		l = m.boot()
		m.settle()
		if err := read(l); !errors.Is(err, lease.ErrRevoked) {
			t.Errorf("after a crash: %v", err)
		}
		old, err := lease.OpenAuthority(bob.Authority)
		if err != nil {
			t.Fatal(err)
		}
		if told, err := l.d.Node().Slices.Tell(t.Context(), bob, old.Record.Bytes); err != nil || !bytes.Equal(told.Record, next.Bytes) {
			t.Errorf("the older record, told again: %v", err)
		}
	})
}

// Where nobody tells the node, it asks the DHT: the first time before it
// believes, later beside.
func TestARevokedGrantFallsByTheDHT(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		d := &dhtModel{has: map[string]lease.OpenedSlice{}}
		l.d.deps.Slices = d
		alice.run(l, "a", time.Hour)
		m.settle()
		sliver := alice.sees(l)[0].Sliver
		g := &grants{t: t, m: m}
		bob := api.Caller{Principal: leasetest.Who("bob"), Authority: g.grant("bob", "ron", lease.VerbLogs)}
		read := func() error {
			return l.d.Node().Slivers.Logs(t.Context(), bob, sliver, sandbox.LogOptions{}, io.Discard)
		}
		set := func(r lease.OpenedSlice) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.has[r.Slice] = r
		}
		set(g.revoked("ron"))
		if err := read(); !errors.Is(err, lease.ErrRevoked) {
			t.Errorf("the DHT knew it when it was first used: %v", err)
		}

		bob.Authority = g.grant("bob", "ron", lease.VerbLogs)
		if err := read(); err != nil {
			t.Errorf("granted anew: %v", err)
		}
		for range 10 {
			if err := read(); err != nil {
				t.Fatal(err)
			}
		}
		if d.asked != 1 {
			t.Errorf("the DHT was asked %d times within a moment", d.asked)
		}
		set(g.revoked("ron"))
		m.pass(recordAge + time.Second)
		if err := read(); err != nil && !errors.Is(err, lease.ErrRevoked) { // has it looked up, and need not wait for it
			t.Error(err)
		}
		m.settle()
		if err := read(); !errors.Is(err, lease.ErrRevoked) {
			t.Errorf("half a minute later: %v", err)
		}
	})
}

func TestASilentDHTHoldsNobodyUpForLong(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		l.d.deps.Slices = &dhtModel{slow: time.Hour}
		alice.run(l, "a", time.Hour)
		m.settle()
		sliver := alice.sees(l)[0].Sliver
		g := &grants{t: t, m: m}
		bob := api.Caller{Principal: leasetest.Who("bob"), Authority: g.grant("bob", "ron", lease.VerbLogs)}
		began := m.Wall()
		for range 2 {
			if err := l.d.Node().Slivers.Logs(t.Context(), bob, sliver, sandbox.LogOptions{}, io.Discard); err != nil {
				t.Error(err)
			}
		}
		if took := m.Wall().Sub(began); took != recordWait { // virtual time
			t.Errorf("two calls took %s", took)
		}
	})
}

// A session that goes on ends with the right to it.
func TestASessionEndsWithTheGrant(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		alice.run(l, "a", time.Hour)
		m.settle()
		sliver := alice.sees(l)[0].Sliver
		e, err := look(t.Context(), l.d, func(l *lease.Ledger) lease.Entry { e, _ := l.Sliver(sliver); return e })
		if err != nil {
			t.Fatal(err)
		}
		g := &grants{t: t, m: m}
		begin := func(by api.Caller) (context.Context, context.CancelFunc) {
			r, err := l.d.rights(t.Context(), by)
			if err != nil {
				t.Fatal(err)
			}
			return l.d.session(t.Context(), r, e, lease.VerbExec)
		}
		bob, endBob := begin(api.Caller{Principal: leasetest.Who("bob"), Authority: g.grant("bob", "ron", lease.VerbExec)})
		hers, endHers := begin(api.Caller{Principal: leasetest.Who("alice")})
		defer endBob()
		defer endHers()
		tell := func(r lease.OpenedSlice) {
			if _, err := l.d.Node().Slices.Tell(t.Context(), api.Caller{}, r.Bytes); err != nil {
				t.Fatal(err)
			}
			m.settle()
		}
		tell(g.record("ron")) // on which it stands too
		if bob.Err() != nil {
			t.Error("ended although the grant stands")
		}
		tell(g.revoked("ron"))
		if !errors.Is(context.Cause(bob), lease.ErrRevoked) || hers.Err() != nil {
			t.Errorf("bob's: %v, hers: %v", context.Cause(bob), hers.Err())
		}

		again, end := begin(api.Caller{Principal: leasetest.Who("bob"), Authority: g.grant("bob", "ron", lease.VerbExec)})
		defer end()
		m.pass(23 * time.Hour)
		if again.Err() != nil {
			t.Errorf("ended early: %v", context.Cause(again))
		}
		m.pass(time.Hour)
		if !errors.Is(context.Cause(again), lease.ErrLapsed) {
			t.Errorf("after its term: %v", context.Cause(again))
		}
	})
}

// Bob runs, renews and stops for alice, each by its own verb.
func TestATeamMateRunsRenewsAndStops(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice, bob := m.boot(), newPerson(t, "alice"), newPerson(t, "bob")
		g := &grants{t: t, m: m}
		const rset = "cpu=100,memory=64MiB,pids=8,egress.rate=1mbit,egress.packets=100"
		bob.owner = leasetest.Who("alice")
		wish := bob.wish("b", m.Wall(), time.Hour, rset, lease.ID{})
		if _, err := bob.hold(l, wish); err == nil {
			t.Fatal("without a grant")
		}
		bob.shows = g.grant("bob", "ron", lease.VerbRun)
		id := bob.run(l, "b", time.Hour)
		m.settle()
		if s := bob.sees(l); len(s) != 1 || s[0].Holder != leasetest.Who("bob") || s[0].Owner != leasetest.Who("alice") || len(s[0].Signed) == 0 {
			t.Fatalf("bob sees %+v", s)
		}
		sliver := alice.sees(l)[0].Sliver
		for _, tenure := range m.tenures {
			if want := "ron@" + leasetest.Who("alice").String(); tenure.Slice != want {
				t.Errorf("its traffic is that of %s", tenure.Slice)
			}
		}
		// Who holds the lease may not therefore enter; the owner may.
		enter := func(p *person) error {
			_, err := l.d.Node().Slivers.Exec(t.Context(), p.caller(), sliver, sandbox.Exec{Args: []string{"true"}}, sandbox.IO{})
			return err
		}
		if err := enter(bob); !errors.Is(err, api.ErrNotGranted) {
			t.Errorf("bob entered: %v", err)
		}
		bare := newPerson(t, "bob")
		if err := enter(bare); !errors.Is(err, api.ErrNotGranted) || len(bare.sees(l)) != 1 {
			t.Errorf("bob, showing nothing, entered or does not see: %v", err)
		}
		if err := enter(alice); err != nil {
			t.Errorf("the owner may not enter: %v", err)
		}

		carol := newPerson(t, "carol")
		carol.owner, carol.shows = leasetest.Who("alice"), g.grant("carol", "ron", lease.VerbRenew)
		hold, err := carol.hold(l, carol.wish("c", m.Wall(), 2*time.Hour, rset, id))
		if err != nil {
			t.Fatal(err)
		}
		renewed, err := carol.commit(l, hold)
		if err != nil {
			t.Fatal(err)
		}
		m.settle()
		if s := alice.sees(l); len(s) != 1 || s[0].Sliver != sliver || s[0].Lease != renewed {
			t.Errorf("alice sees %+v", s)
		}

		dave := newPerson(t, "dave")
		if err := dave.end(l, dave.close(renewed, m.Wall())); err == nil {
			t.Error("a stranger closed it")
		}
		dave.shows = g.grant("dave", "ron", lease.VerbStop)
		if _, err := l.d.Node().Slices.Tell(t.Context(), dave.caller(), g.revoked("ron").Bytes); err != nil {
			t.Fatal(err)
		}
		if err := dave.end(l, dave.close(renewed, m.Wall())); err == nil {
			t.Error("closed by a grant that was taken back")
		}
		dave.shows = g.grant("dave", "ron", lease.VerbStop)
		if err := dave.end(l, dave.close(renewed, m.Wall())); err != nil {
			t.Error(err)
		}
		m.pass(3 * time.Second)
		m.idle()
	})
}

func TestRecordsAreBoundedAndHostedOnesStay(t *testing.T) {
	dir := t.TempDir()
	warn := func(string, ...any) { t.Error("warned") }
	s, err := openRecords(dir, warn)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(leasetest.Epoch, 0)
	hosted := leasetest.Record(t, "alice", "web", 3, nil)
	if _, err := s.put(hosted, true, now); err != nil {
		t.Fatal(err)
	}
	for i := range maxRecords + 1 {
		r := lease.OpenedSlice{SliceRecord: lease.SliceRecord{Owner: lease.Principal{byte(i), byte(i >> 8)}, Until: leasetest.Epoch + 60}}
		if _, err := s.put(r, false, now.Add(time.Duration(i+1)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.known); n != maxRecords {
		t.Errorf("%d are kept", n)
	}
	if _, known, _ := s.get(keyOf(hosted), now); !known {
		t.Error("the one with slivers here is gone")
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files for one hosted slice", len(files))
	}
	if err := os.WriteFile(filepath.Join(dir, "x"+recordFile), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	warned := 0
	s, err = openRecords(dir, func(string, ...any) { warned++ })
	if err != nil || warned != 1 || len(s.known) != 1 {
		t.Errorf("read again: %d records, %d warnings, %v", len(s.known), warned, err)
	}
	// It is kept as long as any record of the slice said, then forgotten.
	short := leasetest.Record(t, "alice", "web", 4, func(r *lease.SliceRecord) { r.Until = leasetest.Epoch + 10 })
	if _, err := s.put(short, false, now); err != nil {
		t.Fatal(err)
	}
	none := func(sliceKey) bool { return false }
	last := time.Unix(leasetest.Epoch+leasetest.Day-1, 0)
	if _, err := s.hosted(none, last); err != nil || len(s.known) != 1 {
		t.Errorf("forgotten early, %v", err)
	}
	if _, err := s.hosted(none, time.Unix(leasetest.Epoch+leasetest.Day, 0)); err != nil || len(s.known) != 0 {
		t.Errorf("not forgotten: %v", err)
	}
}

func TestHostedRecordsArePublishedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		d := &dhtModel{}
		l.d.deps.Slices = d
		alice.run(l, "a", 24*time.Hour)
		g := &grants{t: t, m: m}
		for _, slice := range []string{"ron", "db", ""} {
			if _, err := l.d.Node().Slices.Tell(t.Context(), api.Caller{}, g.record(slice).Bytes); err != nil {
				t.Fatal(err)
			}
		}
		m.pass(republishEvery)
		d.mu.Lock()
		defer d.mu.Unlock()
		if !slices.Equal(d.put, []string{"", "ron"}) {
			t.Errorf("published %q", d.put)
		}
	})
}
