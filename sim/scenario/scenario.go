// SPDX-License-Identifier: Apache-2.0

package scenario

import "time"

// Scenario is an experiment. Zero values are what was not said; [Parse] fills in
// the defaults.
type Scenario struct {
	Nodes   Nodes
	Seed    uint64 // of everything that is left to chance; 0 is a seed too
	Join    Join
	End     time.Duration // when the run is over
	Steps   []Step        // in the order of the file
	Trials  []Trial       // instead of nodes and steps
	Expects []Expect
	History string // hash of an earlier run that this one must repeat; may be empty
}

// Nodes says who there is.
type Nodes struct {
	Count   int    `pos:"COUNT"`
	Profile string `key:"profile" one:"planetlab flat" default:"planetlab"`
	View    int    `key:"view" min:"1" max:"10000"` // the most nodes that one keeps in its view; 0 is the protocol's own
	// Publishers is how many have anything to offer; 0 is all. The others route, hold
	// the index and pass on what is told.
	Publishers int `key:"publishers" min:"1"`
	// Seeded has routing tables know from the start who is there.
	Seeded bool `key:"seeded"`
}

// Offering is how many have anything to offer.
func (n Nodes) Offering() int {
	if n.Publishers > 0 {
		return n.Publishers
	}
	return n.Count
}

// Join says how they come: so many at once, one wave after the other.
type Join struct {
	Wave  int           `key:"wave" min:"1" max:"200000" default:"50"`
	Every time.Duration `key:"every" default:"1s"`
}

// Step is something that happens at an instant.
type Step struct {
	At   time.Duration
	Do   Action
	Line int // where it stands; not printed
}

// Action is what a step does: a pointer to one of the types below, or a [Fault].
type Action interface{ word() string }

// Slice has a researcher find nodes, lease shares of them and run a program, by
// the way in of some node.
type Slice struct {
	Name    string        `pos:"NAME" kind:"label"`
	Nodes   int           `key:"nodes" min:"1" max:"1024" need:"yes"`
	Where   string        `key:"where" kind:"query"`
	Spread  string        `key:"spread" one:"site as country"`
	RSet    string        `key:"rset" kind:"rset" default:"cpu=100,memory=128MiB,pids=64,disk=512MiB,egress.rate=5mbit,ingress.rate=5mbit,egress.packets=2000,ingress.packets=2000"`
	Term    time.Duration `key:"term" default:"1h" min:"1s"`
	Partial bool          `key:"partial"`
	// Serves has its program be a tenant of a role, for nodes to hand over.
	Serves string `key:"serves" one:"discovery names monitor topology bootstrap"`
}

// Stop ends a slice, Renew lets it run on for so long from then on.
type Stop struct {
	Name string `pos:"NAME" kind:"label"`
}

type Renew struct {
	Name string        `pos:"NAME" kind:"label"`
	For  time.Duration `key:"for" need:"yes" min:"1s"`
}

// Find asks for nodes: so many times, from nodes at random.
type Find struct {
	Where string        `key:"where" kind:"query"`
	Count int           `key:"count" min:"1" max:"100000" default:"1"`
	Every time.Duration `key:"every" default:"1s"`
	View  string        `key:"view" one:"on off" default:"on"`
}

// Publish has a slice's slivers speak on a topic of the slice: its owner says that
// they may, all subscribe, and a while after that one after the other says something.
type Publish struct {
	Topic string        `pos:"TOPIC" kind:"label"`
	Slice string        `key:"slice" kind:"label" need:"yes"`
	Bytes int           `key:"bytes" min:"8" max:"16384" default:"512"`
	Count int           `key:"count" min:"1" max:"10000" default:"1"`
	Every time.Duration `key:"every" default:"1s"`
	After time.Duration `key:"after" default:"10s"` // for them to find one another
}

// Change has nodes say something new of themselves, so that there is news.
type Change struct {
	Who
}

// Leave has nodes go as they should, with a last word.
type Leave struct {
	Who
}

func (*Slice) word() string   { return "slice" }
func (*Stop) word() string    { return "stop" }
func (*Renew) word() string   { return "renew" }
func (*Find) word() string    { return "find" }
func (*Publish) word() string { return "publish" }
func (*Change) word() string  { return "change" }
func (*Leave) word() string   { return "leave" }

// actions makes an empty one of each.
var actions = []func() Action{
	func() Action { return new(Slice) }, func() Action { return new(Renew) }, func() Action { return new(Stop) },
	func() Action { return new(Find) }, func() Action { return new(Publish) }, func() Action { return new(Change) },
	func() Action { return new(Leave) }, func() Action { return new(Try) }, func() Action { return new(Promote) },
	func() Action { return new(Ask) },
}
