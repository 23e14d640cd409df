// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"fmt"

	"croft/lease"
)

// HeadDomain separates heads from every other use of a node's key.
const HeadDomain = "croft/audit-head/1\n"

// Head is what a node commits to: at some time its log had so many segments,
// and this is the root of the Merkle tree over them (RFC 6962, section 2.1).
// Whoever keeps a head can hold the node to all that it recorded before.
type Head struct {
	Node lease.Principal `cbor:"1,keyasint" json:"node"`
	Size uint64          `cbor:"2,keyasint" json:"size"` // segments in the log, from 1
	Root lease.Digest    `cbor:"3,keyasint" json:"root"`
	At   int64           `cbor:"4,keyasint" json:"at"` // Unix ns at which it was signed
}

// OpenedHead is a head whose encoding, fields and signature hold.
type OpenedHead struct {
	Head
	ID    lease.ID // SHA-256 of domain and payload
	Bytes []byte   // as it travels
}

// SealHead signs a head with its node's key.
func SealHead(h Head, key lease.Signer) (OpenedHead, error) {
	if err := h.Check(); err != nil {
		return OpenedHead{}, fmt.Errorf("sealing a head: %w", err)
	}
	if h.Node != key.Principal() {
		return OpenedHead{}, fmt.Errorf("sealing a head of %s with the key of %s: %w", h.Node.Short(), key.Principal().Short(), lease.ErrSignature)
	}
	s, err := lease.SealAs(HeadDomain, h, key)
	if err != nil {
		return OpenedHead{}, fmt.Errorf("sealing a head: %w", err)
	}
	return OpenHead(s.Bytes())
}

// OpenHead reads a head and checks encoding, fields and signature. It returns
// lease.ErrTooBig, ErrSyntax, ErrNotCanonical, ErrField or ErrSignature.
func OpenHead(b []byte) (OpenedHead, error) {
	s, err := lease.ParseSigned(b, MaxHead)
	if err != nil {
		return OpenedHead{}, fmt.Errorf("head: %w", err)
	}
	o := OpenedHead{Bytes: bytes.Clone(b), ID: s.IDAs(HeadDomain)}
	if err := lease.Decode(s.Payload, &o.Head, MaxHead); err != nil {
		return OpenedHead{}, fmt.Errorf("head: %w", err)
	}
	if err := o.Check(); err != nil {
		return OpenedHead{}, fmt.Errorf("head: %w", err)
	}
	if err := s.VerifyAs(HeadDomain, o.Node); err != nil {
		return OpenedHead{}, fmt.Errorf("head of %s: %w", o.Node.Short(), err)
	}
	return o, nil
}

// Check reports whether h can be.
func (h Head) Check() error {
	if err := h.Node.Check(); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if h.Size == 0 || h.Size > MaxSegments || h.At <= 0 {
		return fmt.Errorf("%s: %w", h, ErrField)
	}
	return nil
}

// Forks reports whether h and o cannot both be heads of one log: the same size
// and not the same root. That they are both signed is for [OpenHead] to say, and
// of heads of two sizes a [Consistency] or [Fork] tells.
func (h Head) Forks(o Head) bool { return h.Node == o.Node && h.Size == o.Size && h.Root != o.Root }

// Newer reports whether h is of a later state of the log than o, or the same one
// signed later.
func (h Head) Newer(o Head) bool { return h.Size > o.Size || h.Size == o.Size && h.At > o.At }

func (h Head) String() string {
	return fmt.Sprintf("node=%s size=%d root=%s at=%s", h.Node, h.Size, h.Root, instant(h.At))
}
