// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/ebpf"
	"croft/ebpf/optout"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/api"
)

var midday = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// guardList is a guard that remembers whom slivers leave alone.
type guardList struct {
	ebpf.Guard
	addrs []netip.Addr
	err   error
}

func (g *guardList) SetOptOut(_ context.Context, addrs []netip.Addr) error {
	if g.err == nil {
		g.addrs = addrs
	}
	return g.err
}

// placed is a wire of a node at an address.
type placed struct {
	Wire
	addr string
}

func (p placed) Addrs() []string {
	return []string{"/ip4/" + p.addr + "/udp/4001/quic-v1", "/ip4/" + p.addr + "/tcp/4001"}
}

type handsAt struct {
	Clock
	at *time.Time
}

func (c handsAt) Wall() time.Time { return *c.at }

// resident is a node with a courtesy page: its daemon does nothing else.
type resident struct {
	name  string
	state string
	now   time.Time
	guard *guardList
	told  [][]byte
	out   *optouts
	page  http.Handler
	d     *Daemon
}

func newResident(t *testing.T, name, addr string) *resident {
	t.Helper()
	r := &resident{name: name, state: t.TempDir(), now: midday, guard: &guardList{}}
	if err := os.Mkdir(filepath.Join(r.state, "node"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.open(t)
	t.Cleanup(func() { r.out.close() })
	r.d = &Daemon{cfg: Config{Name: name, Courtesy: ":4080", Profile: ProfileLab}, deps: Deps{Key: leasetest.Key(name), Wire: placed{addr: addr},
		Clock: handsAt{at: &r.now}, OptOuts: r.out, Courtesy: func() (net.Listener, error) { return nil, errors.ErrUnsupported }}}
	r.d.site = &certificate{d: r.d}
	r.page = courtesy{r.d, r.out}.handler()
	return r
}

func (r *resident) open(t *testing.T) {
	t.Helper()
	var err error
	r.out, err = openOptOuts(t.Context(), r.state, func() time.Time { return r.now }, r.guard, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.out.tell = func(_ context.Context, b []byte) error { r.told = append(r.told, b); return nil }
}

// visit makes a request from an address.
func (r *resident) visit(method, path, from, body string) (int, string) {
	req := httptest.NewRequest(method, "http://198.18.1.11:4080"+path, strings.NewReader(body))
	req.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(from), 50000).String()
	w := httptest.NewRecorder()
	r.page.ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

// residents are nodes of four sites, two of them of one, who know one another.
func residents(t *testing.T) (all []*resident) {
	var nodes []optout.Node
	for _, at := range [][2]string{{"a1", "198.18.1.11"}, {"a2", "198.18.1.12"}, {"b1", "198.18.2.11"}, {"c1", "198.18.3.11"}} {
		all = append(all, newResident(t, at[0], at[1]))
		nodes = append(nodes, optout.Node{Principal: leasetest.Who(at[0]), Site: leasetest.Who("site " + at[0][:1]), Port: 4080,
			Addrs: []netip.Addr{netip.MustParseAddr(at[1])}})
	}
	for _, r := range all {
		r.out.step(optout.Known{Nodes: nodes})
	}
	return all
}

const outsider = "203.0.113.9"

// Three requests and what they brought, posted: as a stranger does it with curl.
func TestAStrangerOptsOutByHand(t *testing.T) {
	all := residents(t)
	a1, a2, b1, c1 := all[0], all[1], all[2], all[3]
	ask := func(r *resident, from, query string) string {
		t.Helper()
		code, text := r.visit("GET", "/optout"+query, from, "")
		if code != http.StatusOK {
			t.Fatalf("%s: %d %s", r.name, code, text)
		}
		return text
	}
	code, list := a1.visit("GET", "/optout/nodes", outsider, "")
	if code != http.StatusOK || strings.Count(list, "\nhttp://198.18.") != 4 {
		t.Errorf("%d %s", code, list)
	}
	for what, text := range map[string]string{
		"two nodes":                     ask(a1, outsider, "") + ask(b1, outsider, ""),
		"two of them of one site":       ask(a1, outsider, "") + ask(a2, outsider, "") + ask(b1, outsider, ""),
		"two addresses":                 ask(a1, outsider, "") + ask(b1, outsider, "") + ask(c1, "203.0.113.10", ""),
		"nothing":                       "please",
		"a key that is nobody's":        ask(a1, outsider, "") + ask(b1, outsider, "") + strangers(t),
		"one with another's signature ": ask(a1, outsider, "") + ask(b1, outsider, "")[:200] + "\n",
	} {
		if code, answer := c1.visit("POST", "/optout", outsider, text); code != http.StatusBadRequest || len(c1.told) != 0 {
			t.Errorf("%s: %d %s", what, code, answer)
		}
	}
	text := ask(a2, outsider, "?for=1h") + ask(b1, outsider, "") + ask(c1, outsider, "")
	if code, answer := a1.visit("POST", "/optout", "192.0.2.77", text); code != http.StatusOK || answer != outsider+" is left alone until 2026-11-23T13:00:00Z\n" {
		t.Errorf("%d %s", code, answer)
	}
	if len(a1.told) != 1 {
		t.Fatalf("told %d times", len(a1.told))
	}
	if err := a1.out.work(t.Context()); err != nil || fmt.Sprint(a1.guard.addrs) != "["+outsider+"]" {
		t.Errorf("the guard has %v, %v", a1.guard.addrs, err)
	}

	// Who attested is there for the owner to see.
	shown, err := avoided{a1.d}.OptOut(t.Context(), outsider)
	if err != nil || len(shown.By) != 3 || !shown.Spared || shown.Text == "" {
		t.Errorf("%+v, %v", shown, err)
	}
	if _, err := (avoided{a1.d}).OptOut(t.Context(), "203.0.113.10"); !errors.Is(err, api.ErrNoOptOut) {
		t.Error(err)
	}
	if page, err := (avoided{a1.d}).OptOuts(t.Context(), ""); err != nil || len(page) != 1 {
		t.Error(page, err)
	}
	if page, err := (avoided{a1.d}).OptOuts(t.Context(), outsider); err != nil || len(page) != 0 {
		t.Error(page, err)
	}

	// It holds over a restart, before anything is known of nodes; and then it ends.
	a1.out.close()
	a1.guard.addrs = nil
	a1.open(t)
	if fmt.Sprint(a1.guard.addrs) != "["+outsider+"]" {
		t.Errorf("after a restart the guard has %v", a1.guard.addrs)
	}
	a1.now = midday.Add(time.Hour)
	a1.out.step(optout.Tick{})
	if err := a1.out.work(t.Context()); err != nil || len(a1.guard.addrs) != 0 {
		t.Errorf("after its end the guard has %v, %v", a1.guard.addrs, err)
	}
}

// strangers is an attestation of a key that is no node's.
func strangers(t *testing.T) string {
	a, err := optout.Attest(netip.MustParseAddr(outsider), midday, time.Hour, [16]byte{}, leasetest.Key("nobody"))
	if err != nil {
		t.Fatal(err)
	}
	return a.Text()
}

func TestWhoGetsNoAttestation(t *testing.T) {
	r := residents(t)[0]
	for from, want := range map[string]int{"127.0.0.1": 403, "169.254.9.9": 403, "198.18.2.11": 403, outsider: 200, "10.1.2.3": 200} {
		if code, text := r.visit("GET", "/optout", from, ""); code != want {
			t.Errorf("%s: %d %s, want %d", from, code, text, want)
		}
	}
	r.d.cfg.Profile = ProfilePublic
	if code, text := r.visit("GET", "/optout", "10.1.2.4", ""); code != 403 {
		t.Errorf("a private address: %d %s", code, text)
	}
	for _, query := range []string{"?for=169h", "?for=0s", "?for=-1h", "?for=week"} {
		if code, _ := r.visit("GET", "/optout"+query, outsider, ""); code != 400 {
			t.Errorf("%s: %d", query, code)
		}
	}
	alone := newResident(t, "z1", "198.18.9.9") // knows nobody, itself included
	if code, text := alone.visit("GET", "/optout", outsider, ""); code != 409 {
		t.Errorf("one that was not chosen: %d %s", code, text)
	}
	if code, text := r.visit("POST", "/optout", outsider, strings.Repeat("x", optout.MaxText+1)); code != 413 {
		t.Errorf("too long: %d %s", code, text)
	}
}

func TestCourtesyPage(t *testing.T) {
	r := residents(t)[0]
	code, text := r.visit("GET", "/", outsider, "")
	for _, want := range []string{"Why did this machine send me packets?", leasetest.Who("a1").String(), "croft audit who 198.18.1.11:PORT " + outsider + ":PORT", "/optout/nodes"} {
		if code != 200 || !strings.Contains(text, want) {
			t.Errorf("%d, without %q:\n%s", code, want, text)
		}
	}
	q := url.Values{"addr": {"198.18.1.11"}, "nonce": {strings.Repeat("07", 16)}}
	code, text = r.visit("GET", "/node?"+q.Encode(), outsider, "")
	nonce := [16]byte(bytes.Repeat([]byte{7}, 16))
	if who, err := optout.OpenPresence(text, netip.MustParseAddr("198.18.1.11"), nonce); code != 200 || err != nil || who != leasetest.Who("a1") {
		t.Errorf("%d %s, %v", code, text, err)
	}
	q.Set("addr", "198.18.2.11")
	if code, text = r.visit("GET", "/node?"+q.Encode(), outsider, ""); code != 404 {
		t.Errorf("another's address: %d %s", code, text)
	}
	if code, _ = r.visit("GET", "/node", outsider, ""); code != 400 {
		t.Errorf("no question: %d", code)
	}
	if code, _ = r.visit("GET", "/etc/passwd", outsider, ""); code != 404 {
		t.Errorf("elsewhere: %d", code)
	}
}

func TestVisitorsAreBounded(t *testing.T) {
	r := residents(t)[0]
	count := func(from string) (n int) {
		for range 2 * visitBurst {
			if code, _ := r.visit("GET", "/", from, ""); code == 200 {
				n++
			}
		}
		return n
	}
	if n := count(outsider); n != visitBurst {
		t.Errorf("%d visits at once", n)
	}
	if n := count("203.0.113.200"); n != 0 { // of the same network
		t.Errorf("%d more from next door", n)
	}
	r.now = r.now.Add(visitEvery)
	if n := count(outsider); n != 1 {
		t.Errorf("%d visits after a while", n)
	}
	v := newVisitors(func() time.Time { return r.now })
	for i := range maxVisitors + 10 {
		a := netip.AddrFrom4([4]byte{byte(1 + i>>8), byte(i), 1, 1})
		if may := v.may(a); may != (i < maxVisitors) {
			t.Fatalf("network %d: %v", i, may)
		}
	}
	r.now = r.now.Add(visitEvery)
	if !v.may(netip.MustParseAddr("203.0.113.1")) || len(v.left) != 1 {
		t.Errorf("%d networks are remembered", len(v.left))
	}

	c := newCrowded(nil)
	a, b := lease.Network(netip.MustParseAddr(outsider)), lease.Network(netip.MustParseAddr("192.0.2.1"))
	for i := range maxVisitsEach + 1 {
		if ok := c.enter(a); ok != (i < maxVisitsEach) {
			t.Errorf("connection %d: %v", i, ok)
		}
	}
	if !c.enter(b) {
		t.Error("another network finds no place")
	}
	c.leave(a)
	if !c.enter(a) {
		t.Error("nobody left")
	}
}

// A guard or a disk that fails is tried again, and the guard does not wait for the
// disk.
func TestOptOutsComeIntoForce(t *testing.T) {
	all := residents(t)
	r := all[0]
	var text string
	for _, i := range []int{1, 2, 3} {
		_, one := all[i].visit("GET", "/optout", outsider, "")
		text += one
	}
	r.guard.err = errors.New("no kernel")
	if _, err := r.out.take(t.Context(), []byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := r.out.work(t.Context()); !errors.Is(err, r.guard.err) {
		t.Errorf("%v", err)
	}
	r.guard.err = nil
	r.out.file.f.Close() // the disk goes
	if err := r.out.work(t.Context()); err != nil || len(r.guard.addrs) != 1 {
		t.Errorf("tried again: %v, %v", r.guard.addrs, err)
	}
	r.out.file, _, _ = openOptOutFile(r.out.file.path)
	if _, err := r.out.take(t.Context(), []byte(text)); err != nil {
		t.Errorf("the same again: %v", err)
	}
}

func TestOptOutFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "optouts")
	f, entries, err := openOptOutFile(path)
	if err != nil || len(entries) != 0 {
		t.Fatal(entries, err)
	}
	if err := errors.Join(f.add([][]byte{[]byte("one"), []byte("two")}), f.add([][]byte{[]byte("three")}), f.Close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 { // killed at any byte
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		f, entries, err := openOptOutFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"one", "two", "three"}[:len(entries)]
		for i, e := range entries {
			if string(e) != want[i] {
				t.Errorf("cut at %d: entry %d is %q", cut, i, e)
			}
		}
		if full := cut == len(whole); full != (len(entries) == 3) {
			t.Errorf("cut at %d: %d entries", cut, len(entries))
		}
		if err := errors.Join(f.add([][]byte{[]byte("four")}), f.Close()); err != nil {
			t.Fatal(err)
		}
		g, again, err := openOptOutFile(path)
		if err != nil || len(again) != len(entries)+1 || string(again[len(entries)]) != "four" {
			t.Errorf("cut at %d, then one more: %q, %v", cut, again, err)
		}
		g.Close()
	}
	f, _, err = openOptOutFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(f.replace([]optout.Entry{{Bytes: []byte("new")}}), f.add([][]byte{[]byte("newer")})); err != nil {
		t.Fatal(err)
	}
	if _, entries, err = openOptOutFile(path); err != nil || fmt.Sprintf("%s", entries) != "[new newer]" {
		t.Errorf("%s, %v", entries, err)
	}
}

// A full set comes back from the disk and into the guard, and the file is cut when
// most of it is of no use.
func TestAFullSetOfOptOutsSurvives(t *testing.T) {
	state := t.TempDir()
	if err := os.Mkdir(filepath.Join(state, "node"), 0o700); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(2_000_000, 0)
	marker := netip.AddrFrom4([4]byte{203, 0, 113, 9})
	var by []optout.Opened
	for _, name := range []string{"a", "b", "c"} {
		a, err := optout.Attest(marker, now, time.Hour, [16]byte{}, leasetest.Key(name))
		if err != nil {
			t.Fatal(err)
		}
		by = append(by, a)
	}
	one, err := optout.Join(by)
	if err != nil {
		t.Fatal(err)
	}
	var entries [][]byte
	for i := range optout.MaxEntries { // what is on the disk was verified before
		addr := [4]byte{198, 18 + byte(i>>16), byte(i >> 8), byte(i)}
		entries = append(entries, bytes.ReplaceAll(one.Bytes, marker.AsSlice(), addr[:]))
	}
	f, _, err := openOptOutFile(filepath.Join(state, "node", "optouts"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // as after a week in which each asked again
		if err := f.add(entries); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.add(entries[:2*minOptOutFrames]), f.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		guard := &guardList{}
		o, err := openOptOuts(t.Context(), state, func() time.Time { return now }, guard, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if o.set.Len() != optout.MaxEntries || len(guard.addrs) != optout.MaxEntries {
			t.Errorf("%d entries, %d in force, want %d", o.set.Len(), len(guard.addrs), optout.MaxEntries)
		}
		if o.file.frames != optout.MaxEntries {
			t.Errorf("%d frames in the file, want %d", o.file.frames, optout.MaxEntries)
		}
		if err := o.close(); err != nil {
			t.Error(err)
		}
	}
}

// What an offer says of addresses is a claim until the node was seen there.
func TestSightings(t *testing.T) {
	now := midday
	var told []optout.Node
	asked := map[string]int{}
	at := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	behind := map[netip.AddrPort]lease.Principal{at("198.18.2.11:4080"): leasetest.Who("b1"), at("198.18.3.11:4080"): leasetest.Who("c1")}
	claim := func(name string, addrs ...string) *offer.Opened {
		return &offer.Opened{Offer: offer.Offer{Node: leasetest.Who(name), Site: leasetest.Who("site " + name[:1]), Addrs: addrs}}
	}
	offers := []*offer.Opened{
		claim("a1", "/ip4/198.18.1.11/tcp/4001", "/ip4/198.18.1.11/tcp/4080/http"),
		claim("b1", "/ip4/198.18.2.11/tcp/4001", "/ip4/198.18.2.11/tcp/4080/http", "/ip4/203.0.113.7/tcp/4080/http"), // the latter is not its own
		claim("c1", "/ip4/198.18.3.11/udp/4001/quic-v1"),                                                             // has no page, and a connection
		claim("d1", "/ip4/198.18.3.11/tcp/4080/http", "/ip4/203.0.113.9/tcp/4001"),                                   // says that it is where c1 is
	}
	s := &sightings{self: leasetest.Who("a1"), offers: func() []*offer.Opened { return offers },
		conns: func() map[lease.Principal][]netip.Addr {
			return map[lease.Principal][]netip.Addr{leasetest.Who("c1"): {netip.MustParseAddr("198.18.3.11")}}
		},
		ask: func(_ context.Context, door netip.AddrPort) (lease.Principal, error) {
			asked[door.String()]++
			if who, ok := behind[door]; ok {
				return who, nil
			}
			return lease.Principal{}, io.EOF
		},
		wall: func() time.Time { return now }, tell: func(n []optout.Node) { told = n },
		doors: map[netip.AddrPort]sight{}, rests: map[netip.Prefix]time.Time{}}
	for i := range 5 {
		if _, news := s.round(t.Context()); news != (i == 0) {
			t.Errorf("round %d has news: %t", i, news)
		}
		now = now.Add(time.Second)
	}
	if asked["203.0.113.7:4080"] != 1 || asked["198.18.2.11:4080"] != 1 || asked["198.18.1.11:4080"] != 0 {
		t.Errorf("asked %v", asked)
	}
	got := map[lease.Principal]string{}
	for _, n := range told {
		got[n.Principal] = fmt.Sprint(n.Port, n.Addrs)
	}
	for name, want := range map[string]string{"a1": "4080 [198.18.1.11]", "b1": "4080 [198.18.2.11]", "c1": "0 [198.18.3.11]", "d1": "0 []"} {
		if got[leasetest.Who(name)] != want {
			t.Errorf("%s is at %q, want %q", name, got[leasetest.Who(name)], want)
		}
	}
	now = now.Add(sightRest)
	s.round(t.Context())
	if asked["203.0.113.7:4080"] != 2 {
		t.Errorf("a door that did not answer is asked again after a rest: %v", asked)
	}
	behind, offers = nil, offers[:2]
	for range 10 {
		now = now.Add(sightHolds / 9)
		s.round(t.Context())
	}
	for _, n := range told {
		if n.Principal == leasetest.Who("b1") && n.Port != 0 {
			t.Errorf("b1 is still there: %v", n)
		}
	}
	if len(s.claims) != 5 {
		t.Errorf("it remembers %d claims, want the 5 of the offers that are left", len(s.claims))
	}
	for text, ok := range map[string]bool{"/ip4/1.2.3.4/tcp/80/http": true, "/ip6/2001:db8::1/tcp/80/http": true, "/ip4/1.2.3.4/tcp/0/http": false,
		"/ip4/1.2.3.4/tcp/80": false, "/ip6/1.2.3.4/tcp/80/http": false, "/dns/x/tcp/80/http": false, "/ip4/1.2.3.4/udp/80/http": false, "/ip4/1.2.3.4/tcp/080/http": false} {
		if _, got := doorIn(text); got != ok {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// No sliver leases the port of the page.
func TestCourtesyPortIsTheNodes(t *testing.T) {
	if r := portRange([]string{"/ip4/0.0.0.0/tcp/4001"}, ":4080"); fmt.Sprint(r.Reserved) != "[4001 4080]" {
		t.Errorf("%v", r.Reserved)
	}
	for text, ok := range map[string]bool{":4080": true, "198.51.100.7:4080": true, "[2001:db8::1]:80": true, ":0": false, "4080": false, "x:1": false, "": false} {
		if _, err := courtesyAt(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
