// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
)

// Dist is a distribution of whole numbers of at least 0, in classes that are within
// one per cent of their members. Durations are in nanoseconds. The zero Dist is
// empty.
type Dist struct {
	classes []uint64
	count   uint64
	sum     float64
	largest int64
}

func class(v int64) int {
	if v < 1<<classBits {
		return int(max(v, 0))
	}
	shift := bits.Len64(uint64(v)) - classBits - 1
	return shift<<classBits + int(v>>shift)
}

// middle is a member of a class.
func middle(c int) float64 {
	if c < 1<<(classBits+1) {
		return float64(c)
	}
	shift := c>>classBits - 1
	return (float64(c-shift<<classBits) + 0.5) * math.Pow(2, float64(shift))
}

// Add counts one member.
func (d *Dist) Add(v int64) {
	d.put(class(v), 1)
	d.sum += float64(max(v, 0))
	d.largest = max(d.largest, v)
}

func (d *Dist) put(c int, n uint64) {
	for len(d.classes) <= c {
		d.classes = append(d.classes, 0)
	}
	d.classes[c] += n
	d.count += n
}

// Merge adds the members of another.
func (d *Dist) Merge(o *Dist) {
	for c, n := range o.classes {
		if n > 0 {
			d.put(c, n)
		}
	}
	d.sum += o.sum
	d.largest = max(d.largest, o.largest)
}

// Count returns how many members there are.
func (d *Dist) Count() uint64 { return d.count }

// Max returns the largest member; 0 of none.
func (d *Dist) Max() float64 { return float64(d.largest) }

// Mean returns the mean; 0 of none.
func (d *Dist) Mean() float64 { return d.sum / math.Max(float64(d.count), 1) }

// Quantile returns the least value that a share q of all is at or below.
func (d *Dist) Quantile(q float64) float64 {
	want, seen := uint64(math.Ceil(q*float64(d.count))), uint64(0)
	for c, n := range d.classes {
		if seen += n; seen >= want && n > 0 {
			return d.member(c)
		}
	}
	return 0
}

// member is a member of a class, and no larger than the largest there is.
func (d *Dist) member(c int) float64 { return math.Min(middle(c), float64(d.largest)) }

// Point is where a curve goes through.
type Point struct{ X, Y float64 }

// MarshalJSON writes [x,y].
func (p Point) MarshalJSON() ([]byte, error) { return json.Marshal([2]float64{p.X, p.Y}) }

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Point) UnmarshalJSON(b []byte) error {
	var xy [2]float64
	err := json.Unmarshal(b, &xy)
	p.X, p.Y = xy[0], xy[1]
	return err
}

// CDF returns the share of all that is at or below each value, where it rises, in
// at most so many points. Values are multiplied by scale.
func (d *Dist) CDF(points int, scale float64) (list []Point) {
	var seen uint64
	last := -1.0
	for c, n := range d.classes {
		if n == 0 {
			continue
		}
		seen += n
		share := float64(seen) / float64(d.count)
		if seen == d.count || share-last >= 1/float64(max(points-2, 1)) || last < 0 {
			list, last = append(list, Point{d.member(c) * scale, share}), share
		}
	}
	return list
}

// dist is a Dist as JSON: members in classes, each by one member of it.
type dist struct {
	Count   uint64     `json:"count"`
	Sum     float64    `json:"sum"`
	Max     int64      `json:"max"`
	Classes [][2]int64 `json:"classes"` // member, how many
}

// MarshalJSON writes members by class, from which the same Dist can be read back.
func (d *Dist) MarshalJSON() ([]byte, error) {
	out := dist{d.count, d.sum, d.largest, [][2]int64{}}
	for c, n := range d.classes {
		if n > 0 {
			out.Classes = append(out.Classes, [2]int64{int64(middle(c)), int64(n)})
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (d *Dist) UnmarshalJSON(b []byte) error {
	var in dist
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("reading a distribution: %w", err)
	}
	*d = Dist{sum: in.Sum, largest: in.Max}
	for _, c := range in.Classes {
		if c[0] < 0 || c[1] < 0 {
			return fmt.Errorf("reading a distribution: %d times %d", c[1], c[0])
		}
		d.put(class(c[0]), uint64(c[1]))
	}
	return nil
}
