// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Message is what somebody who saw packets has to say to the owner of the slice
// that sent them, kept at the node: who sends it need not know whose slice it is.
type Message struct {
	_      struct{} `cbor:",toarray"`
	Slice  string   // label@owner
	At     int64    // Unix seconds, when it came
	From   string   // network of who sent it; empty: it came through another node
	Holder bool     // who sent it has shown that it holds the destination
	Src    Endpoint // the packet that it is about
	Dst    Endpoint
	Proto  uint8 // 0: any
	About  int64 // Unix ns
	Text   string
}

// CheckMessage reports whether a text can be a message: printable, on some lines.
func CheckMessage(text string) error {
	switch {
	case len(text) > MaxMessage:
		return fmt.Errorf("message of %d bytes, limit %d: %w", len(text), MaxMessage, ErrField)
	case strings.TrimSpace(text) == "" || !utf8.ValidString(text):
		return fmt.Errorf("message without text: %w", ErrField)
	case strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }):
		return fmt.Errorf("message with what cannot be printed: %w", ErrField)
	}
	return nil
}

// Messages are those that a node keeps, in the bounds of limits.go, oldest first.
// The zero value is empty. Not safe for concurrent use.
type Messages struct{ list []Message }

// Put takes a message in. Where it would be one too many of its network, its
// slice or all, another goes: see spare.
func (m *Messages) Put(msg Message, now time.Time) {
	m.expire(now)
	at, _ := slices.BinarySearchFunc(m.list, msg.At+1, func(x Message, t int64) int { return cmp.Compare(x.At, t) })
	m.list = slices.Insert(m.list, at, msg)
	own := MaxMessagesNetwork
	if msg.From == "" {
		own = MaxMessagesElsewhere
	}
	m.spare(own, func(x Message) bool { return x.From == msg.From })
	m.spare(MaxMessagesSlice, func(x Message) bool { return x.Slice == msg.Slice })
	m.spare(MaxMessages, func(Message) bool { return true })
}

// spare drops messages until at most so many are of a kind: first of those whose
// sender did not show that it holds the destination, and of these the oldest of
// the network that has most. So who floods a box loses his own, and not those of
// others.
func (m *Messages) spare(most int, of func(Message) bool) {
	for {
		count, networks := 0, map[string]int{}
		for _, x := range m.list {
			if of(x) {
				count++
				networks[x.From]++
			}
		}
		if count <= most {
			return
		}
		victim := -1
		for i, x := range m.list {
			if !of(x) {
				continue
			}
			if victim < 0 {
				victim = i
				continue
			}
			v := m.list[victim]
			if v.Holder && !x.Holder || v.Holder == x.Holder && networks[x.From] > networks[v.From] {
				victim = i
			}
		}
		m.list = slices.Delete(m.list, victim, victim+1)
	}
}

// Of returns the messages about a slice, or with "" all, oldest first.
func (m *Messages) Of(slice string, now time.Time) (out []Message) {
	m.expire(now)
	for _, x := range m.list {
		if slice == "" || x.Slice == slice {
			out = append(out, x)
		}
	}
	return out
}

func (m *Messages) expire(now time.Time) {
	m.list = slices.DeleteFunc(m.list, func(x Message) bool { return now.Sub(time.Unix(x.At, 0)) > MessageTerm })
}
