// SPDX-License-Identifier: Apache-2.0

package report

// Table is figures that belong together: a row for each case.
type Table struct {
	Title   string   `json:"title"`
	Case    string   `json:"case"` // what the name of a row is
	Columns []Column `json:"columns"`
	Rows    []Cells  `json:"rows"`
	Note    string   `json:"note,omitempty"`
}

// Column says what stands in a column. Unit is as in [Value].
type Column struct {
	Name string `json:"name"`
	Unit string `json:"unit,omitempty"`
}

// Cells is a row. Where there is nothing to say, a value is nil.
type Cells struct {
	Case   string     `json:"case"`
	Values []*float64 `json:"values"`
}

// Add adds a row.
func (t *Table) Add(name string, values ...*float64) {
	t.Rows = append(t.Rows, Cells{name, values})
}

// Cell is a value in a table.
func Cell(v float64) *float64 {
	v = rounded(v)
	return &v
}

// Texts are the rows for people, each beginning with its case.
func (t *Table) Texts() (rows [][]string) {
	for _, r := range t.Rows {
		row := []string{r.Case}
		for i, c := range t.Columns {
			text := "-"
			if i < len(r.Values) && r.Values[i] != nil {
				text = Text(*r.Values[i], c.Unit)
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	return rows
}

// Table adds a table.
func (r *Recorder) Table(t Table) { r.tables = append(r.tables, t) }
