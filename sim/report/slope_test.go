// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"
	"testing"
)

func TestSlopes(t *testing.T) {
	law := func(of func(float64) float64) (list []Point) {
		for _, x := range []float64{1000, 3000, 10_000, 30_000} {
			list = append(list, Point{x, of(x)})
		}
		return list
	}
	for _, c := range []struct {
		what           string
		points         []Point
		exponent, wide float64
	}{
		{"constant", law(func(float64) float64 { return 7 }), 0, 1e-9},
		{"linear", law(func(x float64) float64 { return 3 * x }), 1, 1e-9},
		{"square", law(func(x float64) float64 { return x * x }), 2, 1e-9},
		{"logarithm", law(math.Log), 0.11, 0.02},
		{"without what is nothing", append(law(func(x float64) float64 { return x }), Point{5, 0}), 1, 1e-9},
	} {
		s, ok := Grows(c.points)
		if !ok || math.Abs(s.Exponent-c.exponent) > c.wide || s.Fit < 0.99 {
			t.Errorf("%s: %+v %v", c.what, s, ok)
		}
	}
	for _, few := range [][]Point{nil, {{1, 1}}, {{2, 1}, {2, 5}}, {{1, 0}, {2, 0}}} {
		if s, ok := Grows(few); ok {
			t.Errorf("%v grows by %+v", few, s)
		}
	}
}
