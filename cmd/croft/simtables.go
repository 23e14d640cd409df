// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	simreport "croft/sim/report"
)

// printTables writes what stands in a row a case.
func printTables(w io.Writer, p paint, tables []simreport.Table) {
	for _, t := range tables {
		head := []string{strings.ToUpper(t.Case)}
		for _, c := range t.Columns {
			head = append(head, c.Name)
		}
		fmt.Fprintf(w, "\n%s\n", p.head(t.Title))
		aligned(w, append([][]string{head}, t.Texts()...), len(t.Columns))
		if t.Note != "" {
			fmt.Fprintln(w, p.faint(t.Note))
		}
	}
}
