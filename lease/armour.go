// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode"
)

// A ticket as text that survives mail: docs/protocol/ticket-text.md.
const (
	armourBegin = "-----BEGIN CROFT TICKET-----"
	armourEnd   = "-----END CROFT TICKET-----"
	armourLine  = 64
)

// Armour writes a chain as a block of text, in lines of 64 characters.
func Armour(chain [][]byte) []byte {
	payload, err := Encode(chain)
	if err != nil {
		panic(err) // byte strings always encode
	}
	text := base64.StdEncoding.EncodeToString(payload)
	var b bytes.Buffer
	b.WriteString(armourBegin + "\n")
	for len(text) > 0 {
		n := min(armourLine, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString(armourEnd + "\n")
	return b.Bytes()
}

// ParseArmour returns the chains of all blocks in a text, in order. What stands
// around a block is passed over, and so is what mail does to its inside: line
// ends of any kind, other wrapping, indentation, and signs of quotation. Nothing
// is verified. It returns ErrSyntax, also if there is no block, ErrTooBig,
// ErrNotCanonical, or ErrDepth for more statements than a chain may have.
func ParseArmour(text []byte) ([][][]byte, error) {
	if len(text) > MaxArmour {
		return nil, fmt.Errorf("text of %d bytes, limit %d: %w", len(text), MaxArmour, ErrTooBig)
	}
	var chains [][][]byte
	rest := string(text)
	for {
		_, after, ok := strings.Cut(rest, armourBegin)
		if !ok {
			break
		}
		body, next, ok := strings.Cut(after, armourEnd)
		if !ok {
			return nil, fmt.Errorf("block %d has no end: %w", len(chains)+1, ErrSyntax)
		}
		chain, err := parseBlock(body)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", len(chains)+1, err)
		}
		chains, rest = append(chains, chain), next
	}
	if len(chains) == 0 {
		return nil, fmt.Errorf("no %q: %w", armourBegin, ErrSyntax)
	}
	return chains, nil
}

func parseBlock(body string) (chain [][]byte, err error) {
	var b strings.Builder
	for line := range strings.FieldsFuncSeq(body, func(c rune) bool { return c == '\n' || c == '\r' }) {
		line = strings.TrimLeftFunc(line, func(c rune) bool { return unicode.IsSpace(c) || c == '>' || c == '|' })
		for part := range strings.FieldsSeq(line) {
			b.WriteString(part)
		}
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(b.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrSyntax)
	}
	if err := Decode(payload, &chain, MaxChain+armourFrame); err != nil {
		return nil, err
	}
	switch {
	case len(chain) == 0:
		return nil, fmt.Errorf("no statement: %w", ErrSyntax)
	case len(chain) > MaxDepth+1:
		return nil, fmt.Errorf("%d statements, limit %d: %w", len(chain), MaxDepth+1, ErrDepth)
	}
	for i, s := range chain {
		if len(s) > MaxStatement {
			return nil, fmt.Errorf("statement %d of %d bytes, limit %d: %w", i, len(s), MaxStatement, ErrTooBig)
		}
	}
	return chain, nil
}

// armourFrame is what CBOR adds to the statements of a chain: a head for the
// list, and one of at most three bytes for each.
const armourFrame = 3 * (MaxDepth + 2)
