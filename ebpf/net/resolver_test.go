// SPDX-License-Identifier: Apache-2.0

package net

import (
	"context"
	stdnet "net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"croft/ebpf"

	"github.com/miekg/dns"
	"github.com/vishvananda/netns"
)

// upstream serves a small zone in a namespace, over UDP and TCP.
func upstream(t *testing.T, ns netns.NsHandle, at string) {
	t.Helper()
	h := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		zone := map[string][]string{
			"public.example.": {"public.example. 60 IN A 9.9.9.9"},
			"rebind.example.": {"rebind.example. 60 IN A 10.0.0.1"},
			"lab.example.":    {"lab.example. 60 IN A 10.77.0.1"},
			"large.example.":  nil,
		}
		rrs, known := zone[q.Question[0].Name]
		if q.Question[0].Name == "large.example." {
			for range 40 {
				rrs = append(rrs, `large.example. 60 IN TXT "`+strings.Repeat("x", 200)+`"`)
			}
		}
		for _, s := range rrs {
			rr, err := dns.NewRR(s)
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		if !known {
			m.Rcode = dns.RcodeNameError
		}
		if _, udp := w.RemoteAddr().(*stdnet.UDPAddr); udp {
			m.Truncate(dns.MinMsgSize)
		}
		w.WriteMsg(m)
	})
	var pc stdnet.PacketConn
	var l stdnet.Listener
	must(t, within(ns, func() (err error) {
		if pc, err = stdnet.ListenPacket("udp", at); err == nil {
			l, err = stdnet.Listen("tcp", at)
		}
		return err
	}))
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: h}, {Listener: l, Handler: h}} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		go s.ActivateAndServe()
		<-up
		t.Cleanup(func() { s.Shutdown() })
	}
}

