// SPDX-License-Identifier: Apache-2.0

package burst

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Demand is how much is wanted at an instant by those who come, in units for each
// that there is: it grows exponentially to the peak, and the deadline ends it.
func (c Config) Demand(at time.Duration) float64 {
	if at > c.deadline() {
		return quiet
	}
	return quiet + (float64(c.Peak)/100-quiet)*math.Exp2(-float64(c.deadline()-at)/float64(doubles))
}

func (c Config) deadline() time.Duration { return time.Duration(c.Days) * 24 * time.Hour }

// wish is somebody's for one unit.
type wish struct {
	n       int
	planned time.Duration
	from    time.Duration
	length  time.Duration
	comes   bool
	refused string // why; empty: not yet
	began   bool
}

// wishes draws them, in the order in which they are planned: a Poisson process whose
// rate follows the demand.
func (c Config) wishes() (list []*wish) {
	rng := rand.New(rand.NewPCG(c.Seed, 0x6275727374))
	most := max(float64(c.Peak)/100, quiet)
	perHour := func(demand float64) float64 { return demand * float64(c.Units) / (mean.Hours() * c.Come) }
	for at := c.Ahead; ; {
		at += time.Duration(rng.ExpFloat64() / perHour(most) * float64(time.Hour))
		if at > c.deadline()+After {
			break
		}
		keep, ahead, length, comes := rng.Float64(), rng.Float64(), rng.Float64(), rng.Float64() < c.Come
		if keep*most > c.Demand(at) { // thinned to the demand of the instant
			continue
		}
		w := &wish{n: len(list), from: at.Truncate(time.Second), comes: comes, length: (shortest + time.Duration(length*float64(longest-shortest))).Truncate(time.Second)}
		w.planned = w.from - time.Duration(ahead*float64(c.Ahead)).Truncate(time.Second)
		list = append(list, w)
	}
	slices.SortStableFunc(list, func(a, b *wish) int { return int(a.planned - b.planned) })
	return list
}
