// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode"
)

// A ticket as text that survives mail: docs/protocol/ticket-text.md. Proofs of
// the audit log have the same form under another label.
const (
	armourTicket = "TICKET"
	armourLine   = 64
)

func armourEnds(label string) (begin, end string) {
	return "-----BEGIN CROFT " + label + "-----", "-----END CROFT " + label + "-----"
}

// Armour writes a chain as a block of text, in lines of 64 characters.
func Armour(chain [][]byte) []byte {
	payload, err := Encode(chain)
	if err != nil {
		panic(err) // byte strings always encode
	}
	return ArmourAs(armourTicket, payload)
}

// ArmourAs writes any bytes as a block of text under a label of capital letters
// and spaces.
func ArmourAs(label string, payload []byte) []byte {
	begin, end := armourEnds(label)
	text := base64.StdEncoding.EncodeToString(payload)
	var b bytes.Buffer
	b.WriteString(begin + "\n")
	for len(text) > 0 {
		n := min(armourLine, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString(end + "\n")
	return b.Bytes()
}

// ParseArmour returns the chains of all blocks in a text, in order. What stands
// around a block is passed over, and so is what mail does to its inside: line
// ends of any kind, other wrapping, indentation, and signs of quotation. Nothing
// is verified. It returns ErrSyntax, also if there is no block, ErrTooBig,
// ErrNotCanonical, or ErrDepth for more statements than a chain may have.
func ParseArmour(text []byte) ([][][]byte, error) {
	blocks, err := ParseArmourAs(armourTicket, text, MaxArmour)
	if err != nil {
		return nil, err
	}
	chains := make([][][]byte, len(blocks))
	for i, payload := range blocks {
		if chains[i], err = parseChain(payload); err != nil {
			return nil, fmt.Errorf("block %d: %w", i+1, err)
		}
	}
	return chains, nil
}

// ParseArmourAs returns the bytes of all blocks under a label in a text of at
// most limit bytes, in order, as [ParseArmour] reads them.
func ParseArmourAs(label string, text []byte, limit int) ([][]byte, error) {
	if len(text) > limit {
		return nil, fmt.Errorf("text of %d bytes, limit %d: %w", len(text), limit, ErrTooBig)
	}
	begin, end := armourEnds(label)
	var blocks [][]byte
	rest := string(text)
	for {
		_, after, ok := strings.Cut(rest, begin)
		if !ok {
			break
		}
		body, next, ok := strings.Cut(after, end)
		if !ok {
			return nil, fmt.Errorf("block %d has no end: %w", len(blocks)+1, ErrSyntax)
		}
		payload, err := base64.StdEncoding.Strict().DecodeString(unfold(body))
		if err != nil {
			return nil, fmt.Errorf("block %d: %w: %w", len(blocks)+1, err, ErrSyntax)
		}
		blocks, rest = append(blocks, payload), next
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("no %q: %w", begin, ErrSyntax)
	}
	return blocks, nil
}

// unfold takes out what mail does to the inside of a block.
func unfold(body string) string {
	var b strings.Builder
	for line := range strings.FieldsFuncSeq(body, func(c rune) bool { return c == '\n' || c == '\r' }) {
		line = strings.TrimLeftFunc(line, func(c rune) bool { return unicode.IsSpace(c) || c == '>' || c == '|' })
		for part := range strings.FieldsSeq(line) {
			b.WriteString(part)
		}
	}
	return b.String()
}

func parseChain(payload []byte) (chain [][]byte, err error) {
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
