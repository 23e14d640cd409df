// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"crypto/sha256"
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// Domain separates signatures over messages from every other use of a key.
const Domain = "croft/message/1\n"

// Message is what an author says on a topic.
type Message struct {
	Author    lease.Principal `cbor:"1,keyasint" json:"author"` // who signs
	Owner     lease.Principal `cbor:"2,keyasint" json:"owner"`  // of the slice
	Slice     string          `cbor:"3,keyasint" json:"slice"`
	Topic     string          `cbor:"4,keyasint" json:"topic"`
	Made      int64           `cbor:"5,keyasint" json:"made"` // Unix milliseconds
	Data      []byte          `cbor:"6,keyasint,omitempty" json:"data,omitempty"`
	Authority []byte          `cbor:"7,keyasint,omitempty" json:"-"` // by which an author may who is granted it
}

// Name is the topic that the message is bound to.
func (m Message) Name() Name { return Name{m.Owner, m.Slice, m.Topic} }

// Opened is a message whose encoding, fields and signature hold. Whether its
// author may publish is the record's to say.
type Opened struct {
	Message
	ID    lease.ID // SHA-256 of domain and payload
	Bytes []byte
}

// Seal signs a message with its author's key.
func Seal(m Message, key lease.Signer) (Opened, error) {
	if m.Author != key.Principal() {
		return Opened{}, fmt.Errorf("sealing a message of %s with the key of %s: %w", m.Author.Short(), key.Principal().Short(), lease.ErrSignature)
	}
	s, err := lease.SealAs(Domain, m, key)
	if err != nil {
		return Opened{}, fmt.Errorf("sealing a message: %w", err)
	}
	return Open(s.Bytes())
}

// Open reads a message and checks all that the bytes alone tell: rules M1 to M3
// of docs/protocol/topics.md.
func Open(b []byte) (Opened, error) {
	s, err := lease.ParseSigned(b, MaxMessage)
	if err != nil {
		return Opened{}, fmt.Errorf("message: %w", err)
	}
	o := Opened{ID: sha256.Sum256(append([]byte(Domain), s.Payload...)), Bytes: b}
	if err := lease.Decode(s.Payload, &o.Message, MaxMessage); err != nil {
		return Opened{}, fmt.Errorf("message: %w", err)
	}
	if err := o.Name().Check(); err != nil {
		return Opened{}, fmt.Errorf("message: %w", err)
	}
	switch {
	case o.Author.IsZero(), o.Owner.IsZero(), o.Made <= 0, o.Made > lastMade:
		return Opened{}, fmt.Errorf("message of %s: %w", o.Author.Short(), lease.ErrField)
	case len(o.Data) > MaxData, len(o.Authority) > lease.MaxAuthority:
		return Opened{}, fmt.Errorf("message with %d bytes of data and an authority of %d: %w", len(o.Data), len(o.Authority), lease.ErrTooBig)
	}
	if err := s.VerifyAs(Domain, o.Author); err != nil {
		return Opened{}, fmt.Errorf("message of %s: %w", o.Author.Short(), err)
	}
	return o, nil
}

// fresh judges when the message was made (rule M4).
func (m Message) fresh(now time.Time) error {
	switch made := time.UnixMilli(m.Made); {
	case made.After(now.Add(offer.MaxSkew)):
		return fmt.Errorf("message made %s: %w", made.UTC().Format(time.RFC3339), offer.ErrEarly)
	case now.Sub(made) > MaxAge:
		return fmt.Errorf("message made %s: %w", made.UTC().Format(time.RFC3339), offer.ErrExpired)
	}
	return nil
}
