// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// paint colours text where somebody sees it.
type paint bool

// paint is on for a terminal, unless NO_COLOR is set (no-color.org).
func (a *app) paint() paint {
	f, ok := a.out.(*os.File)
	return paint(ok && !a.json && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd())))
}

func (p paint) in(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) good(s string) string  { return p.in("32", s) }
func (p paint) bad(s string) string   { return p.in("31;1", s) }
func (p paint) faint(s string) string { return p.in("2", s) }
func (p paint) head(s string) string  { return p.in("1", s) }

// mark is what a verdict begins with.
func (p paint) mark(ok bool) string {
	if ok {
		return p.good("✓")
	}
	return p.bad("✗")
}

// aligned prints rows aligned: the first column to the left, those up to the
// numbers-th to the right, and the others to the left again.
func aligned(w io.Writer, rows [][]string, numbers int) {
	var wide []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(wide) {
				wide = append(wide, 0)
			}
			wide[i] = max(wide[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			pad := strings.Repeat(" ", wide[i]-utf8.RuneCountInString(cell))
			switch {
			case i == 0:
				line = cell + pad
			case i <= numbers:
				line += "  " + pad + cell
			default:
				line += "  " + cell + pad
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}
