// SPDX-License-Identifier: Apache-2.0

package net

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"croft/ebpf"

	"github.com/miekg/dns"
)

func openByDefault(t *testing.T) func(netip.Addr) bool {
	rules, err := ebpf.NewRules(nil, nil, nil)
	must(t, err)
	return func(a netip.Addr) bool { return rules.Allow(6, netip.AddrPortFrom(a, 443)) }
}

func TestScreen(t *testing.T) {
	for _, c := range []struct {
		what  string
		in    []string
		kept  int
		where func(*dns.Msg) *[]dns.RR
	}{
		{"public", []string{"a.example. 1 IN A 9.9.9.9", "a.example. 1 IN AAAA 2620:fe::fe"}, 2, nil},
		{"private", []string{"a.example. 1 IN A 10.1.2.3"}, 0, nil},
		{"one of a set closes the set", []string{"a.example. 1 IN A 9.9.9.9", "a.example. 1 IN A 192.168.0.1", "b.example. 1 IN A 9.9.9.9"}, 1, nil},
		{"metadata", []string{"a.example. 1 IN A 169.254.169.254"}, 0, nil},
		{"the sliver's own loopback", []string{"a.example. 1 IN A 127.0.0.1", "a.example. 1 IN AAAA ::1"}, 0, nil},
		{"mapped", []string{"a.example. 1 IN AAAA ::ffff:10.0.0.1"}, 0, nil},
		{"NAT64", []string{"a.example. 1 IN AAAA 64:ff9b::10.0.0.1"}, 0, nil},
		{"hint", []string{`a.example. 1 IN HTTPS 1 . ipv4hint="10.0.0.1"`}, 0, nil},
		{"hint6", []string{`a.example. 1 IN SVCB 1 . ipv6hint="fd00::1"`}, 0, nil},
		{"alias", []string{"a.example. 1 IN CNAME b.example.", "b.example. 1 IN A 10.0.0.1"}, 1, nil},
		{"extra", []string{"ns.example. 1 IN A 10.0.0.1"}, 0, func(m *dns.Msg) *[]dns.RR { return &m.Extra }},
	} {
		m := new(dns.Msg)
		at := &m.Answer
		if c.where != nil {
			at = c.where(m)
		}
		for _, s := range c.in {
			rr, err := dns.NewRR(s)
			must(t, err)
			*at = append(*at, rr)
		}
		if dropped := screen(m, openByDefault(t)); len(*at) != c.kept || dropped != len(c.in)-c.kept {
			t.Errorf("%s: %d kept, %d dropped, want %d of %d kept: %v", c.what, len(*at), dropped, c.kept, len(c.in), *at)
		}
	}
}

func TestVerdict(t *testing.T) {
	open := openByDefault(t)
	for name, want := range map[string]int{
		"example.com.":                         dns.RcodeSuccess,
		"localhost.":                           dns.RcodeNameError,
		"Printer.LOCAL.":                       dns.RcodeNameError,
		"metadata.google.internal.":            dns.RcodeNameError,
		"notlocal.":                            dns.RcodeSuccess,
		"1.0.0.10.in-addr.arpa.":               dns.RcodeNameError,
		"10.in-addr.arpa.":                     dns.RcodeNameError,
		"8.8.8.8.in-addr.arpa.":                dns.RcodeSuccess,
		"x.8.8.8.in-addr.arpa.":                dns.RcodeSuccess,
		"0.0.d.f.ip6.arpa.":                    dns.RcodeNameError,
		"0.0.6.2.ip6.arpa.":                    dns.RcodeSuccess,
		strings.Repeat("1.", 40) + "ip6.arpa.": dns.RcodeSuccess,
	} {
		q := new(dns.Msg)
		q.SetQuestion(name, dns.TypePTR)
		if got := verdict(q, open); got != want {
			t.Errorf("%s: %s, want %s", name, dns.RcodeToString[got], dns.RcodeToString[want])
		}
	}
	q := new(dns.Msg)
	if got := verdict(q, open); got != dns.RcodeFormatError {
		t.Errorf("no question: %s", dns.RcodeToString[got])
	}
	q.SetUpdate("example.com.")
	if got := verdict(q, open); got != dns.RcodeNotImplemented {
		t.Errorf("update: %s", dns.RcodeToString[got])
	}
	q = new(dns.Msg).SetQuestion("example.com.", dns.TypeAXFR)
	if got := verdict(q, open); got != dns.RcodeRefused {
		t.Errorf("transfer: %s", dns.RcodeToString[got])
	}
}

func FuzzVerdict(f *testing.F) {
	seed, err := new(dns.Msg).SetQuestion("1.0.0.10.in-addr.arpa.", dns.TypePTR).Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	open := func(netip.Addr) bool { return false }
	f.Fuzz(func(t *testing.T, b []byte) {
		var m dns.Msg
		if m.Unpack(b) != nil {
			return
		}
		verdict(&m, open)
		before := len(m.Answer) + len(m.Ns) + len(m.Extra)
		if dropped := screen(&m, open); before-dropped != len(m.Answer)+len(m.Ns)+len(m.Extra) {
			t.Errorf("%d records, %d dropped, and %v", before, dropped, m)
		}
	})
}

func TestAskersAreBounded(t *testing.T) {
	var as askers
	now := time.Unix(1_000_000, 0)
	a, b := netip.MustParseAddr("198.19.0.16"), netip.MustParseAddr("198.19.0.17")
	for i := range dnsInFlight {
		if !as.begin(a, 0, now) {
			t.Fatalf("question %d refused", i)
		}
	}
	if as.begin(a, 0, now) {
		t.Error("more in flight than allowed")
	}
	if !as.begin(b, 1, now) {
		t.Error("one sliver's questions refuse another's")
	}
	for range dnsInFlight {
		as.end(a, 0, func(q *Questions) { q.Answered++ })
	}
	passed := 0
	for range 10 * dnsBurst {
		if as.begin(a, 0, now) {
			passed++
			as.end(a, 0, func(q *Questions) { q.Answered++ })
		}
	}
	if passed != dnsBurst-dnsInFlight {
		t.Errorf("%d passed at once, want %d", passed, dnsBurst-dnsInFlight)
	}
	if !as.begin(a, 0, now.Add(20*time.Millisecond)) {
		t.Error("nothing passes later")
	}
	as.end(a, 0, func(q *Questions) { q.Answered++ })
	for range dnsConns {
		if !as.connect(a, 0) {
			t.Error("connection refused")
		}
	}
	if as.connect(a, 0) {
		t.Error("more connections than allowed")
	}
	for _, q := range as.counts() {
		if q.Place == 0 && q.Asked != q.Answered+q.Refused {
			t.Errorf("%+v does not add up", q)
		}
	}
	as.forget(a)
	if got := as.counts(); len(got) != 1 || got[0].Place != 1 {
		t.Errorf("after forgetting: %+v", got)
	}
}
