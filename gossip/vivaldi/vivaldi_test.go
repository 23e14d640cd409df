// SPDX-License-Identifier: Apache-2.0

package vivaldi

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// network is nodes on a plane with lines of their own, and how long packets take.
type network struct {
	rng   *rand.Rand
	x, y  []float64 // milliseconds
	line  []float64
	nodes []*Estimator
	lies  []func(*offer.Coordinate) // of each node: nil is honest
}

func newNetwork(n int) *network {
	w := &network{rng: rand.New(rand.NewPCG(7, 7)), lies: make([]func(*offer.Coordinate), n)}
	for i := range n {
		w.x, w.y = append(w.x, w.rng.Float64()*200), append(w.y, w.rng.Float64()*200)
		w.line = append(w.line, 0.5+w.rng.ExpFloat64()*3)
		w.nodes = append(w.nodes, New(Config{Seed: uint64(i)}))
	}
	return w
}

func (w *network) rtt(a, b int) time.Duration {
	ms := math.Hypot(w.x[a]-w.x[b], w.y[a]-w.y[b]) + w.line[a] + w.line[b]
	return time.Duration(ms * float64(time.Millisecond))
}

func (w *network) said(i int) *offer.Coordinate {
	c, _ := w.nodes[i].Coordinate()
	if w.lies[i] != nil {
		w.lies[i](&c)
	}
	return &c
}

func name(i int) lease.Principal { return lease.Principal{byte(i), byte(i >> 8), 1} }

// play has every node sample five fixed ones and a random one, so often.
func (w *network) play(rounds int) {
	n := len(w.nodes)
	for range rounds {
		for i, e := range w.nodes {
			for k := range 6 {
				j := w.rng.IntN(n)
				if k < 5 { // always the same, as if drawn
					j = (i*7919 + k*k*k*31 + k*17 + i*i*(k+3)) % n
				}
				if i == j {
					continue
				}
				rtt := w.rtt(i, j) + time.Duration(w.rng.ExpFloat64()*float64(time.Millisecond))
				if w.rng.IntN(50) == 0 {
					rtt += 300 * time.Millisecond // sent twice
				}
				e.Sample(name(j), rtt, 0, w.said(j))
			}
		}
	}
}

// errors returns median and 95th percentile of the relative error among the honest.
func (w *network) errors() (p50, p95 float64) {
	var all []float64
	for i := range w.nodes {
		for j := range i {
			if w.lies[i] == nil && w.lies[j] == nil {
				real := w.rtt(i, j)
				all = append(all, math.Abs(float64(offer.Estimate(w.said(i), w.said(j))-real))/float64(real))
			}
		}
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)*95/100]
}

func TestEstimatesComeTrue(t *testing.T) {
	w := newNetwork(200)
	for _, rounds := range []int{3, 10, 40, 100} {
		w.play(rounds)
		p50, p95 := w.errors()
		t.Logf("after %d more rounds: median error %.3f, p95 %.3f", rounds, p50, p95)
	}
	if p50, p95 := w.errors(); p50 > 0.05 || p95 > 0.3 {
		t.Errorf("in a plane, where nothing stands in the way: median error %.3f, p95 %.3f", p50, p95)
	}
}

// A fifth of liars, each by its own fashion, do not spoil the estimates of the rest.
func TestLiarsDoNotSpoilTheRest(t *testing.T) {
	for lie, how := range map[string]func(rng *rand.Rand, c *offer.Coordinate){
		"random": func(rng *rand.Rand, c *offer.Coordinate) {
			for i := range c.Vector {
				c.Vector[i] = rng.Int32N(2*offer.MaxReach) - offer.MaxReach
			}
			c.Error = 1
		},
		"far": func(_ *rand.Rand, c *offer.Coordinate) {
			*c = offer.Coordinate{Vector: [offer.Dimensions]int32{offer.MaxReach}, Height: offer.MaxReach, Error: 1}
		},
		"origin": func(_ *rand.Rand, c *offer.Coordinate) { *c = offer.Coordinate{Error: 1} },
	} {
		w := newNetwork(200)
		for i := 0; i < len(w.lies); i += 5 {
			w.lies[i] = func(c *offer.Coordinate) { how(w.rng, c) }
		}
		w.play(150)
		p50, p95 := w.errors()
		t.Logf("%s: median error %.3f, p95 %.3f", lie, p50, p95)
		if p50 > 0.25 {
			t.Errorf("%s: median error %.3f of the honest", lie, p50)
		}
	}
}

