// SPDX-License-Identifier: Apache-2.0

package vivaldi

import (
	"math"
	"math/rand/v2"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// Config is fixed for the life of an Estimator.
type Config struct {
	Seed uint64 // of the direction in which nodes at one place part
}

// Outcome is what became of a sample.
type Outcome string

const (
	Taken      Outcome = "taken"
	Impossible Outcome = "impossible" // no time, less than light takes, or a coordinate that cannot be
	Outlier    Outcome = "outlier"    // it contradicts all the rest
)

// point is a coordinate in milliseconds.
type point struct {
	vector [offer.Dimensions]float64
	height float64
}

// Estimator finds one node's coordinate.
type Estimator struct {
	here  point
	err   float64
	taken int
	peers map[lease.Principal]*window
	turn  uint64
	miss  []float64 // of the last samples, taken or not
	next  int       // where in it the next goes
	rng   *rand.Rand
}

// New returns an estimator that knows nothing.
func New(cfg Config) *Estimator {
	return &Estimator{here: point{height: startHeight}, err: mostError, peers: map[lease.Principal]*window{},
		rng: rand.New(rand.NewPCG(cfg.Seed, 0x76697661))}
}

// Sample takes one round trip to a node that says it is at a coordinate; least is
// what the way must take (0: not known).
func (e *Estimator) Sample(of lease.Principal, rtt, least time.Duration, at *offer.Coordinate) Outcome {
	if rtt <= 0 || rtt > MaxRTT || rtt < least || at != nil && at.Check() != nil {
		return Impossible
	}
	ms := e.window(of).median(rtt)
	if at == nil {
		return Taken // it does not tell where it is; its time is remembered
	}
	there, err := pointOf(at), math.Max(float64(at.Error)/offer.MaxError, leastError)
	distance, way := e.away(there)
	if e.outlier(math.Abs(distance - ms)) {
		return Outlier
	}
	miss := math.Min(math.Abs(distance-ms)/math.Max(ms, shortest), mostError)
	weight := e.err / (e.err + err)
	e.err = math.Min(math.Max(miss*tuneError*weight+float64(e.err*(1-tuneError*weight)), leastError), mostError)
	step := math.Min(math.Max(tuneMove*weight*(ms-distance), -longestStep), longestStep)
	e.move(way, step)
	e.taken++
	return Taken
}

// away returns the distance to a point, and the direction away from it.
func (e *Estimator) away(p point) (distance float64, way point) {
	sum := 0.0
	for i := range p.vector {
		way.vector[i] = e.here.vector[i] - p.vector[i]
		sum += float64(way.vector[i] * way.vector[i])
	}
	flat := math.Sqrt(sum)
	way.height = e.here.height + p.height
	distance = flat + way.height
	if flat < leastHeight { // both at one place, as all are at first: part in any direction
		return distance, point{vector: e.direction()}
	}
	for i := range way.vector {
		way.vector[i] /= distance
	}
	way.height /= distance
	return distance, way
}

// direction draws a vector of length one.
func (e *Estimator) direction() (v [offer.Dimensions]float64) {
	sum := 0.0
	for i := range v {
		v[i] = e.rng.NormFloat64()
		sum += float64(v[i] * v[i])
	}
	if sum == 0 {
		v[0], sum = 1, 1
	}
	for i := range v {
		v[i] /= math.Sqrt(sum)
	}
	return v
}

// move goes so far along a way, and falls a little towards the origin.
func (e *Estimator) move(way point, step float64) {
	sum := 0.0
	for i := range way.vector {
		e.here.vector[i] += float64(step * way.vector[i])
		sum += float64(e.here.vector[i] * e.here.vector[i])
	}
	e.here.height = math.Max(e.here.height+float64(step*way.height), leastHeight)
	if from := math.Sqrt(sum); from > 0 {
		fall := math.Min(float64(from/pull)*float64(from/pull), from)
		for i := range e.here.vector {
			e.here.vector[i] -= float64(e.here.vector[i] / from * fall)
		}
	}
}

// Coordinate returns where the node is, and false while it has not found out.
func (e *Estimator) Coordinate() (c offer.Coordinate, ok bool) {
	for i, x := range e.here.vector {
		c.Vector[i] = micros(x)
	}
	c.Height = micros(e.here.height)
	c.Error = min(max(int32(math.Round(e.err*offer.MaxError)), 1), offer.MaxError)
	return c, e.taken >= settled
}

func pointOf(c *offer.Coordinate) (p point) {
	for i, x := range c.Vector {
		p.vector[i] = float64(x) / 1000
	}
	p.height = float64(c.Height) / 1000
	return p
}

func micros(ms float64) int32 {
	return int32(math.Round(math.Min(math.Max(ms*1000, -offer.MaxReach), offer.MaxReach)))
}
