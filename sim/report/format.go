// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"croft/sim/scenario"
)

// Text prints a value of a unit (as in [Value], or B) for people: three digits, and
// the multiple of the unit that suits it.
func Text(v float64, unit string) string {
	switch unit {
	case "s":
		return seconds(v)
	case "share":
		return digits(v*100) + " %"
	case "B", "B/s":
		for _, m := range []string{"", "k", "M", "G"} {
			if math.Abs(v) < 999.5 || m == "G" {
				return digits(v) + " " + m + unit
			}
			v /= 1000
		}
	}
	if unit != "" {
		return digits(v) + " " + unit
	}
	return digits(v)
}

func seconds(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0 s"
	case a < 0.9995e-3:
		return digits(v*1e6) + " µs"
	case a < 0.9995:
		return digits(v*1e3) + " ms"
	case a < 119.5:
		return digits(v) + " s"
	case a < 119.5*60:
		return digits(v/60) + " min"
	}
	return digits(v/3600) + " h"
}

// digits prints three of a number, and all of a whole part that has more, with
// commas.
func digits(v float64) string {
	if math.Abs(v) < 999.5 {
		return strconv.FormatFloat(number(v), 'f', -1, 64)
	}
	return Whole(int64(math.Round(v)))
}

func number(v float64) float64 {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	return v
}

// Whole prints a whole number with commas.
func Whole(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var groups []string
	for len(s) > 3 {
		groups = append([]string{s[len(s)-3:]}, groups...)
		s = s[:len(s)-3]
	}
	return sign + strings.Join(append([]string{s}, groups...), ",")
}

// Span prints how long something took, or when in a run it was: 4m30s, 7.25s.
func Span(d time.Duration) string {
	switch {
	case d < time.Second:
		d = d.Round(time.Millisecond)
	case d < time.Minute:
		d = d.Round(10 * time.Millisecond)
	default:
		d = d.Round(time.Second)
	}
	s := d.String()
	if rest, ok := strings.CutSuffix(s, "m0s"); ok {
		s = rest + "m"
	}
	if rest, ok := strings.CutSuffix(s, "h0m"); ok {
		s = rest + "h"
	}
	return s
}

// Head is what a run was, in a line.
func (r *Report) Head() string {
	if r.Nodes == 0 {
		return fmt.Sprintf("no network, seed %d, world %s", r.Seed, r.World)
	}
	return fmt.Sprintf("%s nodes, profile %s, seed %d, world %s", Whole(int64(r.Nodes)), r.Profile, r.Seed, r.World)
}

// Effort is what a run took, in a line.
func (r *Report) Effort() string {
	s := fmt.Sprintf("%s played in %s", Span(r.Virtual), Span(r.Wall))
	if r.Events > 0 {
		s += fmt.Sprintf(", %s events", Whole(int64(r.Events)))
	}
	if r.Peak > 0 {
		s += ", " + Text(float64(r.Peak), "B") + " of memory at most"
	}
	return s
}

// About is what a figure says, for people; empty if it is none of the language's.
func About(figure string) string {
	for _, f := range scenario.Figures {
		if f.Word == figure {
			return f.What
		}
	}
	return ""
}
