// SPDX-License-Identifier: Apache-2.0

package dht_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"croft/dht"
	"croft/dht/dhttest"
	"croft/lease"
	"croft/lease/offer"
)

var noon = time.Unix(1_800_000_000, 0)

func step(t testing.TB, h *dht.Holder, now time.Time, in dht.Input) dht.Response {
	t.Helper()
	a, ok := h.Step(now, in)[0].(dht.Answer)
	if !ok {
		t.Fatalf("%s: no answer", in)
	}
	return a.Response
}

// put registers a named offer into the bucket of every node, from a network of
// its own unless one is given.
func put(t testing.TB, h *dht.Holder, i int, from netip.Addr, change func(*offer.Offer)) dht.Status {
	t.Helper()
	if !from.IsValid() {
		from = netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
	}
	o := dhttest.Offer(t, noon, fmt.Sprint("n", i), 1, change)
	return step(t, h, noon, dht.Register{o.Bytes, []dht.Key{dht.Every.Key()}, from}).Status[0]
}

func TestFullBucketSaysSo(t *testing.T) {
	h := dht.NewHolder(dht.HolderConfig{})
	for i := range dht.MaxEntries {
		if s := put(t, h, i, netip.Addr{}, nil); s != dht.Stored {
			t.Fatalf("entry %d: %s", i, s)
		}
	}
	late := dhttest.Offer(t, noon, "late", 1, nil)
	a := step(t, h, noon, dht.Register{late.Bytes, []dht.Key{dht.Every.Key()}, netip.Addr{}})
	if a.Status[0] != dht.Full {
		t.Fatalf("entry %d: %s", dht.MaxEntries, dht.Answer{a})
	}
	if s := put(t, h, 0, netip.Addr{}, nil); s != dht.Stored {
		t.Errorf("a refresh of what is there: %s", s)
	}
	var nodes []lease.Principal
	req := dht.List{Bucket: dht.Every.Key(), Limit: 1000}
	for range 100 {
		page := step(t, h, noon, req)
		if len(page.Offers) > dht.PageEntries {
			t.Fatalf("page of %d", len(page.Offers))
		}
		for _, b := range page.Offers {
			o, err := offer.Open(b, nil)
			if err != nil {
				t.Fatal(err)
			}
			nodes = append(nodes, o.Node)
		}
		if page.After.IsZero() {
			break
		}
		req.After = page.After
	}
	sorted := slices.IsSortedFunc(nodes, func(a, b lease.Principal) int { return bytes.Compare(a[:], b[:]) })
	if len(nodes) != dht.MaxEntries || !sorted {
		t.Errorf("pages gave %d nodes, sorted %v", len(nodes), sorted)
	}
	wake, ok := h.NextWake()
	if !ok || !wake.Equal(noon.Add(offer.MaxValid*time.Second)) {
		t.Errorf("wakes at %v", wake)
	}
	if !step(t, h, noon, dht.List{Bucket: dht.Every.Key()}).Split {
		t.Error("nothing tells a reader of who was sent to the parts")
	}
	if gone := h.Step(wake, dht.Tick{}); len(gone) != dht.MaxEntries || h.Entries() != 0 {
		t.Errorf("%d expired, %d entries left", len(gone), h.Entries())
	}
}

func TestSharesOfNetworksAndSites(t *testing.T) {
	h := dht.NewHolder(dht.HolderConfig{})
	one := netip.MustParseAddr("198.51.100.7")
	for i := range dht.PerNetwork {
		if s := put(t, h, i, one, nil); s != dht.Stored {
			t.Fatalf("entry %d: %s", i, s)
		}
	}
	if s := put(t, h, 1000, netip.MustParseAddr("198.51.100.200"), nil); s != dht.Crowded {
		t.Errorf("one more of the /24: %s", s)
	}
	if s := put(t, h, 1000, netip.MustParseAddr("198.51.101.1"), nil); s != dht.Stored {
		t.Errorf("another /24: %s", s)
	}
	h = dht.NewHolder(dht.HolderConfig{PerSite: 2})
	site := func(o *offer.Offer) { o.Site = dhttest.KeyOf("site").Principal() }
	for i, want := range []dht.Status{dht.Stored, dht.Stored, dht.Crowded} {
		if s := put(t, h, i, netip.Addr{}, site); s != want {
			t.Errorf("node %d of the site: %s, want %s", i, s, want)
		}
	}
}

