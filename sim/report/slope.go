// SPDX-License-Identifier: Apache-2.0

package report

import "math"

// Slope is how something grows with something else: as its power Exponent, fitted by
// least squares to the logarithms. Fit is R², 1 where all points lie on it.
type Slope struct {
	Exponent float64 `json:"exponent"`
	Fit      float64 `json:"r2"`
}

// Grows fits a power law to points of which both coordinates are above 0; the others
// are left out. It returns false with fewer than two different ones.
func Grows(points []Point) (Slope, bool) {
	var n, sx, sy, sxx, sxy, syy float64
	for _, p := range points {
		if p.X <= 0 || p.Y <= 0 {
			continue
		}
		x, y := math.Log(p.X), math.Log(p.Y)
		n, sx, sy, sxx, sxy, syy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y, syy+y*y
	}
	vx, vy, c := sxx-sx*sx/n, syy-sy*sy/n, sxy-sx*sy/n
	if n < 2 || vx <= 1e-12 {
		return Slope{}, false
	}
	s := Slope{Exponent: c / vx, Fit: 1}
	if vy > 1e-12 {
		s.Fit = c * c / (vx * vy)
	}
	return s, true
}
