// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"
	"time"
)

// Kind says what the values of a course are.
type Kind string

const (
	Rates   Kind = "rate"   // how many a second
	Levels  Kind = "level"  // what it was last
	Samples Kind = "sample" // the mean of what was measured, and the largest
)

// Course is what became of something over time: a value for each slot of Every,
// from the beginning of the run. A slot in which nothing was measured has a nil.
type Course struct {
	Group  string        `json:"group"`
	Of     string        `json:"of,omitempty"`
	Kind   Kind          `json:"kind"`
	Unit   string        `json:"unit,omitempty"` // of a value; of rates, of what is counted
	Every  time.Duration `json:"every_ns"`
	Values []*float64    `json:"values"`
	Max    []*float64    `json:"max,omitempty"` // of samples
}

// slot is a while.
type slot struct {
	n        uint64
	sum, max float64
	last     float64
}

// slots is a course in the making.
type slots struct {
	list  []slot
	every time.Duration
}

// at returns the slot of an instant; instants may come in any order.
func (s *slots) at(now time.Duration) *slot {
	if s.every == 0 {
		s.every = firstSlot
	}
	for now/s.every >= MaxSlots {
		s.widen()
	}
	i := int(max(now, 0) / s.every)
	for len(s.list) <= i {
		s.list = append(s.list, slot{})
	}
	return &s.list[i]
}

// widen makes one slot of two.
func (s *slots) widen() {
	half := s.list[:0]
	for i := 0; i < len(s.list); i += 2 {
		a := s.list[i]
		if i+1 < len(s.list) {
			b := s.list[i+1]
			if a.n+b.n > 0 {
				a.max = max(a.max, b.max)
			}
			if b.n > 0 {
				a.last = b.last
			}
			a.n, a.sum = a.n+b.n, a.sum+b.sum
		}
		half = append(half, a)
	}
	s.list, s.every = half, 2*s.every
}

func (s *slots) add(now time.Duration, v float64) {
	at := s.at(now)
	if at.n == 0 || v > at.max {
		at.max = v
	}
	at.n, at.sum, at.last = at.n+1, at.sum+v, v
}

// course is what a run of that length had of it.
func (s *slots) course(group, of string, kind Kind, unit string, scale float64, end time.Duration) Course {
	for s.every == 0 || end/s.every >= MaxSlots {
		if s.every == 0 {
			s.every = firstSlot
			continue
		}
		s.widen()
	}
	c := Course{Group: group, Of: of, Kind: kind, Unit: unit, Every: s.every}
	var level *float64
	for i := range int((end + s.every - 1) / s.every) {
		var v slot
		if i < len(s.list) {
			v = s.list[i]
		}
		long := min(s.every, end-time.Duration(i)*s.every) // the last may be cut short
		switch {
		case kind == Rates:
			c.Values = append(c.Values, ptr(v.sum*scale/long.Seconds()))
		case kind == Levels:
			if v.n > 0 {
				level = ptr(v.last * scale)
			}
			c.Values = append(c.Values, level)
		case v.n == 0:
			c.Values, c.Max = append(c.Values, nil), append(c.Max, nil)
		default:
			c.Values, c.Max = append(c.Values, ptr(v.sum/float64(v.n)*scale)), append(c.Max, ptr(v.max*scale))
		}
	}
	return c
}

// ptr keeps six digits: more only fill files.
func ptr(v float64) *float64 {
	if v != 0 {
		scale := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(v))))
		v = math.Round(v*scale) / scale
	}
	return &v
}

// Per divides a course by another, slot by slot: bytes by the nodes that are up.
func (c Course) Per(o Course) Course {
	out := c
	out.Max, out.Values = nil, nil
	for i, v := range c.Values {
		if v == nil || i >= len(o.Values) || o.Values[i] == nil || *o.Values[i] == 0 || c.Every != o.Every {
			out.Values = append(out.Values, nil)
			continue
		}
		out.Values = append(out.Values, ptr(*v / *o.Values[i]))
	}
	return out
}
