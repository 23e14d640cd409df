// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"crypto/ed25519"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Principal is an Ed25519 public key. People, nodes, sites and services are
// all principals; nothing else names anybody.
type Principal [ed25519.PublicKeySize]byte

// ID names a statement: the SHA-256 of its domain and payload. Two statements
// are the same exactly when their ids are.
type ID [32]byte

// Digest is the SHA-256 of a blob's bytes.
type Digest [32]byte

// text is RFC 4648 base32 in lower case without padding: 52 characters for 32
// bytes, safe in a file name, a DNS label and a double click.
var text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const shortText = 8 // characters that people see: 40 bits

func (p Principal) String() string { return text.EncodeToString(p[:]) }

// Short returns the first 8 characters of the text form, for display only.
func (p Principal) Short() string { return p.String()[:shortText] }

// IsZero reports whether p is no key at all.
func (p Principal) IsZero() bool { return p == Principal{} }

// Check returns ErrField where p can be nobody: it is no key at all, or one for
// which anybody can sign.
func (p Principal) Check() error { return principal("key", p) }

// weak reports whether p is a point of small order, for which a signature
// verifies without any secret, so that nobody could be held to it; or an
// encoding with y of the prime or more, which some verifiers of Ed25519 take and
// others do not.
func (p Principal) weak() bool {
	p[31] &= 0x7f // the sign of x
	return p.beyondPrime() || slices.Contains(smallOrder[:], p)
}

// beyondPrime reports whether y, without the sign, is at least 2^255-19.
func (p Principal) beyondPrime() bool {
	for _, b := range p[1:31] {
		if b != 0xff {
			return false
		}
	}
	return p[31]&0x7f == 0x7f && p[0] >= 0xed
}

// smallOrder lists y, little-endian, of the points of order 1, 2, 4 and 8 of
// edwards25519.
var smallOrder = [...]Principal{
	{0}, {1},
	smallY("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
	smallY("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
	smallY("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
}

func smallY(digits string) (p Principal) {
	if n, err := hex.Decode(p[:], []byte(digits)); err != nil || n != len(p) {
		panic(digits) // constant
	}
	return p
}

func (p Principal) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (p *Principal) UnmarshalText(b []byte) error {
	return parse32((*[32]byte)(p), "principal", string(b))
}

// ParsePrincipal reads the 52-character text form.
func ParsePrincipal(s string) (p Principal, err error) { return p, p.UnmarshalText([]byte(s)) }

func (id ID) String() string { return text.EncodeToString(id[:]) }

// Short returns the first 8 characters of the text form, for display only.
func (id ID) Short() string { return id.String()[:shortText] }

// IsZero reports whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

func (id *ID) UnmarshalText(b []byte) error { return parse32((*[32]byte)(id), "id", string(b)) }

// ParseID reads the 52-character text form.
func ParseID(s string) (id ID, err error) { return id, id.UnmarshalText([]byte(s)) }

// String returns the form that OCI uses: "sha256:" and 64 hex digits.
func (d Digest) String() string { return fmt.Sprintf("sha256:%x", d[:]) }

// IsZero reports whether d names nothing.
func (d Digest) IsZero() bool { return d == Digest{} }

func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *Digest) UnmarshalText(b []byte) error {
	digits, ok := strings.CutPrefix(string(b), "sha256:")
	v, err := hex.DecodeString(digits)
	if !ok || err != nil || len(v) != len(d) || hex.EncodeToString(v) != digits {
		return fmt.Errorf("digest %q: want sha256: and 64 lower-case hex digits: %w", b, ErrSyntax)
	}
	copy(d[:], v)
	return nil
}

// ParseDigest reads "sha256:" and 64 hex digits.
func ParseDigest(s string) (d Digest, err error) { return d, d.UnmarshalText([]byte(s)) }

func parse32(dst *[32]byte, what, s string) error {
	b, err := text.DecodeString(s)
	if err != nil || len(b) != 32 || text.EncodeToString(b) != s {
		return fmt.Errorf("%s %q: want 52 characters of a-z and 2-7: %w", what, s, ErrSyntax)
	}
	copy(dst[:], b)
	return nil
}
