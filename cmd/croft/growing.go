// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// growing is a table whose rows are printed as they come: a column is as wide as
// the widest that was in it so far.
type growing struct {
	to   io.Writer
	wide []int // of each column, in characters; to begin with what is usual
}

func (g *growing) row(cells []string) error {
	var line strings.Builder
	for i, c := range cells {
		n := utf8.RuneCountInString(c)
		g.wide[i] = max(g.wide[i], n)
		line.WriteString(c)
		if i < len(cells)-1 {
			line.WriteString(strings.Repeat(" ", g.wide[i]-n+2))
		}
	}
	_, err := fmt.Fprintln(g.to, line.String())
	return err
}
