// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// A grant by alice, the record of her slice web that lists it, and what bob does
// an hour later: he runs a command in a sliver.
type grantCase struct {
	rule, verdict, drawing string
	record                 func(*lease.SliceRecord)
	deed                   func(*lease.Deed)
}

// shown is the authority of a case, and what it is shown for.
func (c grantCase) shown(t testing.TB) ([]byte, lease.Deed) {
	g := leasetest.Draw(t, c.drawing).Last()
	d := lease.Deed{By: who("bob"), Owner: who("alice"), Slice: "web", Any: lease.VerbExec, At: leasetest.Epoch + 3600}
	if c.deed != nil {
		c.deed(&d)
	}
	return leasetest.Authority(g, leasetest.Record(t, "alice", "web", 1, c.record, g)), d
}

var grants = []grantCase{
	{"G1", "ok", "grant(alice bob verbs=exec sequence=1 slice=web)", nil, nil},
	{"G1", "signature", "grant(alice bob verbs=exec sequence=1 slice=web sig=mallory)", nil, nil},
	{"G1", "kind", "ask(alice n1 cpu=1 slice=web)", nil, nil},
	{"G1", "field", "grant(alice alice verbs=exec sequence=1 slice=web)", nil, nil},
	{"G1", "field", "grant(alice bob sequence=1 slice=web)", nil, nil},
	{"G2", "grant", "grant(alice bob verbs=exec sequence=1 slice=db)", nil, nil},                                          // the record of another slice
	{"G2", "grant", "grant(alice bob verbs=exec sequence=1 slice=)", nil, nil},                                            // a device stands on the record without a label
	{"G2", "grant", "grant(bob carol verbs=exec sequence=1 slice=web)", nil, func(d *lease.Deed) { d.By = who("carol") }}, // a grant of a grant
	{"G3", "ok", "grant(alice bob verbs=exec sequence=1 slice=)", unlabelled, func(d *lease.Deed) { d.Slice = "any" }},
	{"G3", "grant", "grant(alice bob verbs=exec sequence=1 slice=web)", nil, func(d *lease.Deed) { d.Slice = "db" }},
	{"G3", "grant", "grant(alice bob verbs=exec sequence=1 slice=web)", nil, func(d *lease.Deed) { d.Owner = who("carol") }},
	{"G3", "grant", "grant(alice bob verbs=exec sequence=1 slice=)", unlabelled, func(d *lease.Deed) { d.Owner = who("carol") }},
	{"G4", "not-holder", "grant(alice bob verbs=exec sequence=1 slice=web)", nil, func(d *lease.Deed) { d.By = who("mallory") }},
	{"G5", "grant", "grant(alice bob verbs=logs,run,renew,stop,audit,publish sequence=1 slice=web)", nil, nil},
	{"G5", "ok", "grant(alice bob verbs=audit sequence=1 slice=web)", nil, func(d *lease.Deed) { d.Any = lease.AllVerbs }},
	{"G6", "lapsed", "grant(alice bob verbs=exec sequence=1 slice=web 2h..3h)", nil, nil},
	{"G6", "lapsed", "grant(alice bob verbs=exec sequence=1 slice=web 0h..1h)", nil, nil}, // half open
	{"G6", "ok", "grant(alice bob verbs=exec sequence=1 slice=web 1h..2h)", nil, nil},
	{"G7", "ok", "grant(alice bob verbs=run sequence=1 slice=web 1h..5h)", nil, run(5)},
	{"G7", "lapsed", "grant(alice bob verbs=run sequence=1 slice=web 1h..4h)", nil, run(5)},
	{"G8", "revoked", "grant(alice bob verbs=exec sequence=1 slice=web)", func(r *lease.SliceRecord) { r.Sequence, r.Grants = 2, nil }, nil},
	{"G8", "revoked", "grant(alice bob verbs=exec sequence=9 slice=web)", func(r *lease.SliceRecord) { r.Sequence, r.Grants = 1, nil }, nil},
	{"G8", "ok", "grant(alice bob verbs=exec sequence=1 slice=web)", func(r *lease.SliceRecord) { r.Sequence = 7 }, nil},
	{"G8", "lapsed", "grant(alice bob verbs=exec sequence=1 slice=web)", func(r *lease.SliceRecord) { r.Until = leasetest.Epoch + 3600 }, nil},
}

