// SPDX-License-Identifier: Apache-2.0

package release

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"croft/lease"
)

// Signed is a release with the signatures that came with it, some of which may not hold.
// It does not change.
type Signed struct {
	Release
	body string
	sigs []signature
}

type signature struct {
	by  lease.Principal
	sig [ed25519.SignatureSize]byte
}

// signedLine begins a line with a publisher's signature, after an empty line.
const signedLine = "signed "

// New is a release that nobody signed yet.
func New(r Release) (*Signed, error) {
	body, err := r.Body()
	if err != nil {
		return nil, err
	}
	r.Said, r.Until, r.Builds = r.Said.UTC(), r.Until.UTC(), slices.Clone(r.Builds)
	return &Signed{Release: r, body: string(body)}, nil
}

// Parse reads a release and the signatures beside it; [Signed.By] says which hold.
func Parse(text []byte) (*Signed, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("%d bytes, limit %d: %w", len(text), MaxText, ErrSyntax)
	}
	body, sigs, _ := strings.Cut(string(text), "\n\n")
	if len(body) < len(text) {
		body += "\n"
	}
	r, err := parseBody(body)
	if err != nil {
		return nil, err
	}
	s := &Signed{Release: r, body: body}
	for line := range strings.Lines(sigs) {
		var one signature
		value, ok := strings.CutPrefix(line, signedLine)
		by, sig, _ := strings.Cut(strings.TrimSuffix(value, "\n"), " ")
		raw, err := base64.StdEncoding.Strict().DecodeString(sig)
		if !ok || err != nil || len(raw) != len(one.sig) || one.by.UnmarshalText([]byte(by)) != nil || len(s.sigs) >= MaxSignatures {
			return nil, fmt.Errorf("line %.60q: %w", line, ErrSyntax)
		}
		one.sig = [ed25519.SignatureSize]byte(raw)
		s.sigs = append(s.sigs, one)
	}
	if string(s.Text()) != string(text) {
		return nil, fmt.Errorf("signatures that are written otherwise: %w", ErrSyntax)
	}
	return s, nil
}

// Text returns what Parse reads.
func (s *Signed) Text() []byte {
	var b strings.Builder
	b.WriteString(s.body)
	for i, one := range s.sigs {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s%s %s\n", signedLine, one.by, base64.StdEncoding.EncodeToString(one.sig[:]))
	}
	return []byte(b.String())
}

// Sign returns the release with one signature more, in place of an earlier one by the
// same key.
func (s *Signed) Sign(key lease.Signer) (*Signed, error) {
	out := *s
	out.sigs = slices.DeleteFunc(slices.Clone(s.sigs), func(o signature) bool { return o.by == key.Principal() })
	if len(out.sigs) >= MaxSignatures {
		return nil, fmt.Errorf("%d signatures already: %w", len(out.sigs), ErrSyntax)
	}
	sig := key.Sign([]byte(s.body))
	if len(sig) != ed25519.SignatureSize {
		return nil, fmt.Errorf("a signature of %d bytes: %w", len(sig), ErrSignature)
	}
	out.sigs = append(out.sigs, signature{key.Principal(), [ed25519.SignatureSize]byte(sig)})
	return &out, nil
}

// By returns those of a list whose signatures hold, each once.
func (s *Signed) By(publishers []lease.Principal) (by []lease.Principal) {
	for _, one := range s.sigs {
		if slices.Contains(publishers, one.by) && !slices.Contains(by, one.by) && one.by.Check() == nil &&
			ed25519.Verify(one.by[:], []byte(s.body), one.sig[:]) {
			by = append(by, one.by)
		}
	}
	return by
}

// Names are those who signed, by their own word.
func (s *Signed) Names() (by []lease.Principal) {
	for _, one := range s.sigs {
		by = append(by, one.by)
	}
	return by
}

// Rules say whom a node believes.
type Rules struct {
	Publishers []lease.Principal
	Need       int // of them
}

// Check returns [ErrSignature] unless enough publishers signed, and [ErrTerm] outside of
// the release's term.
func (r Rules) Check(s *Signed, now time.Time) error {
	by := s.By(r.Publishers)
	switch {
	case r.Need < 1 || len(by) < r.Need:
		return fmt.Errorf("release %s: %d of %d signatures: %w", s.Version, len(by), max(r.Need, 1), ErrSignature)
	case s.Said.After(now.Add(Skew)):
		return fmt.Errorf("release %s is said at %s: %w", s.Version, s.Said.Format(time.RFC3339), ErrTerm)
	case s.Until.Before(now):
		return fmt.Errorf("release %s was to be heard again by %s: %w", s.Version, s.Until.Format(time.RFC3339), ErrTerm)
	}
	return nil
}
