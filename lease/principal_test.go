// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// For every key on the list there is a message whose signature anybody can
// write down: R of small order and S zero.
func TestWeakKeysNeedNoSecret(t *testing.T) {
	for _, y := range smallOrder {
		for _, sign := range []byte{0, 0x80} {
			key := y
			key[31] |= sign
			if !key.weak() {
				t.Errorf("%x is not refused", key)
			}
			if !forgeable(key) {
				t.Errorf("%x is on the list, but nothing can be forged for it", key)
			}
		}
	}
	if p := keyOf("alice").Principal(); p.weak() || forgeable(p) {
		t.Errorf("%s is refused", p)
	}
}

// Every y from the prime to 2^255-1 is refused, with either sign, and the y below is not for that.
func TestKeysBeyondThePrime(t *testing.T) {
	last := smallY("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")
	if last.beyondPrime() {
		t.Error("2^255-20 is refused")
	}
	for low := 0xed; low <= 0xff; low++ {
		for _, sign := range []byte{0x7f, 0xff} {
			key := last
			key[0], key[31] = byte(low), sign
			if !key.weak() {
				t.Errorf("%x is not refused", key)
			}
		}
	}
}

func forgeable(key Principal) bool {
	for i := range 64 {
		for _, r := range smallOrder {
			for _, sign := range []byte{0, 0x80} {
				sig := make([]byte, ed25519.SignatureSize)
				copy(sig, r[:])
				sig[31] |= sign
				if ed25519.Verify(key[:], fmt.Append(nil, i), sig) {
					return true
				}
			}
		}
	}
	return false
}

func TestTextForms(t *testing.T) {
	p, id, d := keyOf("alice").Principal(), ID{1, 2, 3}, Digest{4, 5, 6}
	if got, err := ParsePrincipal(p.String()); err != nil || got != p {
		t.Errorf("principal: got %s, %v", got, err)
	}
	if got, err := ParseID(id.String()); err != nil || got != id {
		t.Errorf("id: got %s, %v", got, err)
	}
	if got, err := ParseDigest(d.String()); err != nil || got != d {
		t.Errorf("digest: got %s, %v", got, err)
	}
	for _, s := range []string{"", "a", p.String()[:51], p.String() + "a", strings.ToUpper(p.String()), p.String()[:51] + "z", p.String()[:51] + "=", "\n" + p.String()} {
		if _, err := ParsePrincipal(s); !errors.Is(err, ErrSyntax) {
			t.Errorf("principal %q: got %v", s, err)
		}
	}
	for _, s := range []string{"", "sha256:", d.String()[7:], strings.ToUpper(d.String()), d.String() + "00", "sha512:" + d.String()[7:]} {
		if _, err := ParseDigest(s); !errors.Is(err, ErrSyntax) {
			t.Errorf("digest %q: got %v", s, err)
		}
	}
}
