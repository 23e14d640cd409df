// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"croft/ebpf/optout"
	"croft/node/api"
	"croft/node/wire"
)

// courtesy is what the node says to anybody who comes to its public address: why
// packets come from here, whom to ask, and how to be left alone. Who gets an
// answer has completed a TCP handshake from where it asks, which is all that an
// attestation says.
type courtesy struct {
	d *Daemon
	o *optouts
}

func (c courtesy) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.page)
	mux.HandleFunc("GET /node", c.presence)
	mux.HandleFunc("GET /optout", c.attest)
	mux.HandleFunc("GET /optout/nodes", c.nodes)
	mux.HandleFunc("POST /optout", c.publish)
	visitors := newVisitors(c.d.deps.Clock.Wall)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if !visitors.may(visitor(r)) {
			http.Error(w, "too often: wait a minute", http.StatusTooManyRequests)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// newCourtesy is the server of the courtesy page.
func (d *Daemon) newCourtesy() *http.Server {
	s := &http.Server{Handler: d.sessions.around(courtesy{d, d.deps.OptOuts}.handler()), ReadHeaderTimeout: visitLimit / 2,
		ReadTimeout: visitLimit, WriteTimeout: visitLimit, MaxHeaderBytes: 4 << 10}
	s.SetKeepAlivesEnabled(false)
	return s
}

// visitor is the address at the other end.
func visitor(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// page is plain text, for whoever finds this address in a log.
func (c courtesy) page(w http.ResponseWriter, r *http.Request) {
	you := visitor(r)
	site := "no certified site"
	if cert, _, _ := c.d.site.now(c.d.deps.Clock.Wall()); cert != nil {
		site = fmt.Sprintf("%s (%s)", cert.Name, cert.Site)
	}
	fmt.Fprintf(w, `Why did this machine send me packets?

This machine is a node of Croft. Its owner leases small shares of it to researchers, whose
programs send packets from this address. Each share has a limit of its own, and every flow is
recorded to the slice that it belongs to.

    node   %s
    name   %s
    site   %s

Who sent me this?

    croft audit who %s:PORT %s:PORT --at 2026-01-31T12:00:00Z

The first port is the one that the packet came from, the second is yours.

How are you left alone?

Ask three nodes of three sites. /optout/nodes names those that may answer for you today. From the
address that wants its peace, within an hour:

    curl -s http://NODE1/optout >> optout.txt
    curl -s http://NODE2/optout >> optout.txt
    curl -s http://NODE3/optout >> optout.txt
    curl -s --data-binary @optout.txt http://%s/optout

No slice of any node sends to that address any more, for seven days; ?for=24h asks for less. Or do
all of it with

    croft optout request --node %s
`, c.d.deps.Key.Principal(), c.d.cfg.Name, site, hostOf(r), addrText(you), r.Host, r.Host)
}

// hostOf is the address that the visitor knows this node by.
func hostOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return addrText(parseAddr(host))
	}
	return "THIS"
}

func parseAddr(s string) netip.Addr { a, _ := netip.ParseAddr(s); return a }

func addrText(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "ADDRESS"
	case a.Is6():
		return "[" + a.String() + "]"
	}
	return a.String()
}

