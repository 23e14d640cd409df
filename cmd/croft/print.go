// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// print writes a result: as one line of JSON, or as people read it.
func (a *app) print(v any, human func(io.Writer)) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(v)
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	human(w)
	return w.Flush()
}

// printEach writes a list: one JSON object a line, or a table.
func printEach[T any](a *app, list []T, head string, row func(io.Writer, T)) error {
	if a.json {
		enc := json.NewEncoder(a.out)
		for _, v := range list {
			if err := enc.Encode(v); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	if len(list) > 0 && head != "" {
		fmt.Fprintln(w, head)
	}
	for _, v := range list {
		row(w, v)
	}
	return w.Flush()
}

// say writes talk to stderr: a line, or under --json an object with a note.
func (a *app) say(format string, args ...any) {
	if a.json {
		_ = json.NewEncoder(a.err).Encode(map[string]string{"note": strings.TrimSpace(fmt.Sprintf(format, args...))}) // talk that cannot be written is lost
		return
	}
	fmt.Fprintf(a.err, format+"\n", args...)
}

// clockTime prints an instant as people compare it: local time, and UTC where
// that differs.
func clockTime(sec int64) string {
	t := time.Unix(sec, 0)
	s := t.Local().Format("15:04:05")
	if _, offset := t.Local().Zone(); offset != 0 {
		s += t.UTC().Format(" (15:04:05 UTC)")
	}
	return s
}

// left prints seconds in the largest units that matter.
func left(sec int64) string {
	switch d := time.Duration(sec) * time.Second; {
	case d <= 0:
		return "over"
	case d < time.Minute:
		return fmt.Sprintf("%ds", sec)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", sec/60, sec%60)
	default:
		return fmt.Sprintf("%dh%02dm", sec/3600, sec%3600/60)
	}
}
