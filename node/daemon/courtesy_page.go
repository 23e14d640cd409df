// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/netip"
	"strings"
	text "text/template"
	"time"

	"croft/ebpf/audit/store"
	"croft/ebpf/optout"
	"croft/lease"
)

// The page for whoever finds this address in a log, as text and for a browser.
var (
	//go:embed courtesy.txt
	pageText string
	//go:embed courtesy.html
	pageHTML string

	textPage = text.Must(text.New("text").Parse(pageText))
	htmlPage = template.Must(template.New("html").Parse(pageHTML))
)

// courtesyPage is what the page says, filled in for its visitor.
type courtesyPage struct {
	Node, Name, Contact, Site string
	Here                      string // address and port of this page, as the visitor has it
	Addr                      string // the node's address, as it stands before a port
	You                       string // the visitor's, the same
	Yours                     bool   // slivers may send to it
	Now                       string
	Questions                 int // that a network may ask at once
	Rate                      int // and how many a minute after
	Limits                    []string
}

func (c courtesy) page(w http.ResponseWriter, r *http.Request) {
	you, now := visitor(r), c.d.deps.Clock.Wall()
	addr, here := c.here(r)
	p := courtesyPage{Node: c.d.deps.Key.Principal().String(), Name: c.d.cfg.Name, Contact: c.d.cfg.Contact, Site: "no certified site",
		Here: here, Addr: addrText(addr), You: addrText(you), Yours: optout.CheckAddr(you) == nil,
		Now: now.UTC().Format(time.RFC3339), Questions: askBurst, Rate: askRate * 60, Limits: c.d.limitsInForce()}
	if cert, _, _ := c.d.site.now(now); cert != nil {
		p.Site = cert.Name + " (" + cert.Site.String() + ")"
	}
	var write func(io.Writer, any) error = textPage.Execute
	if wantsHTML(r) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		write = htmlPage.Execute
	}
	w.Header().Set("Vary", "Accept")
	if err := write(w, p); err != nil { // the visitor has gone
		c.d.deps.Log.Debug("the courtesy page was not written", "err", err)
	}
}

// here is the node's address and where this page is, as its visitor has it if that is
// an address, else as the node has it.
func (c courtesy) here(r *http.Request) (netip.Addr, string) {
	if addr, here, ok := asHost(r); ok {
		return addr, here
	}
	if doors := c.d.doors(); len(doors) > 0 {
		return doors[0].Addr(), doors[0].String()
	}
	return netip.Addr{}, addrText(netip.Addr{})
}

// wantsHTML: browsers name it, curl does not.
func wantsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// addrText is an address as it stands before a port.
func addrText(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "ADDRESS"
	case a.Is6():
		return "[" + a.String() + "]"
	}
	return a.String()
}

// limitsInForce says what slivers can send at the most.
func (d *Daemon) limitsInForce() (lines []string) {
	if d.deps.Hosting == nil || d.rules == nil {
		return nil
	}
	var all lease.RSet
	for _, pool := range ledgerRules(d.inForce().Policy).Pools {
		for _, r := range []lease.Resource{lease.EgressRate, lease.EgressPackets, lease.FlowsNew} {
			all[r] += pool.Capacity[r]
		}
	}
	lines = append(lines, fmt.Sprintf("all programs together: %s, %s packets/s and %s new connections/s", lease.EgressRate.Format(all[lease.EgressRate]),
		lease.EgressPackets.Format(all[lease.EgressPackets]), lease.FlowsNew.Format(all[lease.FlowsNew])))
	if n := d.cfg.Bounds.FanOut; n > 0 {
		lines = append(lines, fmt.Sprintf("each: connections to %d addresses in a minute", n))
	}
	return append(lines, "each flow is recorded, and kept for up to "+days(store.DefaultRetention))
}
