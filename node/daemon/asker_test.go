// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/ebpf/optout"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
)

// deedOf is ann's slice beside web on the desk's node, in the same segment.
func deedOf(t *testing.T, n1 *record) string {
	t.Helper()
	name := "deed@" + leasetest.Who("ann").String()
	err := n1.AppendTenure(audit.Tenure{Sliver: "s2", Slice: name, Place: 2, First: 20256, Last: 20511, From: 1})
	n1.epoch++
	at := n1.clock * 1e9
	e := ebpf.Epoch{Series: 7, Number: n1.epoch, At: at, Flows: []ebpf.Flow{{Place: 2, Sliver: "s2", Proto: 6,
		Src: netip.MustParseAddrPort("10.0.0.3:40000"), Dst: sentTo, Packets: 2, Bytes: 200, First: at - 1e9, Last: at}}}
	e.Identity.Seen, e.Identity.Recorded = 2, 2
	if err := errors.Join(err, n1.Append(e)); err != nil {
		t.Fatal(err)
	}
	return name
}

// seenBy is a node's sighting, as text.
func seenBy(t *testing.T, node, who string, addr netip.Addr, at time.Time) string {
	t.Helper()
	s, err := audit.SealSighting(addr, leasetest.Who(who), at, leasetest.Key(node))
	if err != nil {
		t.Fatal(err)
	}
	return s.Text() + "\n"
}

// Names go to who shows that he holds the destination, to owners their own, and
// nothing that comes back to anybody else has one in it.
func TestWhoIsToldNames(t *testing.T) {
	a, n1, clock := desk(t)
	deed := deedOf(t, n1)
	n1.segment(3)
	clock.at = time.Unix(n1.clock+1, 0)
	a.d.deps.OptOuts = newResident(t, "n1", "198.51.100.7").out
	var nodes []optout.Node
	for i, name := range []string{"b1", "c1", "d1"} {
		nodes = append(nodes, optout.Node{Principal: leasetest.Who(name), Site: leasetest.Who("site " + name), Port: 4080,
			Addrs: []netip.Addr{netip.AddrFrom4([4]byte{198, 18, byte(i), 11})}})
	}
	a.d.deps.OptOuts.step(optout.Known{Nodes: nodes})

	to := sentTo.Addr()
	three := seenBy(t, "b1", "me", to, clock.at) + seenBy(t, "c1", "me", to, clock.at) + seenBy(t, "d1", "me", to, clock.at)
	anyPort := netip.AddrPortFrom(sentBy.Addr(), 0)
	for name, c := range map[string]struct {
		who, shown string
		src        netip.AddrPort
		verdict    string
		slices     []string
		withheld   int
		unshown    string
	}{
		"a stranger":                   {"me", "", sentBy, "exact", nil, 1, ""},
		"a stranger, of any port":      {"me", "", anyPort, "one of 2 slices", nil, 2, ""},
		"who was seen here":            {"me", seenBy(t, "n1", "me", to, clock.at), anyPort, "one of 2 slices", []string{deed, "web@n1"}, 0, ""},
		"who was seen by three":        {"me", three, sentBy, "exact", []string{"web@n1"}, 0, ""},
		"who was seen by two":          {"me", three[:2*len(three)/3], sentBy, "exact", nil, 1, "3 are needed"},
		"who brings another's":         {"you", seenBy(t, "n1", "me", to, clock.at), sentBy, "exact", nil, 1, "another principal"},
		"who was seen somewhere else":  {"me", seenBy(t, "n1", "me", to.Next(), clock.at), sentBy, "exact", nil, 1, "a sighting is of"},
		"who was seen long ago":        {"me", seenBy(t, "n1", "me", to, clock.at.Add(-audit.SightingTerm-time.Second)), sentBy, "exact", nil, 1, "older"},
		"the owner of another slice":   {"ann", "", sentBy, "exact", nil, 1, ""},
		"the owner of one of the two":  {"ann", "", anyPort, "one of 2 slices", []string{deed}, 1, ""},
		"an owner who was seen here":   {"ann", seenBy(t, "n1", "ann", to, clock.at), anyPort, "one of 2 slices", []string{deed, "web@n1"}, 0, ""},
		"a stranger, of nobody's port": {"me", "", netip.AddrPortFrom(sentBy.Addr(), 61000), "none", nil, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a.asked = newAsked()
			ans, err := a.Who(t.Context(), api.Caller{Principal: leasetest.Who(c.who)}, api.WhoRequest{Src: c.src, Dst: sentTo,
				At: time.Unix(1_000_000, 0), Within: 2, Prove: true, Shown: c.shown})
			if err != nil {
				t.Fatal(err)
			}
			if ans.Verdict != c.verdict || !slices.Equal(ans.Slices, c.slices) || ans.Withheld != c.withheld ||
				!strings.Contains(ans.Unshown, c.unshown) || c.unshown == "" && ans.Unshown != "" {
				t.Errorf("%s, %v, %d withheld, %q", ans.Verdict, ans.Slices, ans.Withheld, ans.Unshown)
			}
			signed, err := audit.OpenAssertion(ans.Signed)
			if err != nil || !slices.Equal(signed.Slices, c.slices) || signed.Withheld != c.withheld {
				t.Errorf("signed %+v, %v", signed.Assertion, err)
			}
			d := audit.Dossier{Answers: []audit.OpenedAssertion{signed}}
			raw, _ := json.Marshal(ans)
			for _, b := range ans.Proofs {
				p, err := audit.ReadProof(b)
				if err != nil {
					t.Fatal(err)
				}
				d.Proofs = append(d.Proofs, p)
				raw = append(raw, b...)
			}
			if j := d.Judge(); !j.Holds() || len(j.Answers[0].Unshown) > 0 {
				t.Errorf("offline: %+v", j)
			}
			raw = append(raw, ans.Signed...)
			for slice, sliver := range map[string]string{"web@n1": "s1", deed: "s2"} {
				leaks := bytes.Contains(raw, []byte(slice)) || bytes.Contains(raw, []byte(`"`+sliver+`"`)) || bytes.Contains(raw, []byte("b"+sliver))
				if told := slices.Contains(c.slices, slice); leaks != told {
					t.Errorf("%s is told: %v, and stands in the answer: %v", slice, told, leaks)
				}
			}
		})
	}
	if _, err := a.Who(t.Context(), api.Caller{Principal: leasetest.Who("me")}, api.WhoRequest{Src: sentBy, Dst: sentTo, At: clock.at,
		Shown: "croft-sighting:AAAA"}); !errors.Is(err, api.ErrBadRequest) {
		t.Errorf("garbage is shown: %v", err)
	}
}

