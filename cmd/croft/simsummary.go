// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"

	simreport "croft/sim/report"
)

// printSummary prints what was expected of runs, and what came, as one table.
func (a *app) printSummary(runs []*simreport.Report, markdown bool) error {
	t, p := simreport.Summary(runs), a.paint()
	switch {
	case a.json:
		enc := json.NewEncoder(a.out)
		for _, row := range t.Rows {
			cells := map[string]string{}
			for i, cell := range row {
				cells[t.Head[i]] = cell
			}
			if err := enc.Encode(cells); err != nil {
				return err
			}
		}
		return nil
	case markdown:
		_, err := io.WriteString(a.out, t.Markdown(runs))
		return err
	}
	aligned(a.out, append([][]string{t.Head}, t.Rows...), 0)
	bad := 0
	for _, b := range t.Bad {
		if b {
			bad++
		}
	}
	a.say("%s, %s", counted(len(t.Rows), "expectation"), map[bool]string{true: "all hold", false: p.bad(counted(bad, "row") + " not as expected")}[bad == 0])
	return nil
}
