// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"croft/ebpf/audit"
	"croft/lease"
	"croft/node/api"
)

// sharedAddr is why coming from an address does not show who holds it.
const sharedAddr = "it is the address of a live node of Croft, whose tenants send from there too"

// seen signs that the visitor was at its address, for a principal. At a node's
// address only the node itself can be it: a sliver there has not the node's key.
func (c courtesy) seen(w http.ResponseWriter, r *http.Request) {
	who, err := lease.ParsePrincipal(r.URL.Query().Get("for"))
	if err != nil {
		http.Error(w, "want for=PRINCIPAL: `croft key show` prints yours", http.StatusBadRequest)
		return
	}
	if c.o.shared(visitor(r), who) {
		http.Error(w, fmt.Sprintf("%s: %s", visitor(r), sharedAddr), http.StatusForbidden)
		return
	}
	s, err := audit.SealSighting(visitor(r), who, c.d.deps.Clock.Wall(), c.d.deps.Key)
	if err != nil {
		http.Error(w, fmt.Sprintf("%s: no sliver sends to such an address", visitor(r)), http.StatusForbidden)
		return
	}
	fmt.Fprintln(w, s.Text())
}

// seenNodes names those whose sightings of the visitor count together.
func (c courtesy) seenNodes(w http.ResponseWriter, r *http.Request) { c.list(w, visitor(r)) }

// who answers the visitor about packets to its own address, which it has shown that
// it holds by being there, unless a node's tenants are there too.
func (c courtesy) who(w http.ResponseWriter, r *http.Request) {
	req, err := whoAsked(r.URL.Query(), visitor(r), c.d.deps.Clock.Wall())
	if err != nil {
		http.Error(w, err.Error()+"\nwant "+whoUsage, http.StatusBadRequest)
		return
	}
	if r.Method == http.MethodPost {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, audit.MaxMessage))
		if err != nil {
			http.Error(w, fmt.Sprintf("a message has at most %d bytes", audit.MaxMessage), http.StatusRequestEntityTooLarge)
			return
		}
		if req.Message = strings.ReplaceAll(string(text), "\r\n", "\n"); req.Message == "" {
			http.Error(w, "what is posted is the message, and there is none", http.StatusBadRequest)
			return
		}
	}
	if c.d.deps.Hosting == nil {
		http.Error(w, api.ErrVisitor.Error(), http.StatusNotImplemented)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerLimit)
	defer cancel()
	k := asker{network: lease.Network(visitor(r)), holder: !c.o.live(visitor(r))}
	if !k.holder {
		k.unshown = sharedAddr
	}
	answer, err := c.d.audits.who(ctx, k, req)
	if err != nil {
		http.Error(w, err.Error(), answerStatus(err))
		return
	}
	_, here := c.here(r)
	if err := c.d.writeAnswer(w, "http://"+here+r.URL.RequestURI(), req, answer); err != nil {
		c.d.deps.Log.Error("an answer about packets cannot be written", "err", err)
	}
}

// whoUsage is what a question looks like.
const whoUsage = "/who?source=ADDRESS:PORT&destination-port=PORT&at=2026-01-31T12:00:00Z&within=5s&protocol=tcp&prove=1; all but source may be left out"

// whoAsked reads a question about packets to one address.
func whoAsked(q url.Values, to netip.Addr, now time.Time) (req api.WhoRequest, err error) {
	if req.Src, err = netip.ParseAddrPort(q.Get("source")); err != nil {
		return req, fmt.Errorf("source %q: want an address and port", q.Get("source"))
	}
	port := uint64(0)
	if s := q.Get("destination-port"); s != "" {
		if port, err = strconv.ParseUint(s, 10, 16); err != nil {
			return req, fmt.Errorf("destination-port %q: want 0 to 65535", s)
		}
	}
	req.Dst, req.At = netip.AddrPortFrom(to, uint16(port)), now
	if s := q.Get("at"); s != "" && s != "now" {
		if req.At, err = time.Parse(time.RFC3339, strings.ReplaceAll(s, " ", "+")); err != nil { // + is a space in a query
			return req, fmt.Errorf("at %q: want RFC 3339", s)
		}
	}
	if s := q.Get("within"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 || d > audit.MaxWithin {
			return req, fmt.Errorf("within %q: want up to %s", s, audit.MaxWithin)
		}
		req.Within = d.Seconds()
	}
	if req.Proto = strings.ToLower(q.Get("protocol")); req.Proto != "" && req.Proto != "tcp" && req.Proto != "udp" {
		return req, fmt.Errorf("protocol %q: want tcp or udp", req.Proto)
	}
	req.Prove = q.Get("prove") == "1"
	return req, nil
}

func answerStatus(err error) int {
	switch {
	case errors.Is(err, api.ErrBadRequest):
		return http.StatusBadRequest
	case errors.Is(err, api.ErrBusy):
		return http.StatusTooManyRequests
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, api.ErrAgain):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// writeAnswer writes one as text, with what `croft audit verify` reads at its end.
// The question was asked at url.
func (d *Daemon) writeAnswer(w io.Writer, url string, req api.WhoRequest, a api.WhoAnswer) error {
	signed, err := audit.OpenAssertion(a.Signed)
	if err != nil {
		return err
	}
	dossier := audit.Dossier{Answers: []audit.OpenedAssertion{signed}}
	for _, b := range a.Proofs {
		p, err := audit.ReadProof(b)
		if err != nil {
			return err
		}
		dossier.Proofs = append(dossier.Proofs, p)
	}
	fmt.Fprintf(w, "Who sent %s -> %s, about %s?\n\nnode %s asserts: %s\n", req.Src, req.Dst, req.At.UTC().Format(time.RFC3339), d.cfg.Name, a.Verdict)
	for _, s := range a.Slices {
		fmt.Fprintf(w, "  slice %s\n", s)
	}
	if a.Withheld > 0 {
		fmt.Fprintf(w, "  %d not named to you: %s\n", a.Withheld, a.Unshown)
	}
	for _, f := range a.Flows {
		fmt.Fprintf(w, "  %s %s -> %s, %d packets, %d bytes, %s to %s\n", f.Proto, f.Src, f.Dst, f.Packets, f.Bytes,
			f.First.Format(time.RFC3339), f.Last.Format(time.RFC3339))
	}
	if a.Pending != nil {
		fmt.Fprintf(w, "  not yet committed to; by %s at the latest\n", a.Pending.Format(time.RFC3339))
	}
	if a.Cut {
		fmt.Fprintln(w, "  and there is more: ask for less time, with within=1s")
	}
	if a.Contact != "" {
		fmt.Fprintf(w, "\nThe owner of this node: %s\n", a.Contact)
	}
	switch {
	case req.Message != "":
		fmt.Fprintf(w, "\nYour message is kept for the owners of the slices that fit, for %s. Whether it is read is not told.\n", days(audit.MessageTerm))
	case len(a.Slices) > 0:
		fmt.Fprintf(w, "\nTo leave a message for the slice's owner, of at most %d bytes, post it to the same address:\n\n    curl -g --data-binary 'TEXT' '%s'\n", audit.MaxMessage,
			strings.ReplaceAll(url, "'", "%27"))
	}
	fmt.Fprint(w, "\nSigned, for `croft audit verify`:\n\n")
	_, err = w.Write(dossier.Text())
	return err
}

func days(d time.Duration) string { return fmt.Sprintf("%d days", d/(24*time.Hour)) }
