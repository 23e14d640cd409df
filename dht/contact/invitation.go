// SPDX-License-Identifier: Apache-2.0

package contact

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"croft/lease"
)

// invitationMark begins every invitation and says how to read it.
const invitationMark = "croft1"

// checkBytes of a hash end an invitation, so that one that was cut or mistyped is
// told from one whose nodes do not answer.
const checkBytes = 4

// Invitation is by whom to join, as one line of text. It is not signed: whoever is
// invited knows no key yet that he could hold it against, and each node in it
// proves itself when it is dialled.
type Invitation struct {
	_        struct{} `cbor:",toarray"`
	Until    int64    // Unix seconds
	Contacts []Contact
}

// Text writes an invitation.
func (i Invitation) Text() (string, error) {
	if err := i.check(); err != nil {
		return "", err
	}
	b, err := lease.Encode(i)
	if err != nil {
		return "", fmt.Errorf("writing invitation: %w", err)
	}
	sum := sha256.Sum256(b)
	return invitationMark + base64.RawURLEncoding.EncodeToString(append(b, sum[:checkBytes]...)), nil
}

func (i Invitation) check() error {
	if len(i.Contacts) == 0 || len(i.Contacts) > MaxInvited {
		return fmt.Errorf("%d nodes, want 1 to %d: %w", len(i.Contacts), MaxInvited, ErrInvitation)
	}
	for _, c := range i.Contacts {
		if !c.Fits() {
			return fmt.Errorf("%s: %w", c.Node.Short(), ErrInvitation)
		}
	}
	return nil
}

// IsInvitation reports whether a text means to be one.
func IsInvitation(text string) bool { return strings.HasPrefix(text, invitationMark) }

// ReadInvitation reads an invitation. The error is ErrInvitation or ErrLapsed.
func ReadInvitation(text string, now time.Time) (Invitation, error) {
	i, err := parse(text)
	if err != nil {
		return Invitation{}, fmt.Errorf("reading invitation: %w", err)
	}
	if now.Unix() >= i.Until {
		return Invitation{}, fmt.Errorf("it held until %s: %w", time.Unix(i.Until, 0).UTC().Format(time.RFC3339), ErrLapsed)
	}
	return i, nil
}

func parse(text string) (i Invitation, err error) {
	body, ok := strings.CutPrefix(text, invitationMark)
	if !ok {
		return i, fmt.Errorf("it does not begin with %s: %w", invitationMark, ErrInvitation)
	}
	if len(text) > MaxInvitation {
		return i, fmt.Errorf("%d characters, limit %d: %w", len(text), MaxInvitation, ErrInvitation)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil || len(b) < checkBytes {
		return i, fmt.Errorf("a character of it is wrong: %w", ErrInvitation)
	}
	b, check := b[:len(b)-checkBytes], b[len(b)-checkBytes:]
	if sum := sha256.Sum256(b); subtle.ConstantTimeCompare(sum[:checkBytes], check) != 1 {
		return i, fmt.Errorf("a part of it is missing or altered: %w", ErrInvitation)
	}
	if err := lease.Decode(b, &i, MaxInvitation); err != nil {
		return i, fmt.Errorf("%w: %w", ErrInvitation, err)
	}
	if i.Until < 0 || i.Until > maxUntil {
		return i, fmt.Errorf("it ends at no time: %w", ErrInvitation)
	}
	return i, i.check()
}

// maxUntil is the year 10000, which no date is written beyond.
const maxUntil = 253402300800