func TestRootResolver(t *testing.T) {
	w := newWorld(t)
	upstream(t, w.outside, "192.0.2.2:53")
	n := w.mustOpen(Config{Places: 4, Lab: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")},
		Resolver: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.2:53")}})
	_, in := running(t, n, Sliver{Name: "aaaa", Place: 1})

	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- n.ServeDNS(ctx, nil) }()

	lookup := func(proto, name string, kind uint16) (*dns.Msg, error) { return lookupIn(in, proto, name, kind) }
	waitFor(t, "the resolver", func() bool { _, err := lookup("udp", "public.example.", dns.TypeA); return err == nil })

	for _, c := range []struct {
		proto, name string
		kind        uint16
		code, rrs   int
		truncated   bool
	}{
		{"udp", "public.example.", dns.TypeA, dns.RcodeSuccess, 1, false},
		{"tcp", "public.example.", dns.TypeA, dns.RcodeSuccess, 1, false},
		{"udp", "rebind.example.", dns.TypeA, dns.RcodeSuccess, 0, false},
		{"udp", "lab.example.", dns.TypeA, dns.RcodeSuccess, 1, false},
		{"udp", "nobody.example.", dns.TypeA, dns.RcodeNameError, 0, false},
		{"udp", "printer.local.", dns.TypeA, dns.RcodeNameError, 0, false},
		{"udp", "example.", dns.TypeANY, dns.RcodeRefused, 0, false},
		{"tcp", "large.example.", dns.TypeTXT, dns.RcodeSuccess, 40, false},
		{"udp", "large.example.", dns.TypeTXT, dns.RcodeSuccess, -1, true},
	} {
		m, err := lookup(c.proto, c.name, c.kind)
		if err != nil {
			t.Errorf("%s over %s: %v", c.name, c.proto, err)
			continue
		}
		if m.Rcode != c.code || c.rrs >= 0 && len(m.Answer) != c.rrs || m.Truncated != c.truncated {
			t.Errorf("%s over %s: %s, %d records, truncated %v; want %s, %d, %v", c.name, c.proto,
				dns.RcodeToString[m.Rcode], len(m.Answer), m.Truncated, dns.RcodeToString[c.code], c.rrs, c.truncated)
		}
	}
	all := n.Questions()
	if len(all) != 1 || all[0].Place != 1 || all[0].Screened != 1 || all[0].Local != 2 || all[0].Failed != 0 ||
		all[0].Asked != all[0].Answered+all[0].Local+all[0].Refused {
		t.Errorf("counts %+v", all)
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("served: %v", err)
	}
	if _, err := lookup("tcp", "public.example.", dns.TypeA); err == nil {
		t.Error("it still answers")
	}
}

// lookupIn asks the resolver from a sliver.
func lookupIn(in netns.NsHandle, proto, name string, kind uint16) (*dns.Msg, error) {
	var c stdnet.Conn
	if err := within(in, func() (err error) {
		c, err = stdnet.DialTimeout(proto, netip.AddrPortFrom(Resolver, 53).String(), 5*time.Second)
		return err
	}); err != nil {
		return nil, err
	}
	defer c.Close()
	q := new(dns.Msg)
	q.SetQuestion(name, kind)
	client := dns.Client{Net: proto, Timeout: 8 * time.Second}
	m, _, err := client.ExchangeWithConn(q, &dns.Conn{Conn: c})
	return m, err
}

// account stands in for a guard: it notes what is charged, while there is room.
type account struct {
	mu      sync.Mutex
	charged map[string]uint64
	wait    time.Duration
}

func (a *account) Charge(_ context.Context, sliver string, d ebpf.Direction, ch ebpf.Channel, bytes uint64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wait > 0 {
		return &ebpf.Wait{For: a.wait, Reason: ebpf.ReasonBytes}
	}
	a.charged[sliver+" "+ch.String()+" "+d.String()] += bytes
	return nil
}

func (a *account) set(wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wait = wait
}

// What the node sends and receives for a question is charged to who asked, after
// a restart too; while the lease has no room nothing is asked. Questions take no
// room in the table of connections.
func TestRootResolverCharges(t *testing.T) {
	w := newWorld(t)
	upstream(t, w.outside, "192.0.2.2:53")
	cfg := Config{Places: 4, Resolver: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.2:53")}}
	n := w.mustOpen(cfg)
	_, in := running(t, n, Sliver{Name: "aaaa", Place: 1})
	must(t, n.Close())
	n = w.mustOpen(cfg)
	a := &account{charged: map[string]uint64{}}
	go n.ServeDNS(t.Context(), a)
	waitFor(t, "the resolver", func() bool { _, err := lookupIn(in, "udp", "printer.local.", dns.TypeA); return err == nil })
	if len(a.charged) > 0 {
		t.Errorf("charged for what nobody was asked: %v", a.charged)
	}
	for _, proto := range []string{"udp", "tcp"} {
		if m, err := lookupIn(in, proto, "public.example.", dns.TypeA); err != nil || len(m.Answer) != 1 {
			t.Fatalf("%v, %v", m, err)
		}
	}
	q := n.Questions()[0]
	if up, down := a.charged["aaaa dns egress"], a.charged["aaaa dns ingress"]; up < 2*60 || down <= up || up != q.UpBytes || down != q.DownBytes || len(a.charged) != 2 {
		t.Errorf("charged %v, counted %+v", a.charged, q)
	}
	if got := entriesOf(t, n.space, "port=53 "); got > 0 {
		t.Errorf("%d entries in the table of connections", got)
	}

	a.set(time.Minute) // longer than anybody waits for an answer
	m, err := lookupIn(in, "udp", "public.example.", dns.TypeA)
	if err != nil || m.Rcode != dns.RcodeRefused {
		t.Errorf("over the lease: %v, %v", m, err)
	}
	a.set(time.Millisecond)
	time.AfterFunc(500*time.Millisecond, func() { a.set(0) })
	if m, err := lookupIn(in, "udp", "public.example.", dns.TypeA); err != nil || len(m.Answer) != 1 {
		t.Errorf("it did not wait for the lease: %v, %v", m, err)
	}
	if q := n.Questions()[0]; q.Refused != 1 || q.Asked != q.Answered+q.Local+q.Refused+q.Failed {
		t.Errorf("counts %+v", q)
	}
}

// waitFor polls until ok, which each take their own time.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waiting for %s", what)
		case <-tick.C:
		}
	}
}
