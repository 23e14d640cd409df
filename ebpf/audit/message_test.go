// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCheckMessage(t *testing.T) {
	for text, ok := range map[string]bool{
		"Please stop, noc@example.org":    true,
		"two\nlines, ünïcode":             true,
		strings.Repeat("x", MaxMessage):   true,
		strings.Repeat("x", MaxMessage+1): false,
		"":                                false,
		" \n ":                            false,
		"\x1b[2Jgone":                     false,
		"tab\there":                       false,
		"right-to-left \u202e":            false,
		"\xff":                            false,
	} {
		if err := CheckMessage(text); ok != (err == nil) || err != nil && !errors.Is(err, ErrField) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// box is messages and the time that goes on with each.
type box struct {
	Messages
	at int64
}

func (b *box) put(slice, from string, holder bool, text string) {
	b.at++
	b.Put(Message{Slice: slice, At: b.at, From: from, Holder: holder, Text: text}, time.Unix(b.at, 0))
}

func (b *box) texts(slice string) (out []string) {
	for _, m := range b.Of(slice, time.Unix(b.at, 0)) {
		out = append(out, m.Text)
	}
	return out
}

func TestMessagesAreBounded(t *testing.T) {
	var b box
	b.put("a@x", "192.0.2.0/24", false, "one")
	b.put("a@x", "203.0.113.0/24", true, "a holder's")
	for i := range 3 * MaxMessagesNetwork {
		b.put("a@x", "198.51.100.0/24", false, fmt.Sprint("flood ", i))
	}
	got := b.texts("a@x")
	if len(got) != 2+MaxMessagesNetwork || got[0] != "one" || got[1] != "a holder's" || got[len(got)-1] != fmt.Sprint("flood ", 3*MaxMessagesNetwork-1) {
		t.Errorf("of one network too many: %q", got)
	}

	// A flood from many networks costs those their own, and never a holder's.
	for i := range 3 * MaxMessagesSlice {
		b.put("a@x", fmt.Sprintf("10.0.%d.0/24", i), false, "crowd")
	}
	got = b.texts("a@x")
	if len(got) != MaxMessagesSlice || got[0] != "a holder's" {
		t.Errorf("of one slice: %q", got)
	}
	for i := range 2 * MaxMessagesSlice {
		b.put("a@x", fmt.Sprintf("10.1.%d.0/24", i), true, "holders")
	}
	if got = b.texts("a@x"); len(got) != MaxMessagesSlice || got[0] != "holders" {
		t.Errorf("of holders: %q", got)
	}
	for i := range 2 * MaxMessages {
		b.put(fmt.Sprintf("s%d@x", i), fmt.Sprintf("10.%d.%d.0/24", 2+i/256, i%256), false, "all")
	}
	if got = b.texts(""); len(got) != MaxMessages {
		t.Errorf("%d messages in all", len(got))
	}
	if got = b.texts("a@x"); len(got) != MaxMessagesSlice {
		t.Errorf("others' flood left %d of the holders", len(got))
	}
	var empty box
	for i := range 2 * MaxMessagesElsewhere {
		empty.put(fmt.Sprintf("s%d@x", i), "", false, "elsewhere")
	}
	if n := len(empty.texts("")); n != MaxMessagesElsewhere {
		t.Errorf("%d messages through other nodes", n)
	}
	b.at += int64(MessageTerm/time.Second) + 1
	if got = b.texts(""); len(got) != 0 {
		t.Errorf("after their term: %q", got)
	}
}
