// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"errors"
	"fmt"
	"strings"
)

// ErrScenario is matched by every error of [Parse].
var ErrScenario = errors.New("scenario does not hold")

// Mistake is one thing that is wrong, and where.
type Mistake struct {
	Line   int    `json:"line"`           // from 1; 0: of the scenario as a whole
	Column int    `json:"column"`         // from 1, in characters
	Text   string `json:"text"`           // what is wrong
	Want   string `json:"want,omitempty"` // what was expected
}

func (m Mistake) Error() string {
	s := m.Text
	if m.Want != "" {
		s += ": " + m.Want
	}
	if m.Line > 0 {
		s = fmt.Sprintf("%d:%d: %s", m.Line, m.Column, s)
	}
	return s
}

// Mistakes are all that [Parse] found, in the order of the file, at most
// MaxMistakes.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, one := range m {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

func (m Mistakes) Is(target error) bool { return target == ErrScenario }
