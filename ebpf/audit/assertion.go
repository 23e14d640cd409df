// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"

	"croft/lease"
)

// AssertionDomain separates signed answers from every other use of a node's key.
const AssertionDomain = "croft/audit-answer/1\n"

// Assertion is one node's signed answer to a [Who]: what "node N asserts". Rows
// that it has committed to are shown by inclusions beside it.
type Assertion struct {
	Node    lease.Principal `cbor:"1,keyasint" json:"node"`
	Src     Endpoint        `cbor:"2,keyasint" json:"src"`
	Dst     Endpoint        `cbor:"3,keyasint" json:"dst"`
	Proto   uint8           `cbor:"4,keyasint,omitempty" json:"proto,omitempty"` // 0: any
	At      int64           `cbor:"5,keyasint" json:"at"`                        // Unix ns
	Within  int64           `cbor:"6,keyasint" json:"within"`                    // ns
	Slices  []string        `cbor:"7,keyasint,omitempty" json:"slices,omitempty"`
	NAT     bool            `cbor:"8,keyasint,omitempty" json:"nat,omitempty"`      // the source address is not the node's own: the port was not held against its record
	Cut     bool            `cbor:"9,keyasint,omitempty" json:"cut,omitempty"`      // there may be more
	Pending int64           `cbor:"10,keyasint,omitempty" json:"pending,omitempty"` // Unix ns by which all of it is committed to; 0: it is
	Made    int64           `cbor:"11,keyasint" json:"made"`                        // Unix ns
	// Withheld is how many more slices fit, which the asker was not told: who does
	// not show that it holds the destination gets no names.
	Withheld int `cbor:"12,keyasint,omitempty" json:"withheld,omitempty"`
}

// Endpoint is an address and port as they are signed.
type Endpoint struct {
	_    struct{} `cbor:",toarray"`
	Addr []byte
	Port uint16
}

// EndpointOf returns the form of an address and port that is signed.
func EndpointOf(a netip.AddrPort) Endpoint {
	return Endpoint{Addr: a.Addr().Unmap().AsSlice(), Port: a.Port()}
}

// AddrPort returns the other form; of what is no address, one that is not valid.
func (e Endpoint) AddrPort() netip.AddrPort {
	a, _ := netip.AddrFromSlice(e.Addr)
	return netip.AddrPortFrom(a, e.Port)
}

// OpenedAssertion is an answer whose encoding, fields and signature hold.
type OpenedAssertion struct {
	Assertion
	Bytes []byte // as it travels
}

// NewAssertion puts what a node found into the form that it signs.
func NewAssertion(node lease.Principal, q Who, f Finding, nat bool, pending, made int64) Assertion {
	return Assertion{Node: node, Src: EndpointOf(q.Src), Dst: EndpointOf(q.Dst), Proto: q.Proto, At: q.At, Within: q.Within,
		Slices: f.Slices[:min(len(f.Slices), MaxNamed)], NAT: nat, Cut: f.Cut || len(f.Slices) > MaxNamed, Pending: pending, Made: made, Withheld: min(f.Withheld, MaxWithheld)}
}

// Question returns what was asked.
func (a Assertion) Question() Who {
	return Who{Src: a.Src.AddrPort(), Dst: a.Dst.AddrPort(), Proto: a.Proto, At: a.At, Within: a.Within}
}

// Check reports whether a can be.
func (a Assertion) Check() error {
	if err := a.Node.Check(); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	ok := a.Question().Check() == nil && a.Src.AddrPort().Addr().IsValid() && a.Made > 0 && a.Pending >= 0 && len(a.Slices) <= MaxNamed && a.Withheld >= 0 && a.Withheld <= MaxWithheld
	for i, s := range a.Slices {
		ok = ok && s != "" && len(s) <= 256 && (i == 0 || a.Slices[i-1] < s)
	}
	if !ok {
		return fmt.Errorf("answer of %s: %w", a.Node.Short(), ErrField)
	}
	return nil
}

// SealAssertion signs an answer with its node's key.
func SealAssertion(a Assertion, key lease.Signer) (OpenedAssertion, error) {
	a.Slices = slices.Clone(a.Slices)
	s, err := lease.SealAs(AssertionDomain, a, key)
	if err != nil {
		return OpenedAssertion{}, fmt.Errorf("sealing an answer: %w", err)
	}
	return OpenAssertion(s.Bytes())
}

// OpenAssertion reads an answer and checks encoding, fields and signature. It
// returns what [OpenHead] does.
func OpenAssertion(b []byte) (OpenedAssertion, error) {
	s, err := lease.ParseSigned(b, MaxAssertion)
	if err != nil {
		return OpenedAssertion{}, fmt.Errorf("answer: %w", err)
	}
	o := OpenedAssertion{Bytes: bytes.Clone(b)}
	if err := lease.Decode(s.Payload, &o.Assertion, MaxAssertion); err != nil {
		return OpenedAssertion{}, fmt.Errorf("answer: %w", err)
	}
	if err := o.Check(); err != nil {
		return OpenedAssertion{}, err
	}
	if err := s.VerifyAs(AssertionDomain, o.Node); err != nil {
		return OpenedAssertion{}, fmt.Errorf("answer of %s: %w", o.Node.Short(), err)
	}
	return o, nil
}

// Verdict is one of four: what can be said of who sent a packet.
type Verdict struct {
	Slices   []string // by name, each once
	Withheld int      // slices that fit beside these, and were not named
	AtMost   bool     // of those that were not named some may be the same, or among Slices
	NAT      bool     // some of them are behind an address that others share with them
}

// Combine puts the answers of all nodes that share an address into one. Where a
// slice is on a node to which the address does not belong, the source port says
// nothing: it is the site's translator that chose it.
func Combine(answers []Assertion) Verdict {
	var v Verdict
	fit := 0
	for _, a := range answers {
		v.Slices = append(v.Slices, a.Slices...)
		v.Withheld += a.Withheld
		if len(a.Slices)+a.Withheld > 0 {
			fit++
			v.NAT = v.NAT || a.NAT
		}
	}
	v.AtMost = v.Withheld > 0 && fit > 1
	slices.Sort(v.Slices)
	v.Slices = slices.Compact(v.Slices)
	return v
}

// Fit is how many slices it may have been, at the most.
func (v Verdict) Fit() int { return len(v.Slices) + v.Withheld }

func (v Verdict) String() string {
	switch n := v.Fit(); {
	case n == 0:
		return "none"
	case v.NAT:
		return "not determinable: site NAT"
	case n == 1:
		return "exact"
	case v.AtMost:
		return fmt.Sprintf("one of at most %d slices", n)
	default:
		return fmt.Sprintf("one of %d slices", n)
	}
}

// anyPort is an address whose port says nothing.
func anyPort(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), 0) }