// presence tells which node this is, at one of its own addresses.
func (c courtesy) presence(w http.ResponseWriter, r *http.Request) {
	addr, err := netip.ParseAddr(r.URL.Query().Get("addr"))
	var nonce [16]byte
	raw, err2 := hex.DecodeString(r.URL.Query().Get("nonce"))
	if err != nil || err2 != nil || len(raw) != len(nonce) {
		http.Error(w, "want addr and a nonce of 16 bytes in hex", http.StatusBadRequest)
		return
	}
	copy(nonce[:], raw)
	for _, own := range c.d.doors() {
		if own.Addr() != addr {
			continue
		}
		text, err := optout.SealPresence(optout.Presence{Node: c.d.deps.Key.Principal(), Addr: addr, Nonce: nonce}, c.d.deps.Key)
		if err != nil {
			http.Error(w, "no answer", http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, text)
		return
	}
	http.Error(w, "not an address of this node", http.StatusNotFound)
}

// asker is the visitor, if its address can opt out. Otherwise the answer is given.
func (c courtesy) asker(w http.ResponseWriter, r *http.Request) (netip.Addr, bool) {
	addr := visitor(r)
	why := ""
	switch {
	case optout.CheckAddr(addr) != nil:
		why = "no sliver sends to such an address"
	case c.d.cfg.Profile == ProfilePublic && addr.IsPrivate():
		why = "your address here is a private one, to which no sliver sends: ask from where your own network ends"
	case c.o.live(addr):
		why = "it is the address of a live node of Croft"
	}
	if why != "" {
		http.Error(w, fmt.Sprintf("%s cannot opt out: %s", addr, why), http.StatusForbidden)
	}
	return addr, why == ""
}

// attest signs that the visitor asked to be left alone.
func (c courtesy) attest(w http.ResponseWriter, r *http.Request) {
	addr, ok := c.asker(w, r)
	if !ok {
		return
	}
	term := optout.MaxTerm * time.Second
	if s := r.URL.Query().Get("for"); s != "" {
		var err error
		if term, err = time.ParseDuration(s); err != nil || term < time.Second || term > optout.MaxTerm*time.Second {
			http.Error(w, "want for=24h, at most 168h", http.StatusBadRequest)
			return
		}
	}
	now := c.d.deps.Clock.Wall()
	if !c.o.chosen(c.d.deps.Key.Principal(), addr, now) {
		http.Error(w, fmt.Sprintf("this node may not attest for %s today: see /optout/nodes", addr), http.StatusConflict)
		return
	}
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	a, err := optout.Attest(addr, now, term, nonce, c.d.deps.Key)
	if err != nil {
		http.Error(w, "no attestation", http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, a.Text())
}

// nodes names those that may attest for the visitor today.
func (c courtesy) nodes(w http.ResponseWriter, r *http.Request) {
	addr, ok := c.asker(w, r)
	if !ok {
		return
	}
	fmt.Fprintf(w, "# nodes that may attest today for %s: door, node, site. Three sites and three networks are needed\n", addr)
	for _, n := range c.o.choice(addr, c.d.deps.Clock.Wall()) {
		fmt.Fprintf(w, "http://%s %s %s\n", n.Door(addr), n.Principal, n.Site)
	}
}

// publish takes attestations that somebody gathered.
func (c courtesy) publish(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, optout.MaxText))
	if err != nil {
		http.Error(w, "too long", http.StatusRequestEntityTooLarge)
		return
	}
	e, err := c.o.take(r.Context(), b)
	if err != nil {
		code := http.StatusBadRequest
		if !errors.Is(err, api.ErrBadRequest) {
			code = http.StatusInternalServerError
		}
		http.Error(w, strings.TrimPrefix(err.Error(), api.ErrBadRequest.Error()+": "), code)
		return
	}
	fmt.Fprintf(w, "%s is left alone until %s\n", e.Addr, time.Unix(e.Until, 0).UTC().Format(time.RFC3339))
}

// doors are where this node's courtesy page is, one for each of its addresses.
func (d *Daemon) doors() (doors []netip.AddrPort) {
	if d.deps.Courtesy == nil {
		return nil
	}
	at, err := courtesyAt(d.cfg.Courtesy)
	if err != nil {
		return nil // the configuration was checked
	}
	for _, s := range offerAddrs(d.deps.Wire.Addrs()) {
		a, ok := wire.IP(s)
		door := netip.AddrPortFrom(a, at.Port())
		if ok && !slices.Contains(doors, door) && (at.Addr().IsUnspecified() || at.Addr() == a) {
			doors = append(doors, door)
		}
	}
	return doors
}

// courtesyAt reads where the courtesy page is to be: ":4080" is on all addresses.
func courtesyAt(s string) (netip.AddrPort, error) {
	if strings.HasPrefix(s, ":") {
		s = "[::]" + s
	}
	at, err := netip.ParseAddrPort(s)
	if err != nil || at.Port() == 0 {
		return at, fmt.Errorf("[audit] courtesy = %q: want :4080 or an address with a port", s)
	}
	return at, nil
}
