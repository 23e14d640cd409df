// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"slices"
	"time"
)

// Try has a role tried on each node where a sliver of the slice runs: it is asked beside
// the tenant, and nothing comes of it. Promote gives it the role there.
type Try struct {
	Role  string `pos:"ROLE" one:"discovery names monitor topology bootstrap"`
	Slice string `key:"slice" kind:"label" need:"yes"`
}

type Promote struct {
	Role  string `pos:"ROLE" one:"discovery names monitor topology bootstrap"`
	Slice string `key:"slice" kind:"label" need:"yes"`
}

// Ask has nodes on which a slice has slivers asked what a role is for, by their owners,
// so many times.
type Ask struct {
	Role  string        `pos:"ROLE" one:"discovery names monitor topology bootstrap"`
	Slice string        `key:"slice" kind:"label" need:"yes"`
	Count int           `key:"count" min:"1" max:"100000" default:"1"`
	Every time.Duration `key:"every" default:"1s"`
}

func (*Try) word() string     { return "try" }
func (*Promote) word() string { return "promote" }
func (*Ask) word() string     { return "ask" }

// Asked are the roles that are asked for, in the order of the file.
func (s *Scenario) Asked() (roles []string) {
	for _, step := range s.Steps {
		if a, ok := step.Do.(*Ask); ok && !slices.Contains(roles, a.Role) {
			roles = append(roles, a.Role)
		}
	}
	return roles
}

// serves refuses a slice that does not serve the role which it is to have.
func (r *reader) serves(s Step, role, name string) {
	for _, other := range r.Steps {
		if do, ok := other.Do.(*Slice); ok && do.Name == name && do.Serves != role {
			r.say(s.Line, 1, fmt.Sprintf("slice %s does not serve the role %s", name, role), "want serves="+role+" where it is made")
		}
	}
}
