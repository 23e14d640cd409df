// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"croft/lease"
)

func TestFullOfferFitsAndOpens(t *testing.T) {
	key := keyOf("n1")
	sealed := seal(t, full(key), key)
	got, err := Open(sealed.Bytes, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, sealed) {
		t.Fatalf("got  %+v\nwant %+v", got, sealed)
	}
	t.Logf("%d bytes", len(sealed.Bytes))
	b, err := json.Marshal(got.Offer)
	if err != nil {
		t.Fatal(err)
	}
	var back Offer
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, got.Offer) {
		t.Fatalf("through JSON: %+v, %v", back, err)
	}
}

func TestImpossibleOffersAreNeitherSealedNorOpened(t *testing.T) {
	key := keyOf("n1")
	for name, spoil := range map[string]func(*Offer){
		"no node":                 func(o *Offer) { o.Node = lease.Principal{} },
		"sequence 0":              func(o *Offer) { o.Sequence = 0 },
		"valid too long":          func(o *Offer) { o.Until = o.Made + MaxValid + 1 },
		"ends before it begins":   func(o *Offer) { o.Until = o.Made },
		"made before time":        func(o *Offer) { o.Made = -5 },
		"long name":               func(o *Offer) { o.Name = strings.Repeat("x", MaxName+1) },
		"escape in the name":      func(o *Offer) { o.Name = "a\x1b[31m" },
		"country in small":        func(o *Offer) { o.Attributes.Country = "ch" },
		"off the globe":           func(o *Offer) { o.Attributes.Position = &Position{Lat: 90_001} },
		"label key":               func(o *Offer) { o.Attributes.Labels = map[string]string{"A b": "c"} },
		"line break in a label":   func(o *Offer) { o.Attributes.Labels = map[string]string{"a": "b\nc"} },
		"pools out of order":      func(o *Offer) { o.Free[0], o.Free[1] = o.Free[1], o.Free[0] },
		"pool twice":              func(o *Offer) { o.Free[1] = o.Free[0] },
		"address":                 func(o *Offer) { o.Addrs[0] = "198.51.100.7:80" },
		"too many addresses":      func(o *Offer) { o.Addrs = make([]string, MaxAddrs+1) },
		"amount":                  func(o *Offer) { o.Total[lease.CPU] = lease.MaxAmount + 1 },
		"longest term":            func(o *Offer) { o.Longest = lease.MaxTerm + 1 },
		"certificate, no site":    func(o *Offer) { o.Site = lease.Principal{} },
		"uptime before its start": func(o *Offer) { o.Uptime = -1 },
		"coordinate off the map":  func(o *Offer) { o.Coordinate = &Coordinate{Vector: [Dimensions]int32{0, -MaxReach - 1}, Error: 1} },
		"below the ground":        func(o *Offer) { o.Coordinate = &Coordinate{Height: -1, Error: 1} },
		"never wrong":             func(o *Offer) { o.Coordinate = &Coordinate{} },
		"more than wrong":         func(o *Offer) { o.Coordinate = &Coordinate{Error: MaxError + 1} },
	} {
		o := full(key)
		spoil(o)
		if _, err := Seal(o, key); !errors.Is(err, lease.ErrField) {
			t.Errorf("%s: sealing gave %v, want ErrField", name, err)
		}
		s, err := lease.SealAs(Domain, o, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(s.Bytes(), nil); !errors.Is(err, lease.ErrField) {
			t.Errorf("%s: opening gave %v, want ErrField", name, err)
		}
	}
}

func TestForgedOffers(t *testing.T) {
	key := keyOf("n1")
	good := seal(t, full(key), key)
	s, err := lease.ParseSigned(good.Bytes, MaxOffer)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := lease.SealAs(Domain, full(key), keyOf("thief"))
	domain, _ := lease.SealAs("croft/claim/1\n", full(key), key)
	trailing := append(append([]byte{}, good.Bytes...), 0)
	for name, c := range map[string]struct {
		bytes []byte
		want  error
	}{
		"other key":      {other.Bytes(), lease.ErrSignature},
		"other domain":   {domain.Bytes(), lease.ErrSignature},
		"trailing byte":  {trailing, lease.ErrSyntax},
		"too big":        {make([]byte, MaxOffer+1), lease.ErrTooBig},
		"empty":          {nil, lease.ErrSyntax},
		"short sig":      {lease.Signed{Payload: s.Payload, Sig: s.Sig[:63]}.Bytes(), lease.ErrSyntax},
		"unknown field":  {signed(t, map[int]any{99: 1}, key), lease.ErrSyntax},
		"array, not map": {signed(t, []int{1, 2}, key), lease.ErrSyntax},
	} {
		if _, err := Open(c.bytes, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	deny := func(_, _ lease.Principal, _ []byte) error { return errors.New("not ours") }
	if _, err := Open(good.Bytes, deny); !errors.Is(err, ErrCertificate) {
		t.Errorf("refused certificate: %v", err)
	}
	if _, err := Seal(full(key), keyOf("thief")); !errors.Is(err, lease.ErrSignature) {
		t.Errorf("sealing for another: %v", err)
	}
}

func signed(t *testing.T, v any, key testKey) []byte {
	s, err := lease.SealAs(Domain, v, key)
	if err != nil {
		t.Fatal(err)
	}
	return s.Bytes()
}

func TestFresh(t *testing.T) {
	o := full(keyOf("n1"))
	for after, want := range map[time.Duration]error{
		-MaxSkew - time.Second: ErrEarly, -MaxSkew: nil, 0: nil, 599 * time.Second: nil, 600 * time.Second: ErrExpired,
	} {
		if err := o.Fresh(noon.Add(after)); !errors.Is(err, want) {
			t.Errorf("after %s: %v, want %v", after, err, want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	key := keyOf("n1")
	f.Add(seal(f, full(key), key).Bytes)
	f.Add([]byte{0x82, 0x41, 0xa0, 0x40})
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := Open(b, nil); err == nil && o.check() != nil {
			t.Fatalf("opened an impossible offer: %+v", o)
		}
		// Past the signature: what a stranger can sign itself.
		s, err := lease.SealAs(Domain, full(key), key)
		if err != nil {
			t.Fatal(err)
		}
		s.Payload = b
		s.Sig = key.Sign(append([]byte(Domain), b...))
		if o, err := Open(s.Bytes(), nil); err == nil && (o.check() != nil || o.Node != key.Principal()) {
			t.Fatalf("opened an impossible offer: %+v", o)
		}
	})
}
