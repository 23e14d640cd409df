// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrPolicy says that a policy cannot be used; an [Errors] says where and why.
var ErrPolicy = errors.New("bad policy")

// ErrTerm says that a document does not hold at an instant.
var ErrTerm = errors.New("policy is outside its term")

// Mark is a place in a policy's text.
type Mark struct {
	Source string `json:"source,omitempty"` // a file's or document's name; empty: the default
	Line   int    `json:"line,omitempty"`   // from 1
	Column int    `json:"column,omitempty"` // from 1, in characters
}

// String prints "policy.toml:12", or "default".
func (m Mark) String() string {
	switch {
	case m.Line == 0 && m.Source == "":
		return "default"
	case m.Line == 0:
		return m.Source
	}
	return fmt.Sprintf("%s:%d", m.Source, m.Line)
}

// Error is one mistake in a policy: where, what, and what would be right.
type Error struct {
	Mark
	Text string `json:"text"`
	Want string `json:"want,omitempty"`
}

func (e *Error) Error() string {
	s := e.Text
	if e.Want != "" {
		s += ": " + e.Want
	}
	if e.Line > 0 {
		s = fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, s)
	}
	return s
}

// Errors are the mistakes in one policy, in the order of its text; at most
// MaxErrors. It matches ErrPolicy.
type Errors []*Error

func (l Errors) Error() string {
	parts := make([]string, len(l))
	for i, e := range l {
		parts[i] = e.Error()
	}
	return strings.Join(parts, "; ")
}

func (l Errors) Unwrap() error { return ErrPolicy }

// complaints collects mistakes.
type complaints struct{ list Errors }

func (c *complaints) add(at Mark, want, format string, args ...any) {
	c.list = append(c.list, &Error{at, fmt.Sprintf(format, args...), want})
}

// err returns what was collected, or nil.
func (c *complaints) err() error {
	if len(c.list) == 0 {
		return nil
	}
	slices.SortStableFunc(c.list, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return c.list[:min(len(c.list), MaxErrors)]
}
