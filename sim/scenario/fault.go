// SPDX-License-Identifier: Apache-2.0

package scenario

import "time"

// Who chooses nodes at random: a share of those that are there, or so many, of
// one region or of all. A fault that has no Who at all strikes everybody.
type Who struct {
	Fraction float64 `key:"fraction" max:"1"`
	Count    int     `key:"count" min:"1" max:"200000"`
	Region   string  `key:"region" kind:"region"`
	First    int     `key:"first" min:"1" max:"200000"` // who came first: so many, and nobody else
}

// May reports whether a node in that place of the file and the world is meant at all.
func (w Who) May(index int, region string) bool {
	return (w.First == 0 || index < w.First) && (w.Region == "" || w.Region == region)
}

// Fault is an [Action] that is written with the word fault before it.
type Fault interface {
	Action
	fault()
	Whom() Who            // it strikes
	Lasts() time.Duration // 0: for good
}

// Until returns when what a step does is over, in a run of that length: at once,
// unless it is a fault that is in force for a time.
func (s Step) Until(end time.Duration) time.Duration {
	f, ok := s.Do.(Fault)
	if !ok {
		return s.At
	}
	if d := f.Lasts(); d > 0 {
		return s.At + d
	}
	switch f := f.(type) {
	case *Kill, *Skew:
		return s.At
	case *Restart:
		return s.At + f.After
	}
	return end
}

type lasting struct {
	For time.Duration `key:"for"` // 0: to the end
}

func (lasting) fault() {}

// Lasts returns how long it is in force; 0: for good.
func (l lasting) Lasts() time.Duration { return l.For }

// Loss, Delay, Duplicate and Reorder are of the wires of those nodes, each way.
type Loss struct {
	Rate float64 `key:"rate" need:"yes" max:"1"` // of packets
	Who
	lasting
}

type Delay struct {
	By     time.Duration `key:"by" need:"yes" min:"1us" max:"1m"`
	Jitter time.Duration `key:"jitter" max:"1m"`
	Who
	lasting
}

// Duplicate has messages come twice: of gossip, and requests and answers that may be
// repeated. Pulls are streams, in which nothing is.
type Duplicate struct {
	Rate float64 `key:"rate" need:"yes" max:"1"`
	Who
	lasting
}

// Reorder holds some messages back for so long.
type Reorder struct {
	Rate float64       `key:"rate" need:"yes" max:"1"`
	By   time.Duration `key:"by" default:"100ms" min:"1us" max:"1m"`
	Who
	lasting
}

// Partition cuts nodes off from all others, and not from one another.
type Partition struct {
	Who
	lasting
}

// Kill ends daemons as kill -9 does; their slivers run on. With For they come
// back after that. Power takes the slivers too.
type Kill struct {
	Power bool `key:"power"`
	Who
	lasting
}

// Restart kills daemons with what they were writing cut at any byte, and starts
// them again.
type Restart struct {
	After time.Duration `key:"after" default:"2s" min:"1ms"`
	Power bool          `key:"power"`
	Who
	lasting
}

// Skew steps clocks forwards or backwards, half of the nodes each way.
type Skew struct {
	By time.Duration `key:"by" need:"yes" min:"1ms" max:"24h"`
	Who
	lasting
}

// BlackHole has nodes take everything and answer nothing.
type BlackHole struct {
	Who
	lasting
}

// Mixed deals all kinds out in turns.
const Mixed = "mixed"

// Hostile has nodes that break the rules come in the place of honest ones.
type Hostile struct {
	Kind string `key:"kind" need:"yes" one:"overissue false-offers equivocate replay flood eclipse mixed"`
	Who
	lasting
}

func (*Loss) word() string      { return "loss" }
func (*Delay) word() string     { return "delay" }
func (*Duplicate) word() string { return "duplicate" }
func (*Reorder) word() string   { return "reorder" }
func (*Partition) word() string { return "partition" }
func (*Kill) word() string      { return "kill" }
func (*Restart) word() string   { return "restart" }
func (*Skew) word() string      { return "skew" }
func (*BlackHole) word() string { return "blackhole" }
func (*Hostile) word() string   { return "hostile" }

// Whom returns the nodes themselves: of a fault, those that it strikes.
func (w Who) Whom() Who { return w }

// Of returns how many are meant, of so many that there are to choose from.
func (w Who) Of(there int) int {
	switch {
	case w.Count > 0:
		return min(w.Count, there)
	case w.Fraction > 0:
		return int(w.Fraction*float64(there) + 0.5)
	}
	return there
}

// Everybody reports whether nothing chooses.
func (w Who) Everybody() bool { return w == Who{} }

// faults makes an empty one of each.
var faults = []func() Action{
	func() Action { return new(Loss) }, func() Action { return new(Delay) }, func() Action { return new(Duplicate) },
	func() Action { return new(Reorder) }, func() Action { return new(Partition) }, func() Action { return new(Kill) },
	func() Action { return new(Restart) }, func() Action { return new(Skew) }, func() Action { return new(BlackHole) },
	func() Action { return new(Hostile) },
}
