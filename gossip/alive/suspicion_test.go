// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

type testKey ed25519.PrivateKey

func (k testKey) Principal() lease.Principal {
	return lease.Principal(ed25519.PrivateKey(k).Public().(ed25519.PublicKey))
}
func (k testKey) Sign(message []byte) []byte { return ed25519.Sign(ed25519.PrivateKey(k), message) }

func keyOf(name string) testKey {
	seed := sha256.Sum256([]byte(name))
	return testKey(ed25519.NewKeyFromSeed(seed[:]))
}

var noon = time.Unix(1_800_000_000, 0)

func TestImpossibleSuspicionsAreNeitherSealedNorRead(t *testing.T) {
	key := keyOf("a")
	good := Suspicion{By: key.Principal(), Node: keyOf("b").Principal(), Sequence: 1, Made: noon.Unix()}
	s, err := Seal(good, key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Open(s.Bytes); err != nil || got.Suspicion != good || len(s.Bytes) > MaxSuspicion {
		t.Fatalf("%+v in %d bytes, %v", got, len(s.Bytes), err)
	}
	for name, spoil := range map[string]func(*Suspicion){
		"by nobody":        func(s *Suspicion) { s.By = lease.Principal{} },
		"of nobody":        func(s *Suspicion) { s.Node = lease.Principal{} },
		"of oneself":       func(s *Suspicion) { s.Node = s.By },
		"sequence 0":       func(s *Suspicion) { s.Sequence = 0 },
		"before all time":  func(s *Suspicion) { s.Made = 0 },
		"after the last":   func(s *Suspicion) { s.Made = maxUnix + 1 },
		"key without hold": func(s *Suspicion) { s.Node = lease.Principal{1} },
	} {
		bad := good
		spoil(&bad)
		if _, err := Seal(bad, key); !errors.Is(err, lease.ErrField) {
			t.Errorf("%s: sealing gave %v", name, err)
		}
		signed, err := lease.SealAs(Domain, bad, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Read(signed.Bytes()); !errors.Is(err, lease.ErrField) {
			t.Errorf("%s: reading gave %v", name, err)
		}
	}
	if _, err := Seal(good, keyOf("x")); !errors.Is(err, lease.ErrSignature) {
		t.Errorf("with another's key: %v", err)
	}
	forged, _ := lease.SealAs(Domain, good, keyOf("x"))
	other, _ := lease.SealAs("croft/offer/1\n", good, key)
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"forged":       {forged.Bytes(), lease.ErrSignature},
		"other domain": {other.Bytes(), lease.ErrSignature},
		"too big":      {make([]byte, MaxSuspicion+1), lease.ErrTooBig},
		"nothing":      {nil, lease.ErrSyntax},
	} {
		if _, err := Open(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for after, want := range map[time.Duration]error{
		-offer.MaxSkew - time.Second: offer.ErrEarly, -offer.MaxSkew: nil, 0: nil,
		Valid + offer.MaxSkew: nil, Valid + offer.MaxSkew + time.Second: offer.ErrExpired,
	} {
		if err := good.Fresh(noon.Add(after)); !errors.Is(err, want) {
			t.Errorf("after %s: %v, want %v", after, err, want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	key := keyOf("a")
	s, err := Seal(Suspicion{By: key.Principal(), Node: keyOf("b").Principal(), Sequence: 1, Made: noon.Unix()}, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Bytes)
	f.Add([]byte{0x82, 0x41, 0xa0, 0x40})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := Open(b); err == nil && s.check() != nil {
			t.Fatalf("opened an impossible one: %+v", s)
		}
	})
}
