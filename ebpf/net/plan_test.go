// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

func mustPlan(t *testing.T, tag string, places int) plan {
	t.Helper()
	p, err := newPlan(tag, places)
	must(t, err)
	return p
}

func TestPlanRefuses(t *testing.T) {
	for _, c := range []struct {
		tag    string
		places int
	}{
		{"", 1}, {"short", 1}, {"toolong", 1}, {"UPPERS", 1}, {"abc1ef", 1}, {"abc/ef", 1}, {"../abc", 1},
		{"abcdef", -1}, {"abcdef", MaxPlaces + 1},
	} {
		if _, err := newPlan(c.tag, c.places); !errors.Is(err, ErrConfig) {
			t.Errorf("%q, %d places: %v, want %v", c.tag, c.places, err, ErrConfig)
		}
	}
}

// No two places share a port, an address, a MAC, a class, a zone or a name.
func TestPlacesAreDisjoint(t *testing.T) {
	for _, places := range []int{1, 3, DefaultPlaces, MaxPlaces} {
		p := mustPlan(t, "abcdef", places)
		next := uint16(FirstSource)
		seen := map[any]int{}
		for place := range places {
			b := p.sourcePorts(place)
			if b[0] != next || b[1] < b[0]+15 || b[1] > LastSource {
				t.Fatalf("%d places: block %d is %v, want it from %d and 16 ports at least", places, place, b, next)
			}
			next = b[1] + 1
			for _, x := range []any{p.sliver4(place), p.sliver6(place), p.macInside(place), p.macHost(place),
				p.class(place), p.hostEnd(place), p.sliverNS(place)} {
				if other, twice := seen[x]; twice {
					t.Fatalf("%v is of places %d and %d", x, other, place)
				}
				seen[x] = place
			}
			if z := p.zone(place); z == 0 || z > 65535 {
				t.Fatalf("place %d has zone %d", place, z)
			}
			if c := p.class(place); c&0xffff == strays || c&0xffff == 0 {
				t.Fatalf("place %d has class %x", place, c)
			}
			if len(p.hostEnd(place)) > 15 {
				t.Fatalf("%s is no name of an interface", p.hostEnd(place))
			}
			if got, ok := placeOf(p.hostEnd(place)); !ok || got != place {
				t.Fatalf("%s is read as place %d, %v", p.hostEnd(place), got, ok)
			}
			if got, ok := p.placeAt(p.sliver4(place)); !ok || got != place {
				t.Fatalf("%s is read as place %d, %v", p.sliver4(place), got, ok)
			}
		}
		for _, a := range []string{"198.19.0.15", "198.19.127.255", "198.18.255.255", "10.0.0.1", "::1"} {
			if place, ok := p.placeAt(netip.MustParseAddr(a)); ok {
				t.Errorf("%s is read as place %d", a, place)
			}
		}
	}
	for _, name := range []string{"cs", "cs-1", "cs01", "cs1x", "eth0", "cs 1"} {
		if place, ok := placeOf(name); ok {
			t.Errorf("%q is read as place %d", name, place)
		}
	}
}

func TestUplinks(t *testing.T) {
	seen := map[netip.Prefix]bool{}
	for i := range uplinks {
		u := uplinkCandidate("abcdef", i)
		if u.Bits() != 31 || u != u.Masked() || !uplinkPool.Contains(u.Addr()) || seen[u] {
			t.Fatalf("candidate %d is %s", i, u)
		}
		seen[u] = true
	}
	p := mustPlan(t, "abcdef", 1)
	if p.host4() == p.node4() || !p.uplink.Contains(p.host4()) || !p.uplink.Contains(p.node4()) {
		t.Errorf("uplink %s has ends %s and %s", p.uplink, p.host4(), p.node4())
	}
}

func TestRulesAreAsWritten(t *testing.T) {
	p := mustPlan(t, "abcdef", 2)
	for _, c := range []struct{ file, text string }{
		{"node.nft", nodeRules(p, true)},
		{"node4.nft", nodeRules(p, false)},
		{"host.nft", hostRules(p, true, 262_144)},
		{"host4.nft", hostRules(p, false, 262_144)},
		{"live.nft", liveRules(p)},
		{"out.nft", sourceRules(p)},
	} {
		path := filepath.Join("testdata", c.file)
		if *rewrite {
			must(t, os.WriteFile(path, []byte(c.text), 0o644))
		}
		want, err := os.ReadFile(path)
		must(t, err)
		if c.text != string(want) {
			t.Errorf("%s is now (-rewrite writes it):\n%s", path, c.text)
		}
	}
}

func TestNotes(t *testing.T) {
	notes := []string{"4/eth0", "6/eth0", "4/eth0.100"}
	alias, err := formatNotes(notes)
	must(t, err)
	if got := parseNotes(alias); len(got) != 3 || got[0] != notes[0] || got[2] != notes[2] {
		t.Errorf("%q is read as %q", alias, got)
	}
	if got := parseNotes("somebody's own alias"); got != nil {
		t.Errorf("a stranger's alias is read as %q", got)
	}
	for _, bad := range []string{"", "4", "4/", "4/..", "5/eth0", "4/../../kernel", "4/a b"} {
		if s, _, err := forwardSetting(bad); !errors.Is(err, ErrConfig) {
			t.Errorf("%q is read as %v, %v", bad, s, err)
		}
	}
	if _, err := formatNotes(make([]string, maxAlias)); !errors.Is(err, ErrConfig) {
		t.Errorf("an alias too long: %v", err)
	}
}