func who(name string) lease.Principal { return leasetest.Who(name) }

func unlabelled(r *lease.SliceRecord) { r.Slice = "" }

func run(hours int64) func(*lease.Deed) {
	return func(d *lease.Deed) { d.Any, d.Until = lease.VerbRun, leasetest.Epoch+hours*3600 }
}

func TestGrants(t *testing.T) {
	for _, c := range grants {
		shown, deed := c.shown(t)
		a, err := lease.OpenAuthority(shown)
		if err == nil {
			err = a.Allows(deed)
		}
		if v := leasetest.Verdict(err); v != c.verdict {
			t.Errorf("%s: %s\n\tgot %s (%v), want %s", c.rule, c.drawing, v, err, c.verdict)
		}
	}
}

// A grant that stood on a record falls with the next one, whatever its holder
// shows: who judges puts the newest that it knows in the place of what is shown.
func TestTheNewestRecordCounts(t *testing.T) {
	tree := leasetest.Draw(t, "grant(alice bob verbs=exec sequence=1 slice=web)")
	old := leasetest.Record(t, "alice", "web", 1, nil, tree.Last())
	revoked := leasetest.Record(t, "alice", "web", 2, nil)
	other := leasetest.Record(t, "alice", "db", 3, nil)
	a, err := lease.OpenAuthority(leasetest.Authority(tree.Last(), old))
	if err != nil {
		t.Fatal(err)
	}
	deed := lease.Deed{By: who("bob"), Owner: who("alice"), Slice: "web", Any: lease.VerbExec, At: leasetest.Epoch + 60}
	now, err := a.On(revoked)
	if err != nil {
		t.Fatal(err)
	}
	if v := leasetest.Verdict(now.Allows(deed)); v != "revoked" || a.Allows(deed) != nil {
		t.Errorf("on the next record: %s; on the old one: %v", v, a.Allows(deed))
	}
	if _, err := a.On(other); leasetest.Verdict(err) != "grant" {
		t.Errorf("on another slice's record: %v", err)
	}
	if !revoked.Newer(old) || old.Newer(revoked) || old.Newer(old) {
		t.Error("the higher sequence is not the newer")
	}
	twin := leasetest.Record(t, "alice", "web", 2, func(r *lease.SliceRecord) { r.Made++ })
	if revoked.Newer(twin) == twin.Newer(revoked) {
		t.Error("of two records of one sequence, not exactly one counts")
	}
}

