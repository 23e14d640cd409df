// SPDX-License-Identifier: Apache-2.0

package optout_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"croft/ebpf/optout"
	"croft/lease"
	"croft/lease/leasetest"
)

func TestThreeNodesOfThreeSitesAreEnough(t *testing.T) {
	s := fresh(optout.Config{})
	e := entry(t, target, noon, time.Hour, "c1", "a1", "b1")
	effects := s.Step(noon, optout.Received{Bytes: e.Bytes, From: leasetest.Who("n")})
	want(t, "effects", fmt.Sprint(effects), fmt.Sprintf("[verdict accept entered %s %s until %d changed]", target, e.ID, noon.Unix()+3600))
	want(t, "addresses", addrs(s), "[203.0.113.9]")
	want(t, "again", heard(s, noon, e), "verdict ignore duplicate")
	if wake, ok := s.NextWake(); !ok || !wake.Equal(noon.Add(time.Hour)) {
		t.Errorf("wakes at %s", wake)
	}

	late := noon.Add(time.Hour)
	want(t, "expiry", fmt.Sprint(s.Step(late, optout.Tick{})), fmt.Sprintf("[left %s %s expired changed]", target, e.ID))
	want(t, "addresses", addrs(s), "[]")
	want(t, "replay after expiry", heard(s, late, e), "verdict ignore expired")
}

func TestRenewal(t *testing.T) {
	s := fresh(optout.Config{})
	short, long := entry(t, target, noon, time.Hour, "a1", "b1", "c1"), entry(t, target, noon.Add(time.Minute), 2*time.Hour, "a2", "b1", "d1")
	heard(s, noon, short)
	now := noon.Add(time.Minute)
	effects := s.Step(now, optout.Local{Bytes: long.Bytes})
	want(t, "renewed", fmt.Sprint(effects[1]), fmt.Sprintf("left %s %s superseded", target, short.ID))
	want(t, "what it renewed", heard(s, now, short), "verdict ignore superseded")
	if e, ok := s.Entry(target); !ok || e.ID != long.ID || s.Len() != 1 {
		t.Errorf("kept %v of %d", e, s.Len())
	}
	want(t, "at the first one's end", addrs(s), "[203.0.113.9]")
}

// Each is made of signatures that hold: what is wrong is who signed, or for whom.
func TestWhoMayAttest(t *testing.T) {
	for _, c := range []struct {
		name, want string
		addr       netip.Addr
		by         [3]string
	}{
		{"three sites", "verdict accept", target, [3]string{"a1", "b1", "c1"}},
		{"two nodes of one site", "verdict ignore same-site", target, [3]string{"a1", "a2", "b1"}},
		{"two sites in one network", "verdict ignore same-network", target, [3]string{"e1", "b1", "c1"}},
		{"a key that is no node", "verdict ignore stranger", target, [3]string{"a1", "b1", "nobody"}},
		{"a node of no site", "verdict ignore stranger", target, [3]string{"x1", "b1", "c1"}},
		{"a node without a door", "verdict ignore stranger", target, [3]string{"y1", "b1", "c1"}},
		{"a node's own address", "verdict ignore live-node", node("d1", 4).Addrs[0], [3]string{"a1", "b1", "c1"}},
		{"IPv6", "verdict accept", netip.MustParseAddr("2001:db8::7"), [3]string{"a1", "b1", "c1"}},
		{"a node that has only IPv4, for IPv4", "verdict accept", target, [3]string{"a1", "b1", "z1"}},
		{"a node that has only IPv4, for IPv6", "verdict ignore stranger", netip.MustParseAddr("2001:db8::7"), [3]string{"a1", "b1", "z1"}},
	} {
		s := optout.New(optout.Config{})
		siteless, doorless, only4 := node("x1", 9), node("y1", 10), node("z1", 11)
		siteless.Site, doorless.Port, only4.Addrs = lease.Principal{}, 0, only4.Addrs[:1]
		s.Step(noon, optout.Known{Nodes: append(nodes(), siteless, doorless, only4, node("e1", 2))})
		want(t, c.name, heard(s, noon, entry(t, c.addr, noon, time.Hour, c.by[:]...)), c.want)
	}
}

