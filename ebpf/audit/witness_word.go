// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"fmt"

	"croft/lease"
)

// WitnessDomain separates what witnesses sign from every other use of a key.
const WitnessDomain = "croft/audit-witness/1\n"

// Witnessed is the word of one node about another's log: that it had this head at
// that time, and found every head from the first on to go on from the one before.
//
// A witness cannot make a head up, since the node has signed it. It can lie about
// the time, or about having looked; and it can keep silent. So its word counts
// beside those of other sites, and what accuses a node is never a witness's word
// but a [Fork].
type Witnessed struct {
	Witness lease.Principal `cbor:"1,keyasint" json:"witness"`
	Head    []byte          `cbor:"2,keyasint" json:"head"`  // signed, as it travels
	First   uint64          `cbor:"3,keyasint" json:"first"` // size of the first head that the witness had
	At      int64           `cbor:"4,keyasint" json:"at"`    // Unix ns at which it had this one
}

// OpenedWitnessed is a witness's word whose parts and signatures hold.
type OpenedWitnessed struct {
	Witnessed
	Head  OpenedHead
	Bytes []byte // as it travels
}

// SealWitnessed signs a witness's word with its key.
func SealWitnessed(w Witnessed, key lease.Signer) (OpenedWitnessed, error) {
	s, err := lease.SealAs(WitnessDomain, w, key)
	if err != nil {
		return OpenedWitnessed{}, fmt.Errorf("sealing a witness's word: %w", err)
	}
	return OpenWitnessed(s.Bytes())
}

// OpenWitnessed reads a witness's word and checks encoding, fields, and both
// signatures. It returns what [OpenHead] does.
func OpenWitnessed(b []byte) (OpenedWitnessed, error) {
	s, err := lease.ParseSigned(b, MaxWitnessed)
	if err != nil {
		return OpenedWitnessed{}, fmt.Errorf("witness's word: %w", err)
	}
	o := OpenedWitnessed{Bytes: bytes.Clone(b)}
	if err := lease.Decode(s.Payload, &o.Witnessed, MaxWitnessed); err != nil {
		return OpenedWitnessed{}, fmt.Errorf("witness's word: %w", err)
	}
	if err := o.Witness.Check(); err != nil {
		return OpenedWitnessed{}, fmt.Errorf("witness: %w", err)
	}
	if o.Head, err = OpenHead(o.Witnessed.Head); err != nil {
		return OpenedWitnessed{}, fmt.Errorf("what a witness saw: %w", err)
	}
	if o.First == 0 || o.First > o.Head.Size || o.At <= 0 || o.Witness == o.Head.Node {
		return OpenedWitnessed{}, fmt.Errorf("word of %s on head %s, from %d on: %w", o.Witness.Short(), o.Head.Head, o.First, ErrField)
	}
	if err := s.VerifyAs(WitnessDomain, o.Witness); err != nil {
		return OpenedWitnessed{}, fmt.Errorf("word of witness %s: %w", o.Witness.Short(), err)
	}
	return o, nil
}

func (o OpenedWitnessed) String() string {
	return fmt.Sprintf("witness=%s first=%d at=%s %s", o.Witness, o.First, instant(o.At), o.Head.Head)
}
