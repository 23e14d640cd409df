// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"croft/ebpf/optout"
	"croft/lease"
)

// SightingDomain separates sightings from every other use of a node's key.
const SightingDomain = "croft/sighting/1\n"

// ErrNotShown: nothing that was brought shows that the asker holds the address.
var ErrNotShown = errors.New("it is not shown that the address is the asker's")

// Sighting is a node's word that somebody completed a TCP handshake with it from
// an address, and asked that this be said for a principal. It shows that the
// principal holds the address, to who believes the node, for SightingTerm.
type Sighting struct {
	Node lease.Principal `cbor:"1,keyasint" json:"node"`
	Addr netip.Addr      `cbor:"2,keyasint" json:"addr"` // 4 or 16 bytes
	Who  lease.Principal `cbor:"3,keyasint" json:"who"`
	At   int64           `cbor:"4,keyasint" json:"at"` // Unix seconds
}

// OpenedSighting is a sighting whose encoding, fields and signature hold.
type OpenedSighting struct {
	Sighting
	Bytes []byte // as it travels
}

// Check reports whether s can be.
func (s Sighting) Check() error {
	if err := lease.CheckPrincipal("node", s.Node); err != nil {
		return err
	}
	if err := lease.CheckPrincipal("who", s.Who); err != nil {
		return err
	}
	if err := optout.CheckAddr(s.Addr); err != nil {
		return fmt.Errorf("%w: %w", lease.ErrField, err)
	}
	if s.At <= 0 {
		return fmt.Errorf("at %d: %w", s.At, lease.ErrField)
	}
	return nil
}

// SealSighting signs that an address was seen now.
func SealSighting(addr netip.Addr, who lease.Principal, now time.Time, key lease.Signer) (OpenedSighting, error) {
	s := Sighting{Node: key.Principal(), Addr: addr.Unmap(), Who: who, At: now.Unix()}
	if err := s.Check(); err != nil {
		return OpenedSighting{}, fmt.Errorf("sighting of %s: %w", addr, err)
	}
	signed, err := lease.SealAs(SightingDomain, s, key)
	if err != nil {
		return OpenedSighting{}, fmt.Errorf("sighting of %s: %w", addr, err)
	}
	return OpenedSighting{s, signed.Bytes()}, nil
}

// OpenSighting reads a sighting and checks encoding, fields and signature. It
// returns what [OpenHead] does.
func OpenSighting(b []byte) (OpenedSighting, error) {
	o, signed, err := readSighting(b)
	if err != nil {
		return OpenedSighting{}, err
	}
	if err := o.verify(signed); err != nil {
		return OpenedSighting{}, err
	}
	return o, nil
}

func (s OpenedSighting) verify(signed lease.Signed) error {
	if err := signed.VerifyAs(SightingDomain, s.Node); err != nil {
		return fmt.Errorf("sighting of %s: %w", s.Node.Short(), err)
	}
	return nil
}

// readSighting is OpenSighting before the signature.
func readSighting(b []byte) (OpenedSighting, lease.Signed, error) {
	signed, err := lease.ParseSigned(b, MaxSighting)
	if err != nil {
		return OpenedSighting{}, signed, fmt.Errorf("sighting: %w", err)
	}
	o := OpenedSighting{Bytes: bytes.Clone(b)}
	if err := lease.Decode(signed.Payload, &o.Sighting, MaxSighting); err != nil {
		return OpenedSighting{}, signed, fmt.Errorf("sighting: %w", err)
	}
	if err := o.Check(); err != nil {
		return OpenedSighting{}, signed, fmt.Errorf("sighting: %w", err)
	}
	return o, signed, nil
}

// sightingWord is how a sighting begins in text: one word, so that answers of
// several pages can be put one after the other.
const sightingWord = "croft-sighting:"

var sightingText = regexp.MustCompile(sightingWord + `([A-Za-z0-9_-]+)`)

// Text writes a sighting as one word.
func (s OpenedSighting) Text() string {
	return sightingWord + base64.RawURLEncoding.EncodeToString(s.Bytes)
}

// ParseSightings returns the sightings in a text of at most MaxSightingText bytes,
// in order, at most MaxSightings, and verifies them. What stands between them is
// passed over; a text without any has none.
func ParseSightings(text string) (all []OpenedSighting, err error) {
	return ParseSightingsOf(text, func(lease.Principal) bool { return true })
}

// ParseSightingsOf is ParseSightings for who knows whose sightings can count: those
// of other nodes are passed over, and not verified.
func ParseSightingsOf(text string, known func(lease.Principal) bool) (all []OpenedSighting, err error) {
	if len(text) > MaxSightingText {
		return nil, fmt.Errorf("sightings of %d bytes, limit %d: %w", len(text), MaxSightingText, lease.ErrTooBig)
	}
	found := sightingText.FindAllStringSubmatch(text, MaxSightings+1)
	if len(found) > MaxSightings {
		return nil, fmt.Errorf("more than %d sightings: %w", MaxSightings, lease.ErrTooBig)
	}
	for i, m := range found {
		b, err := base64.RawURLEncoding.Strict().DecodeString(m[1])
		if err != nil {
			return nil, fmt.Errorf("sighting %d: %w: %w", i+1, err, lease.ErrSyntax)
		}
		s, signed, err := readSighting(b)
		if err == nil && !known(s.Node) {
			continue
		}
		if err == nil {
			err = s.verify(signed)
		}
		if err != nil {
			return nil, fmt.Errorf("sighting %d: %w", i+1, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// Sighted judges whether sightings show to the node self that a principal holds an
// address now. Its own is enough; of others it takes three, of the nodes that may
// attest for the address on the day of each (see optout.Chosen, which chosen is
// as self knows it; an instant in Unix seconds comes in), of three sites and
// networks. The error is ErrNotShown and says what is missing.
func Sighted(self, who lease.Principal, addr netip.Addr, now time.Time, shown []OpenedSighting, chosen func(at int64) []optout.Node) error {
	addr = addr.Unmap()
	why := "nothing was brought of a node that is known here"
	var by []optout.Node
	for _, s := range shown {
		switch age := now.Sub(time.Unix(s.At, 0)); {
		case s.Who != who:
			why = "a sighting is for another principal"
			continue
		case s.Addr != addr:
			why = fmt.Sprintf("a sighting is of %s", s.Addr)
			continue
		case age > SightingTerm, age < -optout.MaxSkew:
			why = "a sighting is older than " + SightingTerm.String() + ", or of the future"
			continue
		}
		if s.Node == self {
			return nil
		}
		nodes := chosen(s.At)
		at := slices.IndexFunc(nodes, func(n optout.Node) bool { return n.Principal == s.Node })
		switch {
		case at < 0:
			why = fmt.Sprintf("%s may not attest for %s today, as this node sees it", s.Node.Short(), addr)
		case slices.ContainsFunc(by, func(n optout.Node) bool {
			return n.Site == nodes[at].Site || n.Network(addr) == nodes[at].Network(addr)
		}):
			why = "two sightings are of one site or network"
		default:
			if by = append(by, nodes[at]); len(by) == optout.Attesters {
				return nil
			}
		}
	}
	if len(by) > 0 {
		why = fmt.Sprintf("%d nodes of different sites and networks count, %d are needed", len(by), optout.Attesters)
	}
	return fmt.Errorf("%s: %w: %s", addr, ErrNotShown, why)
}