// Sightings of a node's address show nothing, whoever made them and however many: a
// tenant there is seen as the node is. The node alone may show it.
func TestATenantsSightingsDoNotCount(t *testing.T) {
	a, n1, clock := desk(t)
	n1.segment(3)
	clock.at = time.Unix(n1.clock+1, 0)
	a.d.deps.OptOuts = newResident(t, "n1", "198.51.100.7").out
	to := sentTo.Addr()
	a.d.deps.OptOuts.step(optout.Known{Nodes: []optout.Node{{Principal: leasetest.Who("b1"), Addrs: []netip.Addr{to}}, {Principal: leasetest.Who("c1")}}})
	for who, slices := range map[string]int{"me": 0, "c1": 0, "b1": 1} {
		ans, err := a.Who(t.Context(), api.Caller{Principal: leasetest.Who(who)}, api.WhoRequest{Src: sentBy, Dst: sentTo,
			At: time.Unix(1_000_000, 0), Within: 2, Shown: seenBy(t, "n1", who, to, clock.at)})
		if err != nil || len(ans.Slices) != slices || ans.Withheld != 1-slices || strings.Contains(ans.Unshown, sharedAddr) != (slices == 0) {
			t.Errorf("%s: %+v, %v", who, ans, err)
		}
	}
}

