// SPDX-License-Identifier: Apache-2.0

package lease

import "fmt"

// Opened is a statement whose encoding, fields and signature hold by themselves.
type Opened struct {
	Signed Signed
	ID     ID
	Statement
}

// Open reads and checks one signed statement of any kind. It says nothing about
// a chain: see [VerifyChain].
func Open(b []byte) (Opened, error) {
	o, err := read(b)
	if err != nil {
		return Opened{}, err
	}
	return o.verified()
}

// Open decodes and checks the payload and the issuer's signature.
func (s Signed) Open() (Opened, error) {
	o, err := s.read()
	if err != nil {
		return Opened{}, err
	}
	return o.verified()
}

func (o Opened) verified() (Opened, error) {
	if err := o.verify(); err != nil {
		return Opened{}, fmt.Errorf("%s by %s: %w", o.Kind(), o.By().Short(), err)
	}
	return o, nil
}

// verify checks the signature, which is nearly all of the cost of a statement.
func (o Opened) verify() error { return o.Signed.VerifyAs(Domain, o.By()) }

func read(b []byte) (Opened, error) {
	s, err := ParseSigned(b, MaxStatement)
	if err != nil {
		return Opened{}, err
	}
	return s.read()
}

// read decodes and checks the payload, all but the signature.
func (s Signed) read() (Opened, error) {
	if len(s.Payload) > MaxStatement {
		return Opened{}, fmt.Errorf("%d bytes, limit %d: %w", len(s.Payload), MaxStatement, ErrTooBig)
	}
	k, err := kindOf(s.Payload)
	if err != nil {
		return Opened{}, err
	}
	blank, ok := makers[k]
	if !ok {
		return Opened{}, fmt.Errorf("%s: %w", k, ErrKind)
	}
	st := blank()
	if err := Decode(s.Payload, st, MaxStatement); err != nil {
		return Opened{}, fmt.Errorf("%s: %w", k, err)
	}
	if err := st.check(); err != nil {
		return Opened{}, fmt.Errorf("%s: %w", k, err)
	}
	return Opened{Signed: s, ID: s.ID(), Statement: st}, nil
}

// kindOf finds the kind: in canonical form it is the first value of the map. The
// rest is not read yet.
func kindOf(payload []byte) (Kind, error) {
	if _, rest, err := takeHead(payload, MajorMap); err == nil && len(rest) > 1 && rest[0] == 0 && rest[1] < 24 {
		return Kind(rest[1]), nil
	}
	var head struct {
		K Kind `cbor:"0,keyasint"`
	}
	if err := peek.Unmarshal(payload, &head); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return head.K, nil
}

var makers = map[Kind]func() Statement{
	KindCapacity: func() Statement { return new(Capacity) },
	KindTicket:   func() Statement { return new(Ticket) },
	KindRedeem:   func() Statement { return new(Redeem) },
	KindAsk:      func() Statement { return new(Ask) },
	KindHold:     func() Statement { return new(Hold) },
	KindLease:    func() Statement { return new(Lease) },
	KindClose:    func() Statement { return new(Close) },
	KindRevoke:   func() Statement { return new(Revoke) },
	KindReject:   func() Statement { return new(Reject) },
	KindGrant:    func() Statement { return new(Grant) },
}