func TestHolderRefusesWhatIsWrong(t *testing.T) {
	h := dht.NewHolder(dht.HolderConfig{})
	every := []dht.Key{dht.Every.Key()}
	good := dhttest.Offer(t, noon, "a", 2, nil)
	forged := bytes.Clone(good.Bytes)
	forged[len(forged)-1] ^= 1
	closed := dhttest.Offer(t, noon, "a", 3, func(o *offer.Offer) { o.Closed = true })
	older := dhttest.Offer(t, noon, "a", 1, nil)
	twin := dhttest.Offer(t, noon, "a", 2, func(o *offer.Offer) { o.Uptime = 9 })
	ch := []dht.Key{dht.Bucket{Attr: "country", Value: "ch"}.Key()}
	for _, c := range []struct {
		in   dht.Input
		at   time.Duration
		want dht.Status
	}{
		{dht.Withdraw{closed.Bytes}, 0, dht.Unknown},
		{dht.Register{forged, every, netip.Addr{}}, 0, dht.Invalid},
		{dht.Register{good.Bytes, every, netip.Addr{}}, 2 * offer.MaxValid * time.Second, dht.Invalid},
		{dht.Register{good.Bytes, every, netip.Addr{}}, -time.Hour, dht.Invalid},
		{dht.Register{closed.Bytes, every, netip.Addr{}}, 0, dht.Invalid},
		{dht.Register{good.Bytes, ch, netip.Addr{}}, 0, dht.Alien},
		{dht.Register{good.Bytes, every, netip.Addr{}}, 0, dht.Stored},
		{dht.Register{older.Bytes, every, netip.Addr{}}, 0, dht.Stale},
		{dht.Register{twin.Bytes, every, netip.Addr{}}, 0, dht.Stale},
		{dht.Withdraw{good.Bytes}, 0, dht.Invalid},
		{dht.Withdraw{closed.Bytes}, 0, dht.Removed},
		{dht.Withdraw{closed.Bytes}, 0, dht.Removed},
		{dht.Register{good.Bytes, every, netip.Addr{}}, 0, dht.Stale},
	} {
		if got := step(t, h, noon.Add(c.at), c.in).Status[0]; got != c.want {
			t.Errorf("%.40s…: %s, want %s", c.in, got, c.want)
		}
	}
}

func TestInputsParseAgain(t *testing.T) {
	o := dhttest.Offer(t, noon, "a", 1, nil)
	fetch := func(lease.Digest) ([]byte, bool) { return o.Bytes, true }
	for _, in := range []dht.Input{
		dht.Register{o.Bytes, dht.Keys(dht.Buckets(&o.Offer)), netip.MustParseAddr("2001:db8::1")},
		dht.Register{o.Bytes, nil, netip.Addr{}},
		dht.Withdraw{o.Bytes}, dht.List{dht.Every.Key(), o.Node, 3}, dht.Tick{},
	} {
		again, err := dht.ParseInput(in.String(), fetch)
		if err != nil || again.String() != in.String() {
			t.Errorf("%s parses as %v, %v", in, again, err)
		}
	}
	for _, s := range []string{"", "tick 1", "list x", "register", "register sha256:00 nowhere"} {
		if in, err := dht.ParseInput(s, fetch); err == nil {
			t.Errorf("%q parses as %s", s, in)
		}
	}
}

