// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Core deterministic encoding (RFC 8949 section 4.2.1). The strictest decoder
// still takes integers and orders that are not shortest and sorted, so what was
// decoded is encoded again and compared.
var (
	encode cbor.EncMode
	decode cbor.DecMode
	peek   cbor.DecMode // reads the kind and passes over the rest
)

func init() {
	var err error
	if encode, err = cbor.CoreDetEncOptions().EncMode(); err != nil {
		panic(err) // constant options
	}
	strict := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   8,
		MaxArrayElements:  1024,
		MaxMapPairs:       64,
		UTF8:              cbor.UTF8RejectInvalid,
	}
	if decode, err = strict.DecMode(); err != nil {
		panic(err)
	}
	strict.ExtraReturnErrors = cbor.ExtraDecErrorNone
	if peek, err = strict.DecMode(); err != nil {
		panic(err)
	}
}

// Encode writes v as core deterministic CBOR.
func Encode(v any) ([]byte, error) { return encode.Marshal(v) }

// Decode reads b, at most limit bytes of core deterministic CBOR, into v, a
// pointer. It returns ErrTooBig, ErrSyntax or ErrNotCanonical.
func Decode(b []byte, v any, limit int) error {
	if len(b) > limit {
		return fmt.Errorf("%d bytes, limit %d: %w", len(b), limit, ErrTooBig)
	}
	if err := decode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	again, err := encode.Marshal(v)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if !bytes.Equal(again, b) {
		return ErrNotCanonical
	}
	return nil
}
