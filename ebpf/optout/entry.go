// SPDX-License-Identifier: Apache-2.0

package optout

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"

	"croft/lease"
)

// entryDomain separates ids of entries from other hashes.
const entryDomain = "croft/optout-entry/1\n"

// Entry is an address's opt-out: three attestations for it. Whether their nodes
// are of three sites and were chosen is for each [Set] to judge by what it knows.
type Entry struct {
	Addr  netip.Addr
	From  int64             // Unix seconds: the latest of the three
	Until int64             // Unix seconds: the earliest of the three
	By    [Attesters]Opened // ascending by node
	ID    lease.ID
	Bytes []byte // as it travels
}

// wire is the form that travels.
type wire struct {
	Attestations [][]byte `cbor:"1,keyasint"` // ascending by node
}

// Join makes an entry of attestations that were opened, in any order.
func Join(by []Opened) (Entry, error) {
	by = slices.Clone(by)
	slices.SortFunc(by, func(a, b Opened) int { return bytes.Compare(a.Node[:], b.Node[:]) })
	var w wire
	for _, a := range by {
		w.Attestations = append(w.Attestations, a.Bytes)
	}
	b, err := lease.Encode(w)
	if err != nil {
		return Entry{}, fmt.Errorf("joining attestations: %w", err)
	}
	return join(by, b)
}

// OpenEntry reads an entry and checks encoding, fields and signatures. Its errors
// are those of [Open], and ErrEntry as an ErrField.
func OpenEntry(b []byte) (Entry, error) {
	e, err := readEntry(b)
	if err == nil {
		err = e.verify()
	}
	return e, err
}

// readEntry is OpenEntry without signatures.
func readEntry(b []byte) (Entry, error) {
	var w wire
	if err := lease.Decode(b, &w, MaxEntry); err != nil {
		return Entry{}, fmt.Errorf("opt-out: %w", err)
	}
	if len(w.Attestations) != Attesters {
		return Entry{}, fmt.Errorf("opt-out: %d attestations, want %d: %w: %w", len(w.Attestations), Attesters, ErrEntry, lease.ErrField)
	}
	by := make([]Opened, 0, Attesters)
	for _, raw := range w.Attestations {
		a, _, err := read(raw)
		if err != nil {
			return Entry{}, fmt.Errorf("opt-out: %w", err)
		}
		by = append(by, a)
	}
	return join(by, bytes.Clone(b))
}

func join(by []Opened, b []byte) (Entry, error) {
	bad := func(format string, args ...any) (Entry, error) {
		return Entry{}, fmt.Errorf("opt-out: %s: %w: %w", fmt.Sprintf(format, args...), ErrEntry, lease.ErrField)
	}
	if len(by) != Attesters {
		return bad("%d attestations, want %d", len(by), Attesters)
	}
	e := Entry{Addr: by[0].Addr, From: by[0].From, Until: by[0].Until, By: [Attesters]Opened(by), Bytes: b}
	first := e.From
	for i, a := range by {
		// Of many entries the bytes are held once.
		if at := bytes.Index(b, a.Bytes); at >= 0 {
			e.By[i].Bytes = b[at : at+len(a.Bytes) : at+len(a.Bytes)]
		}
		if a.Addr != e.Addr {
			return bad("attestations for %s and for %s", e.Addr, a.Addr)
		}
		if i > 0 && bytes.Compare(by[i-1].Node[:], a.Node[:]) >= 0 {
			return bad("nodes not ascending, or one of them twice")
		}
		first, e.From, e.Until = min(first, a.From), max(e.From, a.From), min(e.Until, a.Until)
	}
	if e.From-first > MaxSpread {
		return bad("attestations %d seconds apart, at most %d", e.From-first, MaxSpread)
	}
	if e.Until <= e.From {
		return bad("one attestation ends before another begins")
	}
	h := sha256.New()
	h.Write([]byte(entryDomain))
	h.Write(b)
	e.ID = lease.ID(h.Sum(nil))
	return e, nil
}

func (e *Entry) verify() error {
	for _, a := range e.By {
		s, err := lease.ParseSigned(a.Bytes, MaxAttestation)
		if err == nil {
			err = s.VerifyAs(Domain, a.Node)
		}
		if err != nil {
			return fmt.Errorf("opt-out of %s, attested by %s: %w", e.Addr, a.Node.Short(), err)
		}
	}
	return nil
}

// after reports whether e takes the place of o, another entry for its address:
// what holds longer. It is a total order, so that all nodes end with the same.
func (e *Entry) after(o *Entry) bool {
	return e.Until > o.Until || e.Until == o.Until && bytes.Compare(e.ID[:], o.ID[:]) > 0
}

func (e Entry) String() string {
	return fmt.Sprintf("%s addr=%s from=%d until=%d by=%s,%s,%s", e.ID, e.Addr, e.From, e.Until, e.By[0].Node, e.By[1].Node, e.By[2].Node)
}