// What is wrong with a record by itself.
func TestSliceRecords(t *testing.T) {
	good := lease.SliceRecord{Owner: who("alice"), Slice: "web", Sequence: 1, Made: leasetest.Epoch, Until: leasetest.Epoch + 60,
		Grants: []lease.ID{{1}, {2}}, Nodes: []lease.Principal{{3}, {4}}}
	change := func(f func(*lease.SliceRecord)) lease.SliceRecord {
		r := good
		f(&r)
		return r
	}
	full := change(func(r *lease.SliceRecord) {
		r.Slice, r.Sequence, r.Grants, r.Nodes = strings.Repeat("a", lease.MaxLabel), 1<<63, nil, nil
		for i := range lease.MaxGrants {
			r.Grants = append(r.Grants, lease.ID{byte(i)})
		}
		for i := range lease.MaxSliceNodes {
			r.Nodes = append(r.Nodes, lease.Principal{byte(i)})
		}
	})
	for name, c := range map[string]struct {
		record  lease.SliceRecord
		verdict string
	}{
		"good":             {good, "ok"},
		"full":             {full, "ok"},
		"no label":         {change(func(r *lease.SliceRecord) { r.Slice = "" }), "ok"},
		"bad label":        {change(func(r *lease.SliceRecord) { r.Slice = "Web" }), "field"},
		"sequence 0":       {change(func(r *lease.SliceRecord) { r.Sequence = 0 }), "field"},
		"no owner":         {change(func(r *lease.SliceRecord) { r.Owner = lease.Principal{} }), "field"},
		"empty term":       {change(func(r *lease.SliceRecord) { r.Until = r.Made }), "field"},
		"endless":          {change(func(r *lease.SliceRecord) { r.Until = r.Made + lease.MaxTerm + 1 }), "field"},
		"grants unordered": {change(func(r *lease.SliceRecord) { r.Grants = []lease.ID{{2}, {1}} }), "field"},
		"a grant twice":    {change(func(r *lease.SliceRecord) { r.Grants = []lease.ID{{1}, {1}} }), "field"},
		"nodes unordered":  {change(func(r *lease.SliceRecord) { r.Nodes = []lease.Principal{{2}, {1}} }), "field"},
		"too many grants":  {change(func(r *lease.SliceRecord) { r.Grants = append(slices.Clone(full.Grants), lease.ID{0xff}) }), "field"},
		"too many nodes":   {change(func(r *lease.SliceRecord) { r.Nodes = append(slices.Clone(full.Nodes), lease.Principal{0xff}) }), "field"},
	} {
		if _, err := lease.SealSlice(c.record, leasetest.Key("alice")); c.record.Owner == who("alice") && leasetest.Verdict(err) != c.verdict {
			t.Errorf("%s: sealing: %v, want %s", name, err, c.verdict)
		}
		signed, err := lease.SealAs(lease.SliceDomain, c.record, leasetest.Key("alice"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lease.OpenSlice(signed.Bytes()); leasetest.Verdict(err) != c.verdict {
			t.Errorf("%s: opening: %v, want %s", name, err, c.verdict)
		}
		if len(signed.Bytes()) > lease.MaxSliceRecord-2000 && c.verdict == "ok" {
			t.Errorf("%s: %d bytes leave too little room", name, len(signed.Bytes()))
		}
	}
	if _, err := lease.SealSlice(good, leasetest.Key("bob")); leasetest.Verdict(err) != "signature" {
		t.Errorf("sealed with another key: %v", err)
	}
	for domain, key := range map[string]string{lease.SliceDomain: "bob", lease.Domain: "alice"} {
		signed, err := lease.SealAs(domain, good, leasetest.Key(key))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lease.OpenSlice(signed.Bytes()); leasetest.Verdict(err) != "signature" {
			t.Errorf("domain %q, key of %s: %v", domain, key, err)
		}
	}
	if _, err := lease.OpenSlice(make([]byte, lease.MaxSliceRecord+1)); leasetest.Verdict(err) != "too-big" {
		t.Errorf("oversize: %v", err)
	}
	if _, err := lease.OpenAuthority(make([]byte, lease.MaxAuthority+1)); leasetest.Verdict(err) != "too-big" {
		t.Errorf("oversize authority: %v", err)
	}
}

const (
	heldByBob = "ask(bob n1 cpu=1 slice=web owner=alice) -> lease() -> "
	mayStop   = "grant(alice carol verbs=stop sequence=1 slice=web)"
	mayLate   = "grant(alice carol verbs=stop sequence=1 slice=web 1h..2h)"
	mayAllBut = "grant(alice carol verbs=run,renew,logs,exec,audit,publish sequence=1 slice=web)"
)

// The ends of a lease that another holds for alice's slice.
var grantedEnds = []struct {
	rule, drawing, verdict, grant string
}{
	{"E3", heldByBob + "close(by=bob)", "ok", ""},
	{"E3", heldByBob + "close(by=alice)", "ok", ""},
	{"E3", heldByBob + "close(by=carol)", "not-holder", ""},
	{"E3", "ask(bob n1 cpu=1 slice=web owner=alice) -> hold() -> close(by=alice)", "not-holder", ""},
	{"E5", heldByBob + "close(by=carol)", "ok", mayStop},
	{"E5", heldByBob + "close(by=bob)", "ok", mayStop},
	{"E5", heldByBob + "close(by=mallory)", "not-holder", mayStop},
	{"E5", heldByBob + "close(by=carol)", "lapsed", mayLate},
	{"E5", "ask(bob n1 cpu=1 slice=db owner=alice) -> lease() -> close(by=carol)", "grant", mayStop},
	{"E5", "ask(bob n1 cpu=1 slice=web) -> lease() -> close(by=carol)", "grant", mayStop},
	{"E5", "ask(bob n1 cpu=1 slice=web owner=alice) -> hold() -> close(by=carol)", "not-holder", mayStop},
	{"E5", heldByBob + "close(by=carol)", "grant", mayAllBut},
}

func TestEndsByOthers(t *testing.T) {
	for _, c := range grantedEnds {
		d := leasetest.Draw(t, c.drawing).Last()
		claim, err := d.Up.Signed.Open()
		if err != nil {
			t.Fatal(err)
		}
		if c.grant == "" {
			_, err = lease.VerifyEnd(claim, d.Signed.Bytes())
		} else {
			g := leasetest.Draw(t, c.grant).Last()
			a, bad := lease.OpenAuthority(leasetest.Authority(g, leasetest.Record(t, "alice", "web", 1, nil, g)))
			if bad != nil {
				t.Fatal(bad)
			}
			_, err = lease.VerifyGrantedEnd(claim, d.Signed.Bytes(), a)
		}
		if v := leasetest.Verdict(err); v != c.verdict {
			t.Errorf("%s: %s\n\tgot %s (%v), want %s", c.rule, c.drawing, v, err, c.verdict)
		}
	}
}

// Every rule of slices.md that can be broken by bytes is broken by a case above.
func TestSliceRulesAreDocumentedAndBroken(t *testing.T) {
	broken := map[string]bool{}
	for _, c := range grants {
		broken[c.rule] = broken[c.rule] || c.verdict != "ok"
	}
	for _, m := range regexp.MustCompile(`\*\*(G\d+)\*\*`).FindAllStringSubmatch(document(t, "slices.md"), -1) {
		if !broken[m[1]] {
			t.Errorf("%s is broken by no case", m[1])
		}
		delete(broken, m[1])
	}
	if len(broken) > 0 {
		t.Errorf("not in slices.md: %v", broken)
	}
}

func TestVerbs(t *testing.T) {
	for v := lease.Verbs(1); v <= lease.AllVerbs; v++ {
		if got, err := lease.ParseVerbs(v.String()); err != nil || got != v {
			t.Fatalf("%s reads as %s, %v", v, got, err)
		}
	}
	for _, s := range []string{"", "sudo", "logs,", "logs;exec"} {
		if v, err := lease.ParseVerbs(s); err == nil {
			t.Errorf("%q reads as %s", s, v)
		}
	}
}

func FuzzOpenAuthority(f *testing.F) {
	g := leasetest.Draw(f, "grant(alice bob verbs=exec sequence=1 slice=web)").Last()
	corpus(f, func(v vector) {
		if v.Authority != "" {
			f.Add(unhex(v.Authority))
		}
		if v.Record != "" {
			f.Add(lease.SealAuthority(g.Signed.Bytes(), unhex(v.Record)))
		}
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := lease.OpenAuthority(b)
		if err != nil {
			return
		}
		if a.Record.Owner != a.Issuer || a.Record.Slice != a.Slice {
			t.Error("a grant on another's record")
		}
		if again, err := lease.OpenSlice(a.Record.Bytes); err != nil || again.ID != a.Record.ID || !bytes.Equal(again.Bytes, a.Record.Bytes) {
			t.Errorf("the record does not open again: %v", err)
		}
	})
}
