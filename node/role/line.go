// SPDX-License-Identifier: Apache-2.0

package role

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What travels between a node and a tenant is lines of JSON, none longer than
// MaxLine: docs/roles/README.md.
type (
	// Serve is a tenant's first line.
	Serve struct {
		Serve string `json:"serve"` // as in Role.String
	}
	// Greeting is the node's first: one of the two.
	Greeting struct {
		OK    *Welcome `json:"ok,omitempty"`
		Error *Failure `json:"error,omitempty"`
	}
	// Welcome tells a tenant who it is here, and its bounds.
	Welcome struct {
		Role     string `json:"role"`
		Node     string `json:"node"`
		Slice    Tenant `json:"slice"`
		InFlight int    `json:"inflight"` // requests at once
		Bytes    int    `json:"bytes"`    // of an answer
	}
	// Question is a request to a tenant, or takes one back.
	Question struct {
		ID     uint64          `json:"id"`
		Call   string          `json:"call,omitempty"`
		Within int64           `json:"within_ms,omitempty"`
		Ask    json.RawMessage `json:"ask,omitempty"`
		Cancel bool            `json:"cancel,omitempty"`
	}
	// Reply is a line of an answer: a part, or its end.
	Reply struct {
		ID    uint64          `json:"id"`
		Part  json.RawMessage `json:"part,omitempty"`
		Done  json.RawMessage `json:"done,omitempty"`
		Error *Failure        `json:"error,omitempty"`
	}
	// Failure says why there is no answer.
	Failure struct {
		Code string `json:"code"`
		Text string `json:"text"`
	}
)

func (f *Failure) Error() string { return f.Code + ": " + f.Text }

// ParseServe reads a tenant's first line.
func ParseServe(line []byte) (Role, error) {
	var s Serve
	if err := strict(line, &s); err != nil {
		return Role{}, err
	}
	return ParseVersioned(s.Serve)
}

// ParseReply reads a line of an answer. What a stranger's sentence has in it that
// is not to be printed is gone from it.
func ParseReply(line []byte) (Reply, error) {
	var r struct {
		Reply
		ID *uint64 `json:"id"`
	}
	if err := strict(line, &r); err != nil {
		return Reply{}, err
	}
	if r.ID == nil {
		return Reply{}, fmt.Errorf("%w: no id", ErrLine)
	}
	r.Reply.ID = *r.ID
	n := 0
	for _, there := range []bool{r.Part != nil, r.Done != nil, r.Error != nil} {
		if there {
			n++
		}
	}
	if n != 1 {
		return Reply{}, fmt.Errorf("%w: want one of part, done and error", ErrLine)
	}
	if e := r.Error; e != nil {
		e.Code, e.Text = Printable(e.Code, MaxCode), Printable(e.Text, MaxText)
	}
	return r.Reply, nil
}

// strict decodes one JSON value with no fields but those that v has.
func strict(line []byte, v any) error {
	if len(line) > MaxLine {
		return fmt.Errorf("%w: a line of %d bytes, limit %d", ErrLine, len(line), MaxLine)
	}
	if !utf8.Valid(line) {
		return fmt.Errorf("%w: no UTF-8", ErrLine)
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: %s", ErrLine, Printable(err.Error(), MaxText))
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("%w: more than one value in a line", ErrLine)
	}
	return nil
}

// Printable is a stranger's text as it may be shown: without what moves a
// terminal's cursor, and at most so many bytes.
func Printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s[:min(len(s), 4*most)])
	for len(s) > most {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}
