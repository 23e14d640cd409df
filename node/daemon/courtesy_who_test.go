// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"croft/ebpf/audit"
	"croft/ebpf/optout"
	"croft/lease"
	"croft/lease/leasetest"
)

// atDesk is the desk's node with its courtesy page.
func atDesk(t *testing.T) (*resident, *record, *stopped) {
	a, n1, clock := desk(t)
	n1.segment(3)
	clock.at = time.Unix(n1.clock+1, 0)
	r := newResident(t, "n1", sentBy.Addr().String())
	a.d.cfg, a.d.deps.OptOuts, a.d.deps.Wire, a.d.deps.Courtesy = r.d.cfg, r.out, r.d.deps.Wire, r.d.deps.Courtesy
	a.d.cfg.Contact = "noc@n1.example"
	a.d.site = &certificate{d: a.d}
	r.d = a.d
	r.page = courtesy{r.d, r.out}.handler()
	return r, n1, clock
}

var whoPath = fmt.Sprintf("/who?source=%s&destination-port=443&at=%s&within=2s", sentBy, time.Unix(1_000_000, 0).UTC().Format(time.RFC3339))

// With nothing but curl, from the address that got the packets: the name, signed.
// From any other address the same question is about other packets.
func TestWhoByHand(t *testing.T) {
	r, _, clock := atDesk(t)
	code, text := r.visit("GET", whoPath+"&prove=1&protocol=TCP", outsider, "")
	for _, want := range []string{"node n1 asserts: exact\n", "  slice web@n1\n", "tcp 10.0.0.2:40000 -> 203.0.113.9:443, 3 packets, 300 bytes", "The owner of this node: noc@n1.example",
		"curl -g --data-binary 'TEXT' 'http://198.18.1.11:4080/who?source=198.51.100.7:20117&", "AUDIT ANSWER"} {
		if code != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%d, without %q:\n%s", code, want, text)
		}
	}
	d, err := audit.ParseDossier([]byte(text))
	if err != nil || !d.Judge().Holds() || len(d.Judge().Answers[0].Unshown) > 0 || d.Answers[0].Node != leasetest.Who("n1") {
		t.Errorf("offline: %+v, %v", d, err)
	}
	if code, text := r.visit("GET", whoPath, "203.0.113.10", ""); code != 200 || strings.Contains(text, "web") || !strings.Contains(text, "asserts: none") {
		t.Errorf("from next door: %d %s", code, text)
	}
	for query, want := range map[string]string{
		"":                "source",
		"?source=1.2.3.4": "source",
		"?source=" + sentBy.String() + "&destination-port=x": "destination-port",
		"?source=" + sentBy.String() + "&at=noon":            "RFC 3339",
		"?source=" + sentBy.String() + "&within=2h":          "up to 1h0m0s",
		"?source=" + sentBy.String() + "&within=-1s":         "up to 1h0m0s",
		"?source=" + sentBy.String() + "&protocol=sctp":      "tcp or udp",
	} {
		if code, text := r.visit("GET", "/who"+query, "192.0.2.5", ""); code != 400 || !strings.Contains(text, want) || !strings.Contains(text, whoUsage) {
			t.Errorf("%s: %d %s", query, code, text)
		}
	}

	code, text = r.visit("POST", whoPath, outsider, "Stop, please.\r\nnoc@example.org")
	list, err := r.d.audits.AllMessages(t.Context())
	if code != 200 || !strings.Contains(text, "is kept") || err != nil || len(list) != 1 || !list[0].Holder || list[0].Slice != "web@n1" ||
		list[0].From != "203.0.113.0/24" || list[0].Text != "Stop, please.\nnoc@example.org" {
		t.Errorf("a message: %d %s, %+v, %v", code, text, list, err)
	}
	for body, want := range map[string]int{"": 400, "\x1b[2J": 400, strings.Repeat("x", audit.MaxMessage+1): 413} {
		if code, text := r.visit("POST", whoPath, outsider, body); code != want {
			t.Errorf("%.20q: %d %s, want %d", body, code, text, want)
		}
	}

	// The record's own allowance is counted too, whatever the page's is.
	for n := 0; ; n++ {
		clock.at = clock.at.Add(visitEvery)
		r.d.audits.charge(asker{network: netip.MustParsePrefix("203.0.113.0/24")}, askBurst)
		if code, _ := r.visit("GET", whoPath, outsider, ""); code == http.StatusTooManyRequests {
			break
		}
		if n > 3 {
			t.Fatal("the record is asked without end")
		}
	}
}

