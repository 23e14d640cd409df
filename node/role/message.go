// SPDX-License-Identifier: Apache-2.0

package role

import (
	"fmt"
	"strconv"
	"time"
)

// Input is what a [Succession] is told: Try, Drop, Promote, Demote, Here, Gone,
// Ask, Abandon, Answered, Compared or Tick.
type Input interface {
	input()
	String() string
}

// What the owner wants. The answer is a [Done] with the same Ref.
type (
	// Try has a tenant asked as a challenger.
	Try struct {
		Ref    uint64
		Tenant Tenant
	}
	// Drop ends a trial, or has an earlier holder asked no more.
	Drop struct {
		Ref    uint64
		Tenant Tenant
	}
	// Promote gives the role to a challenger, to an earlier holder or to builtin.
	Promote struct {
		Ref    uint64
		Tenant Tenant
	}
	// Demote takes the role from who holds it; the next of the chain has it then.
	Demote struct{ Ref uint64 }
)

// What happens.
type (
	// Here: a tenant can be asked from now on.
	Here struct{ Tenant Tenant }
	// Gone: it cannot any more; what it was asked it will not answer.
	Gone struct {
		Tenant Tenant
		Why    string // empty: it went
	}
	// Ask is a request. Its ID is not that of another under way.
	Ask struct {
		ID   uint64
		Call string
		Own  bool   // of the node's own people
		Not  Tenant // who is not asked, because it asks itself; may be empty
	}
	// Abandon: nobody waits for a request any more.
	Abandon struct{ ID uint64 }
	// Answered: a tenant's answer is in hand and verified, or is none.
	Answered struct {
		ID     uint64
		Tenant Tenant
		Why    string // it is none; empty: it is one
		Took   time.Duration
	}
	// Compared: how far a challenger's answer agrees, from 0 to 1; Idle if neither answer
	// says anything.
	Compared struct {
		ID        uint64
		Tenant    Tenant
		Agreement float64
		Idle      bool
	}
	// Tick lets time pass.
	Tick struct{}
)

func (Try) input()      {}
func (Drop) input()     {}
func (Promote) input()  {}
func (Demote) input()   {}
func (Here) input()     {}
func (Gone) input()     {}
func (Ask) input()      {}
func (Abandon) input()  {}
func (Answered) input() {}
func (Compared) input() {}
func (Tick) input()     {}

func (i Try) String() string     { return fmt.Sprintf("try %s ref=%d", i.Tenant, i.Ref) }
func (i Drop) String() string    { return fmt.Sprintf("drop %s ref=%d", i.Tenant, i.Ref) }
func (i Promote) String() string { return fmt.Sprintf("promote %s ref=%d", i.Tenant, i.Ref) }
func (i Demote) String() string  { return fmt.Sprintf("demote ref=%d", i.Ref) }
func (i Here) String() string    { return "here " + string(i.Tenant) }
func (i Gone) String() string {
	if i.Why != "" {
		return fmt.Sprintf("gone %s why=%q", i.Tenant, i.Why)
	}
	return "gone " + string(i.Tenant)
}
func (i Ask) String() string {
	s := fmt.Sprintf("ask %d %s", i.ID, i.Call)
	if i.Own {
		s += " own"
	}
	if i.Not != "" {
		s += " not=" + string(i.Not)
	}
	return s
}
func (i Abandon) String() string { return fmt.Sprintf("abandon %d", i.ID) }
func (i Answered) String() string {
	s := fmt.Sprintf("answered %d %s took=%s", i.ID, i.Tenant, i.Took)
	if i.Why != "" {
		s += " why=" + strconv.Quote(i.Why)
	}
	return s
}
func (i Compared) String() string {
	if i.Idle {
		return fmt.Sprintf("compared %d %s idle", i.ID, i.Tenant)
	}
	return fmt.Sprintf("compared %d %s agreement=%g", i.ID, i.Tenant, i.Agreement)
}
func (Tick) String() string { return "tick" }

// Effect is what is to be done: Fact, Done, Put, Cancel, Give, Fail, Compare or
// Say. The facts of a step come first, to be durable before the rest is performed.
type Effect interface {
	effect()
	String() string
}

type (
	// Done answers what the owner wanted.
	Done struct {
		Ref uint64
		Why string // it was refused; empty: it was done
	}
	// Put asks a tenant; the answer comes as Answered, until By.
	Put struct {
		ID     uint64
		Tenant Tenant
		Call   Call
		By     time.Time
		Trial  bool // the answer will be compared, and given to nobody
	}
	// Cancel: nobody waits for a tenant's answer any more.
	Cancel struct {
		ID     uint64
		Tenant Tenant
	}
	// Give gives a tenant's answer to who asked. After it, and after Fail, nothing
	// of the request is given.
	Give struct {
		ID     uint64
		Tenant Tenant
		Why    string // somebody else failed before; empty: nobody did
	}
	// Fail tells who asked that nobody answers, and why.
	Fail struct {
		ID  uint64
		Why string
	}
	// Compare wants a challenger's answer compared with what was given.
	Compare struct {
		ID           uint64
		Tenant, With Tenant
	}
	// Say is for the node's owner to read.
	Say struct{ Text string }
)

func (Fact) effect()    {}
func (Done) effect()    {}
func (Put) effect()     {}
func (Cancel) effect()  {}
func (Give) effect()    {}
func (Fail) effect()    {}
func (Compare) effect() {}
func (Say) effect()     {}

func (e Done) String() string {
	if e.Why != "" {
		return fmt.Sprintf("done ref=%d why=%q", e.Ref, e.Why)
	}
	return fmt.Sprintf("done ref=%d", e.Ref)
}
func (e Put) String() string {
	s := fmt.Sprintf("put %d to %s %s by=%s", e.ID, e.Tenant, e.Call.Name, e.By.UTC().Format("15:04:05.000"))
	if e.Trial {
		s += " trial"
	}
	return s
}
func (e Cancel) String() string { return fmt.Sprintf("cancel %d at %s", e.ID, e.Tenant) }
func (e Give) String() string {
	if e.Why != "" {
		return fmt.Sprintf("give %d of %s, for %s", e.ID, e.Tenant, e.Why)
	}
	return fmt.Sprintf("give %d of %s", e.ID, e.Tenant)
}
func (e Fail) String() string    { return fmt.Sprintf("fail %d why=%q", e.ID, e.Why) }
func (e Compare) String() string { return fmt.Sprintf("compare %d %s with %s", e.ID, e.Tenant, e.With) }
func (e Say) String() string     { return "say " + strconv.Quote(e.Text) }
