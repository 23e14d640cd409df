// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Read reads reports as they are written in JSON, one after another. The error
// matches ErrNoReport where it is not of JSON.
func Read(r io.Reader) (list []*Report, err error) {
	for dec := json.NewDecoder(r); ; {
		one := new(Report)
		switch err := dec.Decode(one); {
		case err == io.EOF && len(list) > 0:
			return list, nil
		case err != nil:
			return nil, fmt.Errorf("reading report %d: %w", len(list)+1, err)
		case !one.sound():
			return nil, fmt.Errorf("reading report %d: %w", len(list)+1, ErrNoReport)
		}
		list = append(list, one)
	}
}

// sound reports whether everything is there that a report is shown with.
func (r *Report) sound() bool {
	return r.World != "" && r.Virtual > 0 &&
		!slices.ContainsFunc(r.Measures, func(m Measured) bool { return m.Figure == "" || m.Dist == nil || m.Dist.count == 0 }) &&
		!slices.ContainsFunc(r.Courses, func(c Course) bool { return c.Group == "" || c.Every <= 0 || len(c.Max) > len(c.Values) })
}
