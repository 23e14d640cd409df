// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"croft/ebpf/optout"
	"croft/node/api"
)

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
	if addr, ok := c.asker(w, r); ok {
		c.list(w, addr)
	}
}

// list writes the nodes that may attest for an address today.
func (c courtesy) list(w io.Writer, addr netip.Addr) {
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
