// SPDX-License-Identifier: Apache-2.0

package world

import (
	"math"
	"math/bits"
)

// dist is a distribution of whole numbers in classes that are within one per cent
// of their members.
type dist struct {
	classes []uint64
	count   uint64
	sum     float64
	largest int64
}

const classBits = 7

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

func (d *dist) add(v int64) {
	c := class(v)
	for len(d.classes) <= c {
		d.classes = append(d.classes, 0)
	}
	d.classes[c]++
	d.count++
	d.sum += float64(v)
	d.largest = max(d.largest, v)
}

// quantile returns the least value that a share of all is at or below.
func (d *dist) quantile(q float64) float64 {
	want, seen := uint64(math.Ceil(q*float64(d.count))), uint64(0)
	for c, n := range d.classes {
		if seen += n; seen >= want && n > 0 {
			return math.Min(middle(c), float64(d.largest))
		}
	}
	return 0
}

func (d *dist) mean() float64 { return d.sum / math.Max(float64(d.count), 1) }