// What does not count costs its network: whoever shows nothing is refused before a
// signature is looked at, and who shows his address is charged nothing.
func TestShowingNothingIsBounded(t *testing.T) {
	a, n1, clock := desk(t)
	n1.segment(1)
	from, other := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24")
	ask := func(from netip.Prefix, shown string) error {
		_, err := a.asker(api.WithSource(t.Context(), from), api.Caller{Principal: leasetest.Who("me")}, shown, sentTo.Addr())
		return err
	}
	shows := seenBy(t, "n1", "me", sentTo.Addr(), clock.at)
	for range 3 * askBurst {
		if err := ask(from, shows); err != nil {
			t.Fatalf("a holder: %v", err)
		}
	}
	stranger := strings.Repeat(seenBy(t, "nobody", "me", sentTo.Addr(), clock.at), audit.MaxSightings)
	for n := range askBurst {
		if err := ask(from, stranger); err != nil {
			t.Fatalf("the first that shows nothing, %d: %v", n, err)
		}
	}
	if err := ask(from, stranger); !errors.Is(err, api.ErrBusy) {
		t.Errorf("one too many: %v", err)
	}
	if err := ask(from, ""); err != nil {
		t.Errorf("who brings nothing: %v", err)
	}
	if err := ask(other, stranger); err != nil {
		t.Errorf("another network: %v", err)
	}
	a.asked.charge(clock.at, netip.MustParsePrefix("203.0.113.0/24"), askBurst)
	for range askBurst - 1 {
		if err := ask(other, shows); err != nil {
			t.Fatalf("a holder who has asked all that he may: %v", err)
		}
	}
	if err := ask(other, shows); !errors.Is(err, api.ErrBusy) {
		t.Errorf("a holder who is refused in any case: %v", err)
	}
}

