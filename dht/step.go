// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"croft/lease"
)

// Input is what a Holder takes: Register, Withdraw, List or Tick.
type Input interface {
	fmt.Stringer
	input()
}

// Register asks to hold an offer in buckets. From is the registrant's address,
// of which only the network counts; the zero Addr is one network too.
type Register struct {
	Offer   []byte
	Buckets []Key
	From    netip.Addr
}

// Withdraw takes a node out of every bucket, by its newer closed offer.
type Withdraw struct{ Offer []byte }

// List asks for at most Limit offers of one bucket after a cursor.
type List struct {
	Bucket Key
	After  lease.Principal
	Limit  int
}

// Tick lets time pass.
type Tick struct{}

func (Register) input() {}
func (Withdraw) input() {}
func (List) input()     {}
func (Tick) input()     {}

func (i Register) String() string {
	from := "-" // no address
	if i.From.IsValid() {
		from = i.From.String()
	}
	s := "register " + blob(i.Offer).String() + " " + from
	for _, k := range i.Buckets {
		s += " " + k.String()
	}
	return s
}
func (i Withdraw) String() string { return "withdraw " + blob(i.Offer).String() }
func (i List) String() string     { return fmt.Sprintf("list %s %s %d", i.Bucket, i.After, i.Limit) }
func (Tick) String() string       { return "tick" }

func blob(b []byte) lease.Digest { return sha256.Sum256(b) }

// ParseInput reads what String printed; fetch returns the bytes of a digest.
func ParseInput(s string, fetch func(lease.Digest) ([]byte, bool)) (Input, error) {
	words := strings.Fields(s)
	bad := fmt.Errorf("input %q: want register, withdraw, list or tick: %w", s, lease.ErrSyntax)
	if len(words) == 0 {
		return nil, bad
	}
	var offer []byte
	if words[0] == "register" || words[0] == "withdraw" {
		if len(words) < 2 {
			return nil, bad
		}
		d, err := lease.ParseDigest(words[1])
		if err != nil {
			return nil, err
		}
		var ok bool
		if offer, ok = fetch(d); !ok {
			return nil, fmt.Errorf("input %q: its bytes are not at hand: %w", s, lease.ErrSyntax)
		}
	}
	switch {
	case words[0] == "tick" && len(words) == 1:
		return Tick{}, nil
	case words[0] == "withdraw" && len(words) == 2:
		return Withdraw{offer}, nil
	case words[0] == "list" && len(words) == 4:
		k, err := ParseKey(words[1])
		if err != nil {
			return nil, err
		}
		after, err := lease.ParsePrincipal(words[2])
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(words[3])
		if err != nil {
			return nil, bad
		}
		return List{k, after, n}, nil
	case words[0] == "register" && len(words) >= 3:
		in := Register{Offer: offer}
		if addr, err := netip.ParseAddr(words[2]); err == nil {
			in.From = addr
		} else if words[2] != "-" {
			return nil, bad
		}
		for _, w := range words[3:] {
			k, err := ParseKey(w)
			if err != nil {
				return nil, err
			}
			in.Buckets = append(in.Buckets, k)
		}
		return in, nil
	}
	return nil, bad
}

// Effect is what a Holder wants done or known: Answer, Expired.
type Effect interface {
	fmt.Stringer
	effect()
}

// Answer goes back to who asked; always the first effect of a request.
type Answer struct{ Response Response }

// Expired says that a node's offer ran out and left all its buckets.
type Expired struct{ Node lease.Principal }

func (Answer) effect()  {}
func (Expired) effect() {}

func (e Answer) String() string {
	s := "answer"
	for _, st := range e.Response.Status {
		s += " " + st.String()
	}
	if e.Response.Split {
		s += " split"
	}
	if e.Response.Size > 0 {
		s += fmt.Sprintf(" size=%d", e.Response.Size)
	}
	for _, o := range e.Response.Offers {
		s += " " + blob(o).String()
	}
	if !e.Response.After.IsZero() {
		s += " after=" + e.Response.After.String()
	}
	return s
}
func (e Expired) String() string { return "expired " + e.Node.String() }
