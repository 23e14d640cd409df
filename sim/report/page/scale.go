// SPDX-License-Identifier: Apache-2.0

package page

import "math"

// scale brings values to a length of the plot.
type scale struct {
	low, high float64
	log       bool
	from, to  float64 // in pixels
}

func (s scale) at(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		low, high, v = math.Log(low), math.Log(high), math.Log(math.Max(v, s.low))
	}
	if high <= low {
		return s.from
	}
	return s.from + (v-low)/(high-low)*(s.to-s.from)
}

// fit makes a scale of what is to be seen, and its ticks. Scales that are not
// logarithmic begin at 0.
func fit(low, high float64, log bool, unit string, about int) (scale, []float64) {
	if log {
		low = math.Max(low, high*1e-6)
		if low >= high {
			low = high / 10
		}
		return decades(low, high)
	}
	if high <= 0 {
		high = 1
	}
	step := nice(high/float64(about), unit)
	top := math.Ceil(high/step-1e-9) * step
	var ticks []float64
	for i := 0; float64(i)*step <= top*1.0001; i++ {
		ticks = append(ticks, float64(i)*step)
	}
	return scale{low: 0, high: top}, ticks
}

// nice rounds a step up to one that people count by.
func nice(v float64, unit string) float64 {
	if unit == "s" && v > 10 {
		for _, step := range []float64{15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 4 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 48 * 3600, 120 * 3600, 240 * 3600} {
			if step >= v {
				return step
			}
		}
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v*0.9999 {
			return m * power
		}
	}
	return 10 * power
}

// decades makes a logarithmic scale: ticks at 1, 2, 5 where few powers are seen.
func decades(low, high float64) (scale, []float64) {
	steps := []float64{1}
	if high/low < 200 {
		steps = []float64{1, 2, 5}
	}
	var ticks []float64
	for p := math.Floor(math.Log10(low)); p <= math.Ceil(math.Log10(high)); p++ {
		for _, m := range steps {
			if v := m * math.Pow(10, p); v >= low*0.999 && v <= high*1.001 {
				ticks = append(ticks, v)
			}
		}
	}
	return scale{low: low, high: high, log: true}, ticks
}