// A grant for audit is a right to its slice's names, and no other grant is.
func TestGrantedNames(t *testing.T) {
	now := time.Now().Unix()
	rights := func(verbs lease.Verbs) rights {
		s, err := lease.Seal(&lease.Grant{K: lease.KindGrant, Issuer: leasetest.Who("ann"), Holder: leasetest.Who("bob"), From: now - 60,
			Until: now + 86400, Slice: "deed", Verbs: verbs, Sequence: 1}, leasetest.Key("ann"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := lease.SealSlice(lease.SliceRecord{Owner: leasetest.Who("ann"), Slice: "deed", Sequence: 1, Made: now - 60, Until: now + 86400,
			Grants: []lease.ID{s.ID()}}, leasetest.Key("ann"))
		if err != nil {
			t.Fatal(err)
		}
		a, err := lease.OpenAuthority(lease.SealAuthority(s.Bytes(), r.Bytes))
		if err != nil {
			t.Fatal(err)
		}
		return rightsOf("bob", &a)
	}
	ann := leasetest.Who("ann").String()
	for _, c := range []struct {
		verbs lease.Verbs
		slice string
		want  bool
	}{
		{lease.VerbAudit, "deed@" + ann, true}, {lease.VerbLogs, "deed@" + ann, false}, {lease.VerbAudit, "other@" + ann, false},
		{lease.VerbAudit, "deed@" + leasetest.Who("eve").String(), false}, {lease.VerbLogs, "x@" + leasetest.Who("bob").String(), true}, {lease.VerbAudit, "deed", false},
	} {
		if got := rights(c.verbs).reads(c.slice, now); got != c.want {
			t.Errorf("with %s, %s: %v", c.verbs, c.slice, got)
		}
	}
}

func rightsOf(who string, a *lease.Authority) rights {
	return rights{leasetest.Who(who), a}
}

// Strangers who come through other nodes use up what they share; who shows an
// address of his own is answered all the same.
func TestAHolderHasAnAllowanceOfHisOwn(t *testing.T) {
	a, n1, clock := desk(t)
	n1.segment(1)
	ask := func(shown string) error {
		_, err := a.Who(t.Context(), api.Caller{Principal: leasetest.Who("me")}, api.WhoRequest{Src: sentBy, Dst: sentTo, At: time.Unix(1_000_000, 0), Shown: shown})
		return err
	}
	for n := 0; ask("") == nil; n++ {
		if n > askBurst {
			t.Fatal("strangers are never refused")
		}
	}
	shown := seenBy(t, "n1", "me", sentTo.Addr(), clock.at)
	if err := ask(shown); err != nil {
		t.Errorf("a holder: %v", err)
	}
	n := 1
	for ; ask(shown) == nil; n++ {
		if n > askBurst {
			t.Fatal("a holder is never refused")
		}
	}
	if err := ask(shown); !errors.Is(err, api.ErrBusy) {
		t.Error(err)
	}
	if _, err := a.WhoAll(t.Context(), api.WhoRequest{Src: sentBy, Dst: sentTo, At: time.Unix(1_000_000, 0)}); err != nil {
		t.Errorf("the node's owner: %v", err)
	}
}

// A stranger's message reaches the owner of the slice that he is not told of, and
// nobody else but the node's owner; it is there after a restart.
func TestMessagesReachTheOwner(t *testing.T) {
	a, n1, clock := desk(t)
	deed := deedOf(t, n1)
	n1.segment(3)
	clock.at = time.Unix(n1.clock+1, 0)
	src := netip.AddrPortFrom(sentBy.Addr(), 20300)
	leave := func(from, text string) error {
		ctx := context.Context(t.Context())
		if from != "" {
			ctx = api.WithSource(ctx, netip.MustParsePrefix(from))
		}
		ans, err := a.Who(ctx, api.Caller{Principal: leasetest.Who("me")}, api.WhoRequest{Src: src, Dst: sentTo, At: time.Unix(1_000_000, 0), Message: text})
		if err == nil && (len(ans.Slices) > 0 || ans.Verdict != "exact") {
			t.Errorf("%+v", ans)
		}
		return err
	}
	read := func(who, label string) []api.Message {
		t.Helper()
		list, err := a.Messages(t.Context(), api.Caller{Principal: leasetest.Who(who)}, label)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if err := leave("192.0.2.0/24", "Please stop."); err != nil {
		t.Fatal(err)
	}
	if err := leave("", "Me too."); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"\x1b]0;gone\a", strings.Repeat("x", audit.MaxMessage+1), "  "} {
		if err := leave("192.0.2.0/24", text); !errors.Is(err, api.ErrBadRequest) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	want := api.Message{Node: leasetest.Who("n1"), Slice: deed, At: clock.at.UTC(), From: "192.0.2.0/24", Src: src, Dst: sentTo, About: time.Unix(1_000_000, 0).UTC(), Text: "Please stop."}
	for _, when := range []string{"at once", "after a restart"} {
		if got := read("ann", "deed"); len(got) != 2 || got[0] != want || got[1].From != "" {
			t.Errorf("%s: %+v", when, got)
		}
		var err error
		if a.d.mail, err = openMailbox(a.d.mail.path, clock.at, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	if got := read("me", "deed"); len(got) != 0 {
		t.Errorf("who wrote it reads it: %+v", got)
	}
	if all, err := a.AllMessages(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("the node's owner: %+v, %v", all, err)
	}
	src = netip.AddrPortFrom(sentBy.Addr(), 0) // fits two slices, and says so
	for n := 0; ; n++ {
		_, err := a.Who(t.Context(), api.Caller{Principal: leasetest.Who("me")}, api.WhoRequest{Src: src, Dst: sentTo, At: time.Unix(1_000_000, 0), Message: "again"})
		if errors.Is(err, api.ErrBusy) {
			break
		}
		if err != nil || n > askBurst/askMessage+1 {
			t.Fatalf("message %d: %v", n, err)
		}
	}

	// What cannot be kept was not taken; what is damaged is put aside.
	if err := os.WriteFile(a.d.mail.path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if a.d.mail, err = openMailbox(a.d.mail.path, clock.at, slog.New(slog.DiscardHandler)); err != nil || len(read("ann", "deed")) != 0 {
		t.Errorf("damaged: %v", err)
	}
	a.d.mail.path = "/proc/none/messages"
	a.asked = newAsked()
	if err := leave("192.0.2.0/24", "lost"); !errors.Is(err, api.ErrAgain) {
		t.Errorf("no disk: %v", err)
	}
}
