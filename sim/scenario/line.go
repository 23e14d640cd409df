// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// word is one word of a line: key=value, or a value alone.
type word struct {
	column int // of the word, from 1, in characters
	inner  int // of the value
	key    string
	value  string
	quoted bool
}

// words cuts a line; a mistake has its column.
func words(line string) ([]word, *Mistake) {
	var list []word
	column := func(at int) int { return utf8.RuneCountInString(line[:at]) + 1 }
	for at := 0; at < len(line); {
		if c := line[at]; c == ' ' || c == '\t' || c == '\r' {
			at++
			continue
		}
		if line[at] == '#' {
			break
		}
		w := word{column: column(at), inner: column(at)}
		start := at
		for at < len(line) && !strings.ContainsRune(" \t\r#\"=", rune(line[at])) {
			at++
		}
		// <= and >= and = are words of an expectation; key=value has a letter first
		if at < len(line) && line[at] == '=' && at > start && letter(line[start]) {
			w.key = line[start:at]
			at++
			w.inner, start = column(at), at
		}
		if at < len(line) && at == start && line[at] == '"' {
			prefix, err := strconv.QuotedPrefix(line[at:])
			if err != nil {
				return list, &Mistake{Column: column(at), Text: "this text does not end", Want: `want a closing "`}
			}
			value, err := strconv.Unquote(prefix)
			if err != nil || !utf8.ValidString(value) {
				return list, &Mistake{Column: column(at), Text: "this text is not text"}
			}
			w.value, w.quoted = value, true
			at += len(prefix)
		} else {
			for at < len(line) && !strings.ContainsRune(" \t\r#\"", rune(line[at])) {
				at++
			}
			w.value = line[start:at]
		}
		if at < len(line) && line[at] == '"' {
			return list, &Mistake{Column: column(at), Text: "a text begins in the middle of a word", Want: `want key="text"`}
		}
		list = append(list, w)
	}
	return list, nil
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// quote prints a value so that it is one word.
func quote(s string) string {
	if s == "" || strings.ContainsAny(s, " \t\r#\"\\<>&!") || strconv.Quote(s) != `"`+s+`"` {
		return strconv.Quote(s)
	}
	return s
}