// Who waits for a turn in vain is told so, and holds his connection no longer.
func TestWhoByHandWaitsItsTurn(t *testing.T) {
	r, _, _ := atDesk(t)
	synctest.Test(t, func(t *testing.T) {
		r.d.audits.slots = make(chan struct{}, maxQuestions)
		for range maxQuestions {
			r.d.audits.slots <- struct{}{}
		}
		from := time.Now()
		code, text := r.visit("GET", whoPath, outsider, "")
		if took := time.Since(from); code != http.StatusServiceUnavailable || took != answerLimit {
			t.Errorf("%d %s after %s", code, text, took)
		}
	})
}

// A web page that has a visitor's browser ask gets to read nothing, and can leave
// nothing in the visitor's name.
func TestThePageIsAskedByAddressAndByItsVisitor(t *testing.T) {
	r, _, _ := atDesk(t)
	ask := func(method, path, host, from string, header ...string) int {
		req := httptest.NewRequest(method, "http://"+host+path, strings.NewReader("hello"))
		req.RemoteAddr = from + ":50000"
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		r.page.ServeHTTP(w, req)
		return w.Code
	}
	me := leasetest.Who("me").String()
	for path, want := range map[string]int{"/": 200, whoPath: 421, "/seen?for=" + me: 421, "/optout": 421} {
		if code := ask("GET", path, "rebound.example:4080", outsider); code != want {
			t.Errorf("%s by name: %d, want %d", path, code, want)
		}
	}
	for _, host := range hostile {
		req := httptest.NewRequest("GET", "http://x"+whoPath, nil)
		req.Host, req.RemoteAddr = host, outsider+":50000"
		w := httptest.NewRecorder()
		if r.page.ServeHTTP(w, req); w.Code != http.StatusMisdirectedRequest {
			t.Errorf("by %s: %d", host, w.Code)
		}
	}
	for _, host := range []string{"198.51.100.7:4080", "198.51.100.7", "[2001:db8::7]:4080", "[2001:db8::7]"} {
		if code := ask("GET", "/seen?for="+me, host, "192.0.2.5"); code != 200 {
			t.Errorf("by %s: %d", host, code)
		}
	}
	if code := ask("POST", whoPath, "198.51.100.7:4080", outsider, "Origin", "http://evil.example"); code != 403 {
		t.Errorf("posted by another page: %d", code)
	}
	if code := ask("POST", whoPath, "198.51.100.7:4080", outsider, "Sec-Fetch-Site", "cross-site"); code != 403 {
		t.Errorf("posted by another page: %d", code)
	}
	if list, _ := r.d.audits.AllMessages(t.Context()); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

func TestSeen(t *testing.T) {
	r, _, clock := atDesk(t)
	me := leasetest.Who("me")
	code, text := r.visit("GET", "/seen?for="+me.String(), outsider, "")
	list, err := audit.ParseSightings(text)
	if code != 200 || err != nil || len(list) != 1 || list[0].Who != me || list[0].Addr.String() != outsider || list[0].Node != leasetest.Who("n1") || list[0].At != clock.at.Unix() {
		t.Errorf("%d %s: %+v, %v", code, text, list, err)
	}
	for path, want := range map[string]int{"/seen": 400, "/seen?for=me": 400} {
		if code, text := r.visit("GET", path, outsider, ""); code != want {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if code, _ := r.visit("GET", "/seen?for="+me.String(), "127.0.0.1", ""); code != 403 {
		t.Errorf("from where no packet comes: %d", code)
	}
	all := residents(t)
	if code, text := all[0].visit("GET", "/seen/nodes", "198.18.2.11", ""); code != 200 || strings.Count(text, "\nhttp://") != 4 { // a node may show its address
		t.Errorf("%d %s", code, text)
	}
}

// From a node's address its tenants come too: who comes from there is told no name,
// and gets no sighting, but for the node's own key.
func TestATenantIsNoHolder(t *testing.T) {
	r, _, _ := atDesk(t)
	b1, me := leasetest.Who("b1"), leasetest.Who("me")
	r.out.step(optout.Known{Nodes: []optout.Node{{Principal: b1, Addrs: []netip.Addr{netip.MustParseAddr(outsider)}}}})
	code, text := r.visit("GET", whoPath+"&prove=1", outsider, "")
	if code != http.StatusOK || !strings.Contains(text, "asserts: exact\n") || strings.Contains(text, "web") || !strings.Contains(text, "  1 not named to you: "+sharedAddr) {
		t.Errorf("%d %s", code, text)
	}
	if code, _ := r.visit("POST", whoPath, outsider, "Stop, please."); code != http.StatusOK {
		t.Errorf("a message: %d", code)
	}
	if list, err := r.d.audits.AllMessages(t.Context()); err != nil || len(list) != 1 || list[0].Holder {
		t.Errorf("a message: %+v, %v", list, err)
	}
	for who, want := range map[lease.Principal]int{me: http.StatusForbidden, leasetest.Who("n1"): http.StatusForbidden, b1: http.StatusOK} {
		if code, text := r.visit("GET", "/seen?for="+who.String(), outsider, ""); code != want {
			t.Errorf("for %s: %d %s, want %d", who.Short(), code, text, want)
		}
	}
	if code, _ := r.visit("GET", "/seen?for="+me.String(), "203.0.113.10", ""); code != http.StatusOK {
		t.Errorf("next door: %d", code)
	}
}

// hostile are names for the node that are commands where they are pasted.
var hostile = []string{"198.51.100.7:';touch${IFS}x;'", "';touch${IFS}x;'", "$(touch${IFS}x):4080", "[fe80::1%$(touch${IFS}x)]:4080", "fe80::1%$(touch${IFS}x)"}

// A browser gets the same in HTML, and what a visitor says of himself stays text.
func TestCourtesyPageInHTML(t *testing.T) {
	r, _, _ := atDesk(t)
	get := func(host, from string) (string, http.Header) {
		req := httptest.NewRequest("GET", "http://x/", nil)
		req.Host, req.RemoteAddr = host, from
		req.Header.Set("Accept", "text/html,application/xhtml+xml")
		w := httptest.NewRecorder()
		r.page.ServeHTTP(w, req)
		return w.Body.String(), w.Header()
	}
	page, header := get("198.51.100.7:4080", "[2001:db8:1::9]:50000")
	for _, want := range []string{"<h1>Why did this machine", "noc@n1.example", "croft audit who 198.51.100.7:PORT [2001:db8:1::9]:PORT",
		"source=198.51.100.7:PORT&amp;destination-port=PORT"} {
		if !strings.Contains(page, want) {
			t.Errorf("without %q:\n%s", want, page)
		}
	}
	if !strings.HasPrefix(header.Get("Content-Type"), "text/html") || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%v", header)
	}
	door := sentBy.Addr().String() + ":4080"
	for _, host := range append(hostile, "<script>alert(1)</script>") {
		page, _ := get(host, "203.0.112.9:1")
		if strings.Contains(page, "<script>") || strings.Contains(page, "touch") || !strings.Contains(page, "optout request --node "+door) || !strings.Contains(page, "croft audit who "+sentBy.Addr().String()+":PORT") {
			t.Errorf("called %s:\n%s", host, page)
		}
	}
	if page, _ := get("198.51.100.7:4080", "127.0.0.1:1"); strings.Contains(page, "destination-port") || !strings.Contains(page, "No program here can send to 127.0.0.1") {
		t.Errorf("to one who gets no packets:\n%s", page)
	}
}

// Whatever is asked, what is taken for a question is one about the visitor's own
// address.
func FuzzWhoAsked(f *testing.F) {
	f.Add(strings.TrimPrefix(whoPath, "/who?"))
	f.Add("source=[2001:db8::7]:1&at=2026-01-31T12:00:00+02:00&within=1ns&protocol=udp&prove=1")
	to, now := netip.MustParseAddr(outsider), time.Unix(1_000_000, 0)
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		req, err := whoAsked(q, to, now)
		if err == nil && (req.Dst.Addr() != to || !req.Src.IsValid() || req.Within < 0 || req.Within > audit.MaxWithin.Seconds() || req.Shown+req.Message != "") {
			t.Errorf("%q: %+v", query, req)
		}
	})
}
