// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"croft/ebpf/optout"
	"croft/lease"
	"croft/lease/leasetest"
)

var (
	seenAt  = time.Unix(1_795_000_000, 0)
	holding = netip.MustParseAddr("203.0.113.9")
)

func sighting(t testing.TB, node, who string, addr netip.Addr, at time.Time) OpenedSighting {
	t.Helper()
	s, err := SealSighting(addr, leasetest.Who(who), at, leasetest.Key(node))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// attesters are four nodes that may attest: two of one site, two of one network.
func attesters(int64) []optout.Node {
	node := func(name, site, addr string) optout.Node {
		return optout.Node{Principal: leasetest.Who(name), Site: leasetest.Who(site), Port: 4080, Addrs: []netip.Addr{netip.MustParseAddr(addr)}}
	}
	return []optout.Node{node("a1", "a", "198.18.1.11"), node("a2", "a", "198.18.4.11"), node("b1", "b", "198.18.2.11"), node("b2", "e", "198.18.2.12"),
		node("c1", "c", "198.18.3.11")}
}

func TestSighted(t *testing.T) {
	me := func(node string) OpenedSighting { return sighting(t, node, "me", holding, seenAt) }
	for _, c := range []struct {
		name  string
		shown []OpenedSighting
		want  string // what the error says; empty: it is shown
	}{
		{"own", []OpenedSighting{me("self")}, ""},
		{"own, among others", []OpenedSighting{me("a1"), me("stranger"), me("self")}, ""},
		{"three sites", []OpenedSighting{me("a1"), me("b1"), me("c1")}, ""},
		{"three, and those that do not count", []OpenedSighting{me("a1"), me("a2"), me("stranger"), me("b1"), me("c1")}, ""},
		{"nothing", nil, "nothing was brought of a node that is known here"},
		{"two", []OpenedSighting{me("a1"), me("b1")}, "2 nodes"},
		{"one three times", []OpenedSighting{me("a1"), me("a1"), me("a1")}, "1 nodes"},
		{"two of a site", []OpenedSighting{me("a1"), me("a2"), me("b1")}, "2 nodes"},
		{"two of a network", []OpenedSighting{me("a1"), me("b1"), me("b2")}, "2 nodes"},
		{"a stranger", []OpenedSighting{me("stranger")}, "may not attest"},
		{"another's", []OpenedSighting{sighting(t, "self", "you", holding, seenAt)}, "for another principal"},
		{"of the address next door", []OpenedSighting{sighting(t, "self", "me", netip.MustParseAddr("203.0.113.10"), seenAt)}, "of 203.0.113.10"},
		{"too old", []OpenedSighting{sighting(t, "self", "me", holding, seenAt.Add(-SightingTerm-time.Second))}, "older than"},
		{"nearly too old", []OpenedSighting{sighting(t, "self", "me", holding, seenAt.Add(-SightingTerm))}, ""},
		{"of the future", []OpenedSighting{sighting(t, "self", "me", holding, seenAt.Add(optout.MaxSkew+time.Second))}, "of the future"},
		{"of a clock that is ahead", []OpenedSighting{sighting(t, "self", "me", holding, seenAt.Add(optout.MaxSkew))}, ""},
	} {
		err := Sighted(leasetest.Who("self"), leasetest.Who("me"), holding, seenAt, c.shown, attesters)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrNotShown) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestSightingsAsText(t *testing.T) {
	a, b := sighting(t, "a1", "me", holding, seenAt), sighting(t, "b1", "me", netip.MustParseAddr("2001:db8::9"), seenAt)
	all, err := ParseSightings("from a:\n" + a.Text() + "\r\n> " + b.Text() + ".")
	if err != nil || len(all) != 2 || all[0].Sighting != a.Sighting || all[1].Sighting != b.Sighting {
		t.Fatalf("%+v, %v", all, err)
	}
	if len(a.Bytes) > MaxSighting || len(b.Bytes) > MaxSighting {
		t.Errorf("%d and %d bytes, limit %d", len(a.Bytes), len(b.Bytes), MaxSighting)
	}
	forged := sighting(t, "c1", "me", holding, seenAt)
	forged.Bytes[len(forged.Bytes)-1] ^= 1
	known := func(p lease.Principal) bool { return p == b.Node }
	if all, err := ParseSightingsOf(a.Text()+" "+forged.Text()+" "+b.Text(), known); err != nil || len(all) != 1 || all[0].Node != b.Node {
		t.Errorf("of one that is known: %+v, %v", all, err)
	}
	if _, err := ParseSightings(a.Text() + forged.Text()); err == nil {
		t.Error("a forged one of anybody's is taken")
	}
	if all, err := ParseSightings("none here"); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"too long":     {strings.Repeat("x", MaxSightingText+1), lease.ErrTooBig},
		"too many":     {strings.Repeat(a.Text()+"\n", MaxSightings+1), lease.ErrTooBig},
		"cut":          {a.Text()[:len(a.Text())-4], lease.ErrSyntax},
		"changed":      {a.Text()[:60] + "AAAA" + a.Text()[64:], nil},
		"no base64":    {"croft-sighting:A", lease.ErrSyntax},
		"another kind": {sightingWord + word(t, newBook(t, "n1", 1, 3), "w", 1).Witness.String(), nil},
	} {
		if _, err := ParseSightings(c.text); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for _, addr := range []string{"127.0.0.1", "224.0.0.1", "fe80::1", "0.0.0.0"} {
		if _, err := SealSighting(netip.MustParseAddr(addr), leasetest.Who("me"), seenAt, leasetest.Key("n1")); !errors.Is(err, lease.ErrField) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func FuzzParseSightings(f *testing.F) {
	f.Add(sighting(f, "a1", "me", holding, seenAt).Text())
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParseSightings(text)
		if len(all) > MaxSightings || err != nil && len(all) > 0 {
			t.Fatalf("%d sightings, %v", len(all), err)
		}
		for _, s := range all {
			if again, err := OpenSighting(s.Bytes); err != nil || again.Sighting != s.Sighting {
				t.Fatalf("%+v: %v", s, err)
			}
		}
	})
}
