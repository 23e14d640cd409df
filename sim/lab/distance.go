// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"math"
	"time"
)

const (
	earthRadius = 6371.0e3            // metres, mean
	inFibre     = 299792458.0 * 2 / 3 // m/s
	// lastMile is what every path costs besides its length.
	lastMile = time.Millisecond
)

// Distance is the time a packet takes from a to b: the great circle at two
// thirds of the speed of light, plus a millisecond. Real paths are longer.
func Distance(a, b Site) time.Duration {
	metres := greatCircle(a, b)
	flight := time.Duration(metres / inFibre * float64(time.Second))
	return (lastMile + flight).Round(time.Microsecond)
}

// greatCircle by the haversine formula, in metres.
func greatCircle(a, b Site) float64 {
	rad := func(deg float64) float64 { return deg * math.Pi / 180 }
	square := func(x float64) float64 { return x * x }
	h := square(math.Sin(rad(b.Lat-a.Lat)/2)) +
		math.Cos(rad(a.Lat))*math.Cos(rad(b.Lat))*square(math.Sin(rad(b.Lon-a.Lon)/2))
	return 2 * earthRadius * math.Asin(math.Sqrt(math.Min(1, h)))
}
