// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
)

// Domain separates signatures over claims from every other use of a key.
const Domain = "croft/claim/1\n"

// A Signer holds one principal's key.
type Signer interface {
	Principal() Principal
	// Sign returns the 64-byte Ed25519 signature of message.
	Sign(message []byte) []byte
}

// Signed is a statement as it travels: the payload exactly as its issuer
// encoded it, and the issuer's signature over Domain and payload. It is never
// encoded anew.
type Signed struct {
	_       struct{} `cbor:",toarray"`
	Payload []byte
	Sig     []byte
}

// ID returns the SHA-256 of domain and payload.
func (s Signed) ID() ID { return s.IDAs(Domain) }

// IDAs returns the SHA-256 of another domain and payload.
func (s Signed) IDAs(domain string) ID { return hash(domain, s.Payload) }

// Bytes returns the form that travels.
func (s Signed) Bytes() []byte {
	b, err := encode.Marshal(s)
	if err != nil {
		panic(err) // two byte strings always encode
	}
	return b
}

// Seal encodes and signs a statement. It refuses an impossible field, and a
// signer that is not the statement's issuer.
func Seal(st Statement, key Signer) (Signed, error) {
	if err := st.check(); err != nil {
		return Signed{}, fmt.Errorf("sealing %s: %w", st.Kind(), err)
	}
	if st.By() != key.Principal() {
		return Signed{}, fmt.Errorf("sealing %s of %s with the key of %s: %w",
			st.Kind(), st.By().Short(), key.Principal().Short(), ErrSignature)
	}
	return SealAs(Domain, st, key)
}

// SealAs encodes v and signs it under another domain: offers, heads and site
// certificates use it. Domains end in a newline, so none is another's prefix.
func SealAs(domain string, v any, key Signer) (Signed, error) {
	payload, err := encode.Marshal(v)
	if err != nil {
		return Signed{}, err
	}
	return Signed{Payload: payload, Sig: key.Sign(append([]byte(domain), payload...))}, nil
}

// ParseSigned reads the form that travels, at most limit bytes, without looking
// at the signature. It copies: b may change afterwards.
func ParseSigned(b []byte, limit int) (Signed, error) {
	if len(b) > limit {
		return Signed{}, fmt.Errorf("%d bytes, limit %d: %w", len(b), limit, ErrTooBig)
	}
	n, rest, err := takeHead(b, MajorArray)
	if err != nil || n != 2 {
		return Signed{}, fmt.Errorf("not a pair of payload and signature: %w", cmp.Or(err, ErrSyntax))
	}
	payload, rest, err := takeBytes(rest)
	if err != nil {
		return Signed{}, fmt.Errorf("payload: %w", err)
	}
	sig, rest, err := takeBytes(rest)
	switch {
	case err != nil:
		return Signed{}, fmt.Errorf("signature: %w", err)
	case len(sig) != ed25519.SignatureSize:
		return Signed{}, fmt.Errorf("signature of %d bytes: %w", len(sig), ErrSyntax)
	case len(rest) != 0:
		return Signed{}, fmt.Errorf("%d bytes too many: %w", len(rest), ErrSyntax)
	}
	return Signed{Payload: bytes.Clone(payload), Sig: bytes.Clone(sig)}, nil
}

// VerifyAs checks the signature of by over domain and payload.
func (s Signed) VerifyAs(domain string, by Principal) error {
	if !ed25519.Verify(by[:], append([]byte(domain), s.Payload...), s.Sig) {
		return ErrSignature
	}
	return nil
}

func hash(domain string, payload []byte) ID {
	h := sha256.New()
	h.Write([]byte(domain))
	h.Write(payload)
	return ID(h.Sum(nil))
}