func TestWhatCannotBeIsLeftOut(t *testing.T) {
	e := New(Config{})
	before, _ := e.Coordinate()
	good := &offer.Coordinate{Vector: [offer.Dimensions]int32{9000}, Error: 100}
	for what, s := range map[string]struct {
		rtt, least time.Duration
		at         *offer.Coordinate
	}{
		"no time":               {0, 0, good},
		"before it was asked":   {-time.Millisecond, 0, good},
		"for ever":              {MaxRTT + 1, 0, good},
		"faster than light":     {30 * time.Millisecond, 31 * time.Millisecond, good},
		"out of reach":          {time.Second, 0, &offer.Coordinate{Vector: [offer.Dimensions]int32{-offer.MaxReach - 1}, Error: 1}},
		"below the ground":      {time.Second, 0, &offer.Coordinate{Height: -1, Error: 1}},
		"never wrong":           {time.Second, 0, &offer.Coordinate{}},
		"more wrong than known": {time.Second, 0, &offer.Coordinate{Error: math.MaxInt32}},
	} {
		if got := e.Sample(name(1), s.rtt, s.least, s.at); got != Impossible {
			t.Errorf("%s: %s", what, got)
		}
	}
	if after, ok := e.Coordinate(); after != before || ok || len(e.peers) != 0 {
		t.Errorf("they left something: %+v, %v", after, e.peers)
	}
}

// Whatever strangers say, a coordinate stays one that may be told, and one sample
// moves it a step at most.
func TestNoSampleMovesFar(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	e := New(Config{})
	for i := range 20_000 {
		at := &offer.Coordinate{Height: rng.Int32N(offer.MaxReach + 1), Error: 1 + rng.Int32N(offer.MaxError)}
		for d := range at.Vector {
			at.Vector[d] = rng.Int32N(2*offer.MaxReach+1) - offer.MaxReach
		}
		if i%3 == 0 {
			c, _ := e.Coordinate()
			at = &c // at the very same place
		}
		was := e.here
		e.Sample(name(rng.IntN(200)), time.Duration(1+rng.Int64N(int64(MaxRTT))), 0, at)
		c, _ := e.Coordinate()
		if err := c.Check(); err != nil {
			t.Fatalf("sample %d: %v", i, err)
		}
		sum := 0.0
		for d := range was.vector {
			sum += math.Pow(was.vector[d]-e.here.vector[d], 2)
		}
		if moved := math.Sqrt(sum); !(moved <= 2*longestStep) || !(math.Abs(was.height-e.here.height) <= longestStep) {
			t.Fatalf("sample %d moved it by %v", i, moved)
		}
	}
	if len(e.peers) > maxPeers || len(e.miss) > recent {
		t.Errorf("it remembers %d nodes, %d misses", len(e.peers), len(e.miss))
	}
}

func TestOnePacketSentTwiceMovesNothing(t *testing.T) {
	var w window
	for _, rtt := range []time.Duration{40, 41, 340, 42, 40} {
		if got := w.median(rtt * time.Millisecond); got > 42 {
			t.Errorf("after %d ms: %v", rtt, got)
		}
	}
}

// A coordinate is told once it is worth something, and known before to whoever asks.
func TestItSettles(t *testing.T) {
	e := New(Config{})
	there := &offer.Coordinate{Vector: [offer.Dimensions]int32{0, 300_000}, Error: 20}
	for i := range settled {
		if _, ok := e.Coordinate(); ok {
			t.Fatalf("settled after %d samples", i)
		}
		e.Sample(name(i), 100*time.Millisecond, 0, there)
	}
	c, ok := e.Coordinate()
	if d := offer.Estimate(&c, there); !ok || d < 90*time.Millisecond || d > 110*time.Millisecond {
		t.Errorf("settled %v, %s away", ok, d)
	}
}
