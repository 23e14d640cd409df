// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"math"
	"time"
)

// Dimensions of the space in which nodes have coordinates. More than these make
// estimates hardly better, and every offer longer.
const Dimensions = 4

const (
	// MaxReach bounds each part of a coordinate, in microseconds: no honest way
	// takes ten seconds, and the squares of differences stay exact.
	MaxReach = 10_000_000
	// MaxError is the error of a coordinate of which nothing is known, in
	// thousandths.
	MaxError = 1000
)

// Coordinate is where a node has found itself to be, in a space whose distances
// are round-trip times: a vector, the height above it of the node's own line to the
// network, which every way from and to it takes, and how far off estimates by it
// were of late.
type Coordinate struct {
	_      struct{}          `cbor:",toarray"`
	Vector [Dimensions]int32 `json:"vector_us"`        // microseconds
	Height int32             `json:"height_us"`        // microseconds
	Error  int32             `json:"error_thousandth"` // of a round-trip time
}

// Check returns ErrField for what no node can honestly have found.
func (c *Coordinate) Check() error {
	for _, x := range c.Vector {
		if x < -MaxReach || x > MaxReach {
			return field("coordinate %d µs, limit %d", x, MaxReach)
		}
	}
	if c.Height < 0 || c.Height > MaxReach {
		return field("height %d µs, limit %d", c.Height, MaxReach)
	}
	if c.Error < 1 || c.Error > MaxError {
		return field("error of a coordinate %d, limit %d", c.Error, MaxError)
	}
	return nil
}

// Estimate returns the round-trip time between two coordinates; 0 if one is not
// there. It is never less than a microsecond otherwise.
func Estimate(a, b *Coordinate) time.Duration {
	if a == nil || b == nil {
		return 0
	}
	var sum int64 // exact: the same on every machine
	for i := range a.Vector {
		d := int64(a.Vector[i]) - int64(b.Vector[i])
		sum += d * d
	}
	us := int64(math.Sqrt(float64(sum))) + int64(a.Height) + int64(b.Height)
	return time.Duration(max(us, 1)) * time.Microsecond
}

// Light returns what a round trip between two places takes at the least, at the
// speed of light in a vacuum; 0 if one is not stated.
func Light(a, b *Position) time.Duration {
	if a == nil || b == nil {
		return 0
	}
	const earth, speed = 6371.0, 299_792.458 // km, km/s
	rad := math.Pi / 180_000
	lat1, lat2 := float64(a.Lat)*rad, float64(b.Lat)*rad
	x, y := math.Sin((lat2-lat1)/2), math.Sin(float64(b.Lon-a.Lon)*rad/2)
	h := float64(x*x) + float64(math.Cos(lat1)*math.Cos(lat2)*y*y)
	return time.Duration(2 * 2 * earth * math.Asin(math.Min(1, math.Sqrt(h))) / speed * float64(time.Second))
}
