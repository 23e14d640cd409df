// SPDX-License-Identifier: Apache-2.0

package optout

import (
	"encoding/base64"
	"fmt"
	"regexp"

	"croft/lease"
)

// word is how an attestation begins in text: one word, so that three answers of
// three nodes are an entry when they are put one after the other.
const word = "croft-optout:"

var attestationText = regexp.MustCompile(word + `([A-Za-z0-9_-]+)`)

// Text writes an attestation as one word.
func (a Opened) Text() string { return word + base64.RawURLEncoding.EncodeToString(a.Bytes) }

// Text writes an entry as lines, one for each attestation.
func (e Entry) Text() string {
	return e.By[0].Text() + "\n" + e.By[1].Text() + "\n" + e.By[2].Text() + "\n"
}

// ParseText returns the attestations in a text, in order, each once, and verifies
// them. What stands between them is passed over.
func ParseText(text []byte) ([]Opened, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("text of %d bytes, limit %d: %w", len(text), MaxText, lease.ErrTooBig)
	}
	var all []Opened
	seen := map[string]bool{}
	for _, m := range attestationText.FindAllSubmatch(text, -1) {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(string(m[1]))
		if err != nil {
			return nil, fmt.Errorf("attestation %d: %w: %w", len(all)+1, err, lease.ErrSyntax)
		}
		if seen[string(raw)] {
			continue
		}
		seen[string(raw)] = true
		a, err := Open(raw)
		if err != nil {
			return nil, fmt.Errorf("attestation %d: %w", len(all)+1, err)
		}
		all = append(all, a)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no word that begins with %s: %w", word, lease.ErrSyntax)
	}
	return all, nil
}
