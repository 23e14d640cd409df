// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"fmt"

	"croft/lease"
	"croft/lease/offer"
)

// Echo is what the answer to a probe says, after the nonce.
type Echo struct {
	Coordinate *offer.Coordinate `cbor:"1,keyasint,omitempty"` // nil: the node does not tell
}

// MaxEcho is the size in bytes of an encoded echo.
const MaxEcho = 64

// Encode returns the bytes that travel.
func (e Echo) Encode() []byte {
	b, err := lease.Encode(e)
	if err != nil {
		panic(err) // whole numbers always encode
	}
	return b
}

// DecodeEcho reads an echo. The error is that of the bytes, or ErrField.
func DecodeEcho(b []byte) (e Echo, err error) {
	if err = lease.Decode(b, &e, MaxEcho); err == nil && e.Coordinate != nil {
		err = e.Coordinate.Check()
	}
	if err != nil {
		return Echo{}, fmt.Errorf("reading echo: %w", err)
	}
	return e, nil
}