// With more networks than may attest, the hash says which do, and another day
// others.
func TestOnlyChosenNetworksAttest(t *testing.T) {
	var many []optout.Node
	for i := range 40 {
		many = append(many, node(string(rune('A'+i))+"1", 100+i))
	}
	name := map[lease.Principal]string{}
	for i, n := range many {
		name[n.Principal] = string(rune('A'+i)) + "1"
	}
	s := optout.New(optout.Config{})
	s.Step(noon, optout.Known{Nodes: many})
	chosen := optout.Chosen(many, target, noon.Unix())
	if len(chosen) != optout.Choice {
		t.Fatalf("%d chosen, want %d", len(chosen), optout.Choice)
	}
	if got := s.Chosen(target, noon.Unix()); !slices.EqualFunc(got, chosen, func(a, b optout.Node) bool { return a.Principal == b.Principal }) {
		t.Errorf("the set chooses otherwise: %v", got)
	}
	of := func(ns []optout.Node) (names []string) {
		for _, n := range ns {
			names = append(names, name[n.Principal])
		}
		return names
	}
	picked := of(chosen)
	want(t, "the last three of the chosen", heard(s, noon, entry(t, target, noon, time.Hour, picked[5:]...)), "verdict accept")
	for _, n := range many {
		if !slices.Contains(picked, name[n.Principal]) {
			e := entry(t, target, noon, 2*time.Hour, picked[0], picked[1], name[n.Principal])
			want(t, "one who was not chosen", heard(s, noon, e), "verdict ignore not-chosen")
		}
	}
	next := of(optout.Chosen(many, target, noon.Add(24*time.Hour).Unix()))
	if slices.Equal(next, picked) {
		t.Errorf("the same are chosen on the next day: %v", next)
	}
}

// An attacker who makes keys, and sites for them, gains nothing without networks:
// the ranks of networks stay what they were.
func TestKeysAreFreeAndBuyNothing(t *testing.T) {
	honest := nodes()
	before := optout.Chosen(honest, target, noon.Unix())
	crowd := slices.Clone(honest)
	for i := range 1000 {
		n := node("a1", 1)
		n.Principal, n.Site = leasetest.Who(fmt.Sprint("sybil ", i)), leasetest.Who(fmt.Sprint("sybil site ", i))
		crowd = append(crowd, n)
	}
	nets := map[netip.Prefix]bool{}
	for _, n := range optout.Chosen(crowd, target, noon.Unix()) {
		nets[n.Network(target)] = true
	}
	if len(nets) != 4 || len(before) != 5 {
		t.Errorf("networks %v, before %d nodes", nets, len(before))
	}
	s := optout.New(optout.Config{})
	s.Step(noon, optout.Known{Nodes: crowd})
	e := entry(t, target, noon, time.Hour, "sybil 1", "sybil 2", "sybil 3")
	want(t, "three sites of an attacker in one network", heard(s, noon, e), "verdict ignore same-network")
}

func TestClocks(t *testing.T) {
	s := fresh(optout.Config{})
	want(t, "of the future", heard(s, noon, entry(t, target, noon.Add(optout.MaxSkew+time.Second), time.Hour, "a1", "b1", "c1")), "verdict ignore early")
	want(t, "a clock that is a little ahead", heard(s, noon, entry(t, target, noon.Add(optout.MaxSkew), time.Hour, "a1", "b1", "c1")), "verdict accept")
}

// A signature that is not the node's is found out, and remembered.
func TestForgery(t *testing.T) {
	s := fresh(optout.Config{})
	e := entry(t, target, noon, time.Hour, "a1", "b1", "c1")
	forged := slices.Clone(e.Bytes)
	forged[len(forged)-1] ^= 1
	for range 2 {
		got := s.Step(noon, optout.Received{Bytes: forged, From: leasetest.Who("liar")})
		want(t, "forged", fmt.Sprint(got), "[verdict reject signature]")
	}
	if _, err := optout.OpenEntry(forged); err == nil {
		t.Error("it opens")
	}
	want(t, "the true one", heard(s, noon, e), "verdict accept")
}

// An address that opted out and then becomes a node's is not left alone as long
// as it is one.
func TestAddressOfANodeThatComesLater(t *testing.T) {
	s := fresh(optout.Config{})
	heard(s, noon, entry(t, target, noon, time.Hour, "a1", "b1", "c1"))
	at := node("f1", 6)
	at.Addrs = append(at.Addrs, target)
	want(t, "it comes", fmt.Sprint(s.Step(noon, optout.Known{Nodes: append(nodes(), at)})), "[changed]")
	want(t, "addresses", addrs(s), "[]")
	want(t, "it stays", fmt.Sprint(s.Step(noon, optout.Known{Nodes: append(nodes(), at)})), "[]")
	want(t, "it goes", fmt.Sprint(s.Step(noon, optout.Known{Nodes: nodes()})), "[changed]")
	want(t, "addresses", addrs(s), "[203.0.113.9]")
}