// Whatever matches a query is in a bucket of every plan: that is what makes a
// plan right.
func TestEveryPlanReachesEveryMatch(t *testing.T) {
	queries := []string{"", "cpu>=2000", "cpu>300 & memory<=4GiB", "cpu=1000", "country=ch", "site=uni", "as=559",
		"label.ixp=YES", "free.memory>=1GiB & country!=DE", "cpu>=999999999", "memory<128MiB"}
	for i := range 200 {
		o := dhttest.Offer(t, noon, fmt.Sprint("uni/n", i), 1, func(o *offer.Offer) {
			o.Free[0].RSet = lease.RSet{lease.CPU: uint64(i*i) * 37, lease.Memory: uint64(i) << 25}
			o.Attributes = offer.Attributes{Country: []string{"CH", "DE", ""}[i%3], AS: 559, Labels: map[string]string{"ixp": "yes"}}
		})
		in := dht.Buckets(&o.Offer)
		if len(in) > dht.MaxBuckets {
			t.Fatalf("%d buckets", len(in))
		}
		for _, s := range queries {
			q, err := offer.ParseQuery(s)
			if err != nil {
				t.Fatal(err)
			}
			if ok, _ := q.Match(&o.Offer, offer.Measured{}); !ok {
				continue
			}
			for _, p := range dht.Plans(q) {
				if !slices.ContainsFunc(p.Buckets, func(b dht.Bucket) bool { return slices.Contains(in, b) }) {
					t.Errorf("%q by %v misses an offer in %v", s, p, in)
				}
			}
		}
	}
}

func TestChooseTakesTheMostSelective(t *testing.T) {
	size := func(b dht.Bucket) (int, bool) {
		n, ok := map[string]int{"country/de": 200, "label.ixp/yes": 3, "label.wide/yes": 700}[b.String()]
		return n, ok
	}
	for query, want := range map[string]string{
		"cpu>=1 & country=DE & label.ixp=yes": "label.ixp=yes",
		"cpu>=64000 & country=DE":             "country=DE",
		"cpu>=500 & rtt<80ms":                 "",
		"cpu>=2000 & rtt<80ms":                "cpu>=2000",
		"country!=DE":                         "",
		"cpu>=1000 & label.wide=yes":          "label.wide=yes", // known, and yet less than the classes may have
	} {
		q, err := offer.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if p := dht.Choose(dht.Plans(q), size); p.Constraint != want {
			t.Errorf("%q walks %q (%v), want %q", query, p.Constraint, p.Buckets, want)
		}
	}
}

// Where the whole net is smaller than what a range may be, the whole is walked.
func TestChooseKnowsASmallNet(t *testing.T) {
	q, err := offer.ParseQuery("cpu>=1000")
	if err != nil {
		t.Fatal(err)
	}
	plans := dht.Plans(q)
	for every, want := range map[int]string{20: "", 5000: "cpu>=1000"} {
		p := dht.Choose(plans, func(b dht.Bucket) (int, bool) {
			if b == dht.Every {
				return every, true
			}
			return 3, true
		})
		if p.Constraint != want {
			t.Errorf("of %d nodes in all, %q is walked, want %q", every, p.Constraint, want)
		}
	}
}

// What is asked before a walk: nothing where there is no choice.
func TestSampleWhereItMatters(t *testing.T) {
	for query, want := range map[string]int{
		"": 0, "rtt<5ms": 0, "country=DE": 0, "cpu>=1000": 7, "country=DE & as=559": 2, "country=DE & cpu>=64000": 4,
		"cpu>=1000 & memory>=1GiB & cpu<64000":                                           14, // they share classes
		"as=559 & site=x & label.a=b & label.c=d & cpu>=1000 & memory>=1GiB & cpu<64000": 11, // one range is left out
	} {
		q, err := offer.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := dht.Sample(dht.Plans(q)); len(got) != want {
			t.Errorf("%q samples %v, want %d", query, got, want)
		}
	}
}

func FuzzRequest(f *testing.F) {
	o := dhttest.Offer(f, noon, "a", 1, nil)
	for _, r := range []dht.Request{
		{Op: dht.OpRegister, Offer: o.Bytes, Buckets: dht.Keys(dht.Buckets(&o.Offer))},
		{Op: dht.OpWithdraw, Offer: o.Bytes},
		{Op: dht.OpList, Buckets: []dht.Key{dht.Every.Key()}, Limit: 5},
	} {
		b, err := lease.Encode(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := dht.DecodeRequest(b); err == nil {
			h := dht.NewHolder(dht.HolderConfig{})
			if a, ok := h.Step(noon, r.Input(netip.Addr{}))[0].(dht.Answer); !ok {
				t.Fatalf("no answer to %+v", r)
			} else if out, err := lease.Encode(a.Response); err != nil || len(out) > dht.MaxResponse {
				t.Fatalf("answer of %d bytes, %v", len(out), err)
			}
		}
		dht.DecodeResponse(b)
	})
}
