// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"croft/ebpf/optout"
	"croft/lease/offer"
	"croft/node/wire"
)

// courtesy is what the node says to anybody who comes to its public address: why
// packets come from here, who sent them, and how to be left alone. Who gets an
// answer has completed a TCP handshake from where it asks, which is all that an
// attestation or a sighting says.
type courtesy struct {
	d *Daemon
	o *optouts
}

func (c courtesy) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.page)
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /node": c.presence, "GET /optout": c.attest, "GET /optout/nodes": c.nodes, "POST /optout": c.publish,
		"GET /seen": c.seen, "GET /seen/nodes": c.seenNodes, "GET /who": c.who, "POST /who": c.who,
	} {
		mux.Handle(pattern, byAddress(h))
	}
	strict := http.NewCrossOriginProtection().Handler(mux) // what is posted counts as the visitor's own word
	visitors := newVisitors(c.d.deps.Clock.Wall)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if !visitors.may(visitor(r)) {
			http.Error(w, "too often: wait a minute", http.StatusTooManyRequests)
			return
		}
		strict.ServeHTTP(w, r)
	})
}

// byAddress turns away who asks by a name. What these routes say holds for the
// visitor's address, and a web page whose name is made to lead here could have a
// visitor's browser ask, and read the answer.
func byAddress(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := asHost(r); !ok {
			http.Error(w, "ask by this node's address, not by a name", http.StatusMisdirectedRequest)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// asHost is the address by which the visitor knows this node, and how it stands in a
// URL. What a visitor calls it otherwise is not repeated to him: it would stand in
// commands that he is to paste.
func asHost(r *http.Request) (addr netip.Addr, url string, ok bool) {
	if at, err := netip.ParseAddrPort(r.Host); err == nil && at.Addr().Zone() == "" {
		return at.Addr(), at.String(), true
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(r.Host, "["), "]")
	addr, err := netip.ParseAddr(bare)
	return addr, addrText(addr), err == nil && addr.Zone() == ""
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

// DoorsOf are where a node says that its courtesy page is.
func DoorsOf(o offer.Offer) (doors []netip.AddrPort) {
	for _, a := range o.Addrs {
		if door, ok := doorIn(a); ok {
			doors = append(doors, door)
		}
	}
	return doors
}