// What this node accepted holds after a restart, when those who attested are gone.
func TestReload(t *testing.T) {
	s := optout.New(optout.Config{})
	e := entry(t, target, noon, time.Hour, "a1", "b1", "c1")
	want(t, "from a neighbour", heard(s, noon, e), "verdict ignore stranger")
	want(t, "from its own disk", s.Step(noon, optout.Kept{Bytes: e.Bytes})[0].String(), "verdict accept")
	want(t, "addresses", addrs(s), "[203.0.113.9]")
	want(t, "from its own disk, too late", optout.New(optout.Config{}).Step(noon.Add(time.Hour), optout.Kept{Bytes: e.Bytes})[0].String(), "verdict ignore expired")
}

// What a pull was faster to bring is still passed on when it comes by gossip.
func TestPulledFirst(t *testing.T) {
	s := fresh(optout.Config{})
	e := entry(t, target, noon, time.Hour, "a1", "b1", "c1")
	want(t, "pulled", s.Step(noon, optout.Received{Bytes: e.Bytes, Pulled: true})[0].String(), "verdict accept")
	want(t, "heard", heard(s, noon, e), "verdict accept")
	want(t, "heard again", heard(s, noon, e), "verdict ignore duplicate")
}

// A neighbour cannot have more verified than its allowance.
func TestAllowance(t *testing.T) {
	s := fresh(optout.Config{})
	verified := map[string]int{}
	good := entry(t, target, noon, time.Hour, "a1", "b1", "c1")
	flood := func(from string, n int, at time.Time) {
		for i := range n {
			b := slices.Clone(good.Bytes)
			b[len(b)-1], b[len(b)-2], b[len(b)-3] = byte(i), byte(i>>8), from[0]
			got := s.Step(at, optout.Received{Bytes: b, From: leasetest.Who(from)})[0].String()
			verified[from+" "+got]++
		}
	}
	flood("x", 300, noon)
	flood("y", 10, noon)
	if verified["x verdict reject signature"] != optout.Burst || verified["x verdict ignore too-often"] != 300-optout.Burst ||
		verified["y verdict reject signature"] != 10 {
		t.Errorf("%v", verified)
	}
	flood("z", optout.Rate, noon.Add(time.Second))
	if verified["z verdict reject signature"] != optout.Rate {
		t.Errorf("%v", verified)
	}
}

// many gives entries of addresses in order, of a network with so many each. Their
// signatures are of no account: they come as from disk.
func many(t testing.TB, network, n int, term time.Duration) (all []optout.Entry) {
	for i := range n {
		addr := netip.AddrFrom4([4]byte{100, byte(network >> 8), byte(network), byte(i)})
		all = append(all, entry(t, addr, noon, term+time.Duration(i)*time.Second, "a1", "b1", "c1"))
	}
	return all
}

func TestFullSet(t *testing.T) {
	s := fresh(optout.Config{Cap: 12, PerNetwork: 8})
	for _, e := range many(t, 1, 8, time.Hour) {
		want(t, "the first network", heard(s, noon, e), "verdict accept")
	}
	longer := entry(t, netip.MustParseAddr("100.0.1.99"), noon, 2*time.Hour, "a1", "b1", "c1")
	want(t, "one that ends sooner than all", heard(s, noon, entry(t, netip.MustParseAddr("100.0.1.98"), noon, time.Minute, "a1", "b1", "c1")), "verdict ignore crowded")
	want(t, "one that holds longer", fmt.Sprint(s.Step(noon, optout.Local{Bytes: longer.Bytes})[1]), fmt.Sprintf("left 100.0.1.0 %s crowded", many(t, 1, 1, time.Hour)[0].ID))
	for _, e := range many(t, 2, 4, time.Hour) {
		want(t, "the second network", heard(s, noon, e), "verdict accept")
	}
	if s.Len() != 12 {
		t.Fatalf("%d entries", s.Len())
	}
	// The second network takes from the first until both have as many.
	for i, e := range many(t, 2, 8, 2*time.Hour)[4:] {
		w := "verdict accept"
		if i >= 2 {
			w = "verdict ignore crowded"
		}
		want(t, fmt.Sprint("entry ", 5+i, " of the second network"), heard(s, noon, e), w)
	}
	want(t, "a third network", heard(s, noon, many(t, 3, 1, time.Minute)[0]), "verdict accept")
	if s.Len() != 12 || len(s.Addrs()) != 12 {
		t.Errorf("%d entries, %d addresses", s.Len(), len(s.Addrs()))
	}
}

