// SPDX-License-Identifier: Apache-2.0

package role

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Role is one management job of a node.
type Role struct {
	Name     string
	Question string // what its tenant is asked
	Version  int    // of its calls; 0: it cannot be handed over yet
	Calls    []Call // at most five
	Leaves   string // what leaves the node to a tenant that is not built in
	Compared string // how agreement of two answers is told
	ByHand   bool   // nobody is promoted by a rule: agreement says too little
}

// Call is one question of a role.
type Call struct {
	Name string

	// Within is how long a tenant has for the answer while somebody else could be
	// asked after it; Last is how long the last of the chain has.
	Within, Last time.Duration

	Bytes int // of an answer, all lines together, at most MaxAnswer
}

// discovery's deadlines: three seconds are ten times what an answer from memory
// takes across a continent, and what a person still waits for. The last has time
// for a walk through the index and to measure round trips.
const (
	findWithin = 3 * time.Second
	findLast   = 15 * time.Second
)

// holders' deadlines: a fetch has begun with other nodes by then.
const (
	holdersWithin = 2 * time.Second
	holdersLast   = 5 * time.Second
)

// packets' deadlines: the kernel verifies a program before the answer counts.
const (
	programWithin = 5 * time.Second
	programLast   = 10 * time.Second
)

// Other roles answer from memory, and once: a second is what a person takes for at
// once, and what a tenant that is asked over and over may take at the most. The last
// has as long again for each that was silent before it.
const (
	soonWithin = time.Second
	soonLast   = 3 * time.Second
)

// maxWhole is the size in bytes of an answer that comes in one line, whatever that is
// about.
const maxWhole = MaxLine

// whole is a call that is answered by one line.
func whole(name string) Call {
	return Call{Name: name, Within: soonWithin, Last: soonLast, Bytes: maxWhole}
}

// Discovery is the role that finds nodes.
func Discovery() Role { r, _ := Lookup("discovery"); return r }

// Images is the role that knows who has an image.
func Images() Role { r, _ := Lookup("images"); return r }

// All returns every role, in the order in which people are told of them.
func All() []Role {
	return []Role{
		{Name: "discovery", Question: "query → offers, with reasons", Version: 1,
			Calls:    []Call{{Name: "find", Within: findWithin, Last: findLast, Bytes: MaxAnswer}},
			Leaves:   "the query; nothing of who asks",
			Compared: "overlap of the nodes in the first 20 offers, after verification"},
		{Name: "allocator", Question: "ask and node state → terms or refusal", Version: 1,
			Calls:    []Call{whole("decide")},
			Leaves:   "who asks for how much when of the pools that it allots, the bid, and how full they are",
			Compared: "granted or refused alike; half where only one of them has the asker wait"},
		{Name: "keeper", Question: "slice and what is seen of it → what to renew, replace, add", Version: 1,
			Calls:    []Call{whole("keep")},
			Leaves:   "which slices this node keeps for whom, where their slivers are, and which nodes could have more",
			Compared: "overlap of what is renewed, replaced and added, wherever"},
		{Name: "images", Question: "digest → who has it", Version: 1,
			Calls:    []Call{{Name: "holders", Within: holdersWithin, Last: holdersLast, Bytes: MaxLine}},
			Leaves:   "the digest and size of an image, the nodes that are to run it, and those that asked for it",
			Compared: "the first 8 nodes of two answers that both name"},
		{Name: "monitor", Question: "measurements → health of nodes, offers contradicted", Version: 1,
			Calls:    []Call{whole("health")},
			Leaves:   "which nodes this one measured, what came of it, and from which sites they are suspected",
			Compared: "nodes judged alike, of those against which something speaks"},
		{Name: "names", Question: "petname ↔ principal, groups, credentials", Version: 1,
			Calls:    []Call{whole("lookup"), whole("reverse"), whole("credentials")},
			Leaves:   "the name or the principals asked about; for credentials whose, which often is who asks",
			Compared: "overlap of the principals, names or grants in both answers"},
		{Name: "topology", Question: "who is near whom; paths around trouble", Version: 1,
			Calls:    []Call{whole("near"), whole("paths")},
			Leaves:   "where this node is, which nodes it is about, and how far they were measured to be",
			Compared: "the smaller ÷ the larger estimate, over the nodes of both; the same ways round"},
		{Name: "updates", Question: "which signed release to run", Version: 1,
			Calls:    []Call{whole("which")},
			Leaves:   "which version this node runs, and on which platform",
			Compared: "1 for the same version and builds, or neither has any; else 0"},
		{Name: "packets", Question: "may this packet pass", Version: 1,
			Calls:    []Call{{Name: "program", Within: programWithin, Last: programLast, Bytes: maxWhole}},
			Leaves:   "in force, its program sees the packets of all slivers, and can tell its own slice, and others, of them by which it lets pass; on trial, nothing",
			Compared: "1 less the difference of the shares of packets refused; 0 until some were seen", ByHand: true},
		{Name: "bootstrap", Question: "first contacts for newcomers", Version: 1,
			Calls:    []Call{whole("contacts")},
			Leaves:   "how many contacts are wanted; nothing of who asks",
			Compared: "contacts that are in both answers, or that this node has met"},
	}
}

// Lookup returns the role of a name.
func Lookup(name string) (Role, error) {
	for _, r := range All() {
		if r.Name == name {
			return r, nil
		}
	}
	return Role{}, fmt.Errorf("role %.40q: %w", name, ErrRole)
}

// Call returns the call of a name.
func (r Role) Call(name string) (Call, bool) {
	for _, c := range r.Calls {
		if c.Name == name {
			return c, true
		}
	}
	return Call{}, false
}

// String names the role with its version, as in "discovery/1".
func (r Role) String() string { return r.Name + "/" + strconv.Itoa(r.Version) }

// ParseVersioned reads a role as a tenant names it, such as "discovery/1". One
// that cannot be handed over yet, or not in that version, is [ErrRole].
func ParseVersioned(s string) (Role, error) {
	name, version, ok := strings.Cut(s, "/")
	r, err := Lookup(name)
	switch {
	case err != nil:
		return r, err
	case r.Version == 0:
		return r, fmt.Errorf("role %s cannot be handed over yet: %w", name, ErrRole)
	case !ok || version != strconv.Itoa(r.Version):
		return r, fmt.Errorf("role %.40q: this node speaks %s: %w", s, r, ErrRole)
	}
	return r, nil
}
