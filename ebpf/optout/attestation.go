// SPDX-License-Identifier: Apache-2.0

package optout

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	"croft/lease"
)

// Domain separates attestations from every other use of a node's key.
const Domain = "croft/optout/1\n"

// Attestation is a node's word that somebody completed a TCP handshake with it
// from an address, and asked that slivers leave it alone until some time.
type Attestation struct {
	Node  lease.Principal `cbor:"1,keyasint" json:"node"`
	Addr  netip.Addr      `cbor:"2,keyasint" json:"addr"`  // 4 or 16 bytes; one address, never a range
	From  int64           `cbor:"3,keyasint" json:"from"`  // Unix seconds: when it was seen
	Until int64           `cbor:"4,keyasint" json:"until"` // Unix seconds, at most MaxTerm after From
	Nonce [16]byte        `cbor:"5,keyasint" json:"-"`     // random: no two attestations are the same
}

// Opened is an attestation whose encoding, fields and signature hold.
type Opened struct {
	Attestation
	Bytes []byte // as it travels
}

// CheckAddr reports whether an address can opt out: a unicast one in its plain
// form. It is one address in IPv6 too. A handshake shows one, its /64 may be
// shared by strangers, and who has many addresses can ask for each that it uses.
func CheckAddr(a netip.Addr) error {
	if !a.IsGlobalUnicast() || a.Is4In6() || a.Zone() != "" {
		return fmt.Errorf("%s: %w", a, ErrAddress)
	}
	return nil
}

// Check reports whether a can be.
func (a Attestation) Check() error {
	if err := lease.CheckPrincipal("node", a.Node); err != nil {
		return err
	}
	if err := CheckAddr(a.Addr); err != nil {
		return fmt.Errorf("%w: %w", lease.ErrField, err)
	}
	if a.From <= 0 || a.Until <= a.From || a.Until-a.From > MaxTerm {
		return fmt.Errorf("from %d until %d, at most %d seconds: %w", a.From, a.Until, MaxTerm, lease.ErrField)
	}
	return nil
}

// Attest signs that an address asked at now to be left alone for some time, in
// whole seconds.
func Attest(addr netip.Addr, now time.Time, term time.Duration, nonce [16]byte, key lease.Signer) (Opened, error) {
	a := Attestation{Node: key.Principal(), Addr: addr.Unmap(), From: now.Unix(), Until: now.Unix() + int64(term/time.Second), Nonce: nonce}
	if err := a.Check(); err != nil {
		return Opened{}, fmt.Errorf("attesting for %s: %w", addr, err)
	}
	s, err := lease.SealAs(Domain, a, key)
	if err != nil {
		return Opened{}, fmt.Errorf("attesting for %s: %w", addr, err)
	}
	return Opened{a, s.Bytes()}, nil
}

// Open reads an attestation and checks encoding, fields and signature. It
// returns lease.ErrTooBig, ErrSyntax, ErrNotCanonical, ErrField or ErrSignature.
func Open(b []byte) (Opened, error) {
	a, s, err := read(b)
	if err != nil {
		return Opened{}, fmt.Errorf("attestation: %w", err)
	}
	if err := s.VerifyAs(Domain, a.Node); err != nil {
		return Opened{}, fmt.Errorf("attestation of %s: %w", a.Node.Short(), err)
	}
	return a, nil
}

// read is Open without the signature.
func read(b []byte) (a Opened, s lease.Signed, err error) {
	if s, err = lease.ParseSigned(b, MaxAttestation); err != nil {
		return a, s, err
	}
	if err = lease.Decode(s.Payload, &a.Attestation, MaxAttestation); err != nil {
		return a, s, err
	}
	if err = a.Check(); err != nil {
		return a, s, err
	}
	if a.Bytes = bytes.Clone(b); !bytes.Equal(s.Bytes(), b) {
		return a, s, lease.ErrNotCanonical
	}
	return a, s, nil
}

func (a Attestation) String() string {
	return fmt.Sprintf("node=%s addr=%s from=%d until=%d", a.Node, a.Addr, a.From, a.Until)
}