// Whatever order entries come in, nodes that are not full end with the same, their
// digests say so, and pulls bring what is missing.
func TestSetsConverge(t *testing.T) {
	var all []optout.Entry
	for i := range 40 {
		all = append(all, many(t, i%7, 1+i%5, time.Duration(1+i%3)*time.Hour)...)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	a, b := fresh(optout.Config{}), fresh(optout.Config{})
	feed := func(s *optout.Set, part []optout.Entry) {
		rnd.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
		for _, e := range part {
			s.Step(noon, optout.Received{Bytes: e.Bytes, Pulled: true})
		}
	}
	feed(a, slices.Clone(all[:len(all)*2/3]))
	feed(b, slices.Clone(all[len(all)/3:]))
	if a.Digest() == b.Digest() {
		t.Fatal("they have the same before a pull")
	}
	for _, way := range [][2]*optout.Set{{a, b}, {b, a}, {a, b}} {
		digest, after := way[0].Digest(), lease.ID{}
		for pages := 0; ; pages++ {
			entries, next := way[1].Page(digest, after)
			for _, e := range entries {
				way[0].Step(noon, optout.Received{Bytes: e, Pulled: true})
			}
			if after = next; after.IsZero() || pages > 100 {
				break
			}
		}
	}
	if a.Digest() != b.Digest() || addrs(a) != addrs(b) || a.Len() == 0 {
		t.Errorf("after pulls: %d and %d entries", a.Len(), b.Len())
	}
	if left, _ := a.Page(b.Digest(), lease.ID{}); len(left) != 0 {
		t.Error("there is something to pull from one's equal")
	}
}

// The bounds hold in the set's own figures after any history.
func TestRandomHistories(t *testing.T) {
	pool := []optout.Entry{}
	for n := range 6 {
		pool = append(pool, many(t, n, 10, time.Duration(1+n)*time.Minute)...)
		pool = append(pool, many(t, n, 10, time.Duration(9-n)*time.Minute)...)
	}
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		s := fresh(optout.Config{Cap: 20, PerNetwork: 5})
		now := noon
		for range 300 {
			now = now.Add(time.Duration(rnd.IntN(4)) * time.Second)
			e := pool[rnd.IntN(len(pool))]
			effects := s.Step(now, optout.Received{Bytes: e.Bytes, Pulled: rnd.IntN(2) == 0, From: leasetest.Who("n")})
			in := map[netip.Prefix]int{}
			for _, kept := range s.Entries() {
				in[lease.Network(kept.Addr)]++
				if kept.Until <= now.Unix() {
					t.Fatalf("seed %d: %s is kept after its end", seed, kept)
				}
			}
			for n, count := range in {
				if count > 5 || s.Len() > 20 {
					t.Fatalf("seed %d: %d of %s, %d in all", seed, count, n, s.Len())
				}
			}
			var ids optout.Digest
			for _, kept := range s.Entries() {
				ids[kept.ID[0]/4] ^= binary.BigEndian.Uint64(kept.ID[:8])
			}
			if ids != s.Digest() {
				t.Fatalf("seed %d: the digest is not that of what is kept, after %v", seed, effects)
			}
		}
	}
}

// Nodes are known in whatever order they are told of, and what was told is not changed.
func TestKnownInAnyOrder(t *testing.T) {
	told := []optout.Node{{Principal: lease.Principal{3}}, {Principal: lease.Principal{1}}, {Principal: lease.Principal{2}}}
	s := optout.New(optout.Config{})
	s.Step(time.Unix(0, 0), optout.Known{Nodes: told})
	for i := range byte(5) {
		if n, ok := s.Node(lease.Principal{i}); ok != (i >= 1 && i <= 3) || ok && n.Principal[0] != i {
			t.Errorf("node %d: %v, %t", i, n, ok)
		}
	}
	if told[0].Principal[0] != 3 {
		t.Error("what was told is in another order now")
	}
}
