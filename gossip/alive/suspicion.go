// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// Domain separates signatures over suspicions from every other use of a key.
const Domain = "croft/suspicion/1\n"

// maxUnix is the year 9999, as in package lease.
const maxUnix = 253402300799

// Suspicion says that a node did not answer.
type Suspicion struct {
	By       lease.Principal `cbor:"1,keyasint" json:"by"`   // who probed and signs
	Node     lease.Principal `cbor:"2,keyasint" json:"node"` // who did not answer
	Sequence uint64          `cbor:"3,keyasint" json:"sequence"`
	Made     int64           `cbor:"4,keyasint" json:"made"` // Unix seconds
}

// Sealed is a suspicion with the bytes that travel. Those that were read may not be
// verified yet.
type Sealed struct {
	Suspicion
	Bytes  []byte
	signed lease.Signed
}

func (s Suspicion) check() error {
	for _, err := range []error{lease.CheckPrincipal("by", s.By), lease.CheckPrincipal("node", s.Node)} {
		if err != nil {
			return err
		}
	}
	if s.By == s.Node || s.Sequence == 0 || s.Made <= 0 || s.Made > maxUnix {
		return fmt.Errorf("of %s by %s, sequence %d, made %d: %w", s.Node.Short(), s.By.Short(), s.Sequence, s.Made, lease.ErrField)
	}
	return nil
}

// Seal signs a suspicion.
func Seal(s Suspicion, key lease.Signer) (Sealed, error) {
	if err := s.check(); err != nil {
		return Sealed{}, fmt.Errorf("sealing suspicion: %w", err)
	}
	if s.By != key.Principal() {
		return Sealed{}, fmt.Errorf("sealing suspicion by %s with the key of %s: %w", s.By.Short(), key.Principal().Short(), lease.ErrSignature)
	}
	signed, err := lease.SealAs(Domain, s, key)
	if err != nil {
		return Sealed{}, fmt.Errorf("sealing suspicion: %w", err)
	}
	return Sealed{Suspicion: s, Bytes: signed.Bytes(), signed: signed}, nil
}

// Read reads a suspicion and holds its form; see [Sealed.Verify].
func Read(b []byte) (s Sealed, err error) {
	if s.signed, err = lease.ParseSigned(b, MaxSuspicion); err != nil {
		return Sealed{}, fmt.Errorf("reading suspicion: %w", err)
	}
	if err = lease.Decode(s.signed.Payload, &s.Suspicion, MaxSuspicion); err == nil {
		err = s.check()
	}
	if err != nil {
		return Sealed{}, fmt.Errorf("reading suspicion: %w", err)
	}
	s.Bytes = b
	return s, nil
}

// Verify checks the signature.
func (s Sealed) Verify() error {
	if err := s.signed.VerifyAs(Domain, s.By); err != nil {
		return fmt.Errorf("suspicion by %s: %w", s.By.Short(), err)
	}
	return nil
}

// Open reads and verifies a suspicion.
func Open(b []byte) (Sealed, error) {
	s, err := Read(b)
	if err == nil {
		err = s.Verify()
	}
	return s, err
}

// Fresh returns nil while the suspicion counts, offer.ErrExpired or offer.ErrEarly
// otherwise. Honest nodes with differing clocks may disagree.
func (s Suspicion) Fresh(now time.Time) error {
	switch made := time.Unix(s.Made, 0); {
	case made.After(now.Add(offer.MaxSkew)):
		return fmt.Errorf("suspicion of %s: %w", s.Node.Short(), offer.ErrEarly)
	case now.Sub(made) > Valid+offer.MaxSkew:
		return fmt.Errorf("suspicion of %s: %w", s.Node.Short(), offer.ErrExpired)
	}
	return nil
}
