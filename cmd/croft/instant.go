// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"time"
)

// parseAt reads when something is to begin: "now", "+2h", a time of day, which
// is the next one, or a date with a time.
func parseAt(s string, now time.Time) (time.Time, error) {
	switch rest, later := strings.CutPrefix(s, "+"); {
	case s == "" || s == "now":
		return now, nil
	case later:
		if d, err := time.ParseDuration(rest); err == nil && d >= 0 {
			return now.Add(d), nil
		}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			y, m, d := now.Date()
			at := time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location())
			if at.Before(now) {
				at = at.AddDate(0, 0, 1)
			}
			return at, nil
		}
	}
	return time.Time{}, usage("such as +2h, 18:30, '2026-05-04 09:00' or 2026-05-04T09:00:00Z", "--at %q is no time", s)
}

// soon prints an instant of today as a time of day, any other with its date.
func soon(sec int64) string {
	t, now := time.Unix(sec, 0).Local(), time.Now()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return clockTime(sec)
	}
	return t.Format("2006-01-02 15:04:05")
}

// dateTime prints an instant that may be days off.
func dateTime(sec int64) string { return time.Unix(sec, 0).Local().Format("Mon 2006-01-02 15:04:05") }
