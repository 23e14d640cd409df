// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"strings"
	"time"

	"croft/lease"
)

// PlaceRest is how long a place, and so its block of source ports, stays empty
// after a sliver. What is left of it in the tables of connections is deleted when
// it goes; the rest is longer than segments are in flight that could name its
// ports (TCP's time-wait is 60 s here).
const PlaceRest = 60 * time.Second

// Input is what a [Lifecycle] is told: Begin, Continue, Share, Finish,
// Launched, LaunchFailed, Exited, Removed, Retime, Recover.
type Input interface {
	fmt.Stringer
	input()
}

// Begin: a lease was activated, or stands after a restart.
type Begin struct {
	Sliver             string
	Lease              lease.ID
	Statement, Program []byte
	Share              lease.RSet // what of an evictable lease is in force; zero: all of it
}

// Continue: the sliver goes on under another lease, in place.
type Continue struct {
	Sliver    string
	Lease     lease.ID
	Statement []byte
	Share     lease.RSet // as in Begin
}

// Share: another part of the sliver's evictable lease is in force.
type Share struct {
	Sliver string
	Lease  lease.ID
	RSet   lease.RSet
}

// Finish: the sliver's lease has ended.
type Finish struct {
	Sliver string
	Lease  lease.ID
	Reason string
}

// Launched: the sliver runs.
type Launched struct{ Sliver string }

// LaunchFailed: it does not, and why.
type LaunchFailed struct{ Sliver, Reason string }

// Exited: its program ended by itself and is not to be restarted.
type Exited struct {
	Sliver string
	Code   int
	Reason string
}

// Removed: nothing of the sliver is left on the node.
type Removed struct{ Sliver string }

// Retime: the node's clock was set and the new time accepted; deadlines move.
type Retime struct{}

// Recover: the node has restarted, and its ledger has named every sliver whose
// lease stands.
type Recover struct{}

func (Begin) input()        {}
func (Continue) input()     {}
func (Share) input()        {}
func (Finish) input()       {}
func (Launched) input()     {}
func (LaunchFailed) input() {}
func (Exited) input()       {}
func (Removed) input()      {}
func (Retime) input()       {}
func (Recover) input()      {}

func (i Begin) String() string {
	return fmt.Sprintf("begin %s lease=%s", i.Sliver, i.Lease.Short()) + inForce(i.Share)
}
func (i Continue) String() string {
	return fmt.Sprintf("continue %s lease=%s", i.Sliver, i.Lease.Short()) + inForce(i.Share)
}
func (i Share) String() string {
	return fmt.Sprintf("share %s lease=%s", i.Sliver, i.Lease.Short()) + inForce(i.RSet)
}
func (i Finish) String() string {
	return fmt.Sprintf("finish %s lease=%s reason=%q", i.Sliver, i.Lease.Short(), i.Reason)
}
func (i Launched) String() string { return "launched " + i.Sliver }
func (i LaunchFailed) String() string {
	return fmt.Sprintf("launch-failed %s reason=%q", i.Sliver, i.Reason)
}
func (i Exited) String() string {
	return fmt.Sprintf("exited %s code=%d reason=%q", i.Sliver, i.Code, i.Reason)
}
func (i Removed) String() string { return "removed " + i.Sliver }
func (Retime) String() string    { return "retime" }
func (Recover) String() string   { return "recover-slivers" }

// Effect is what the node must do: Fact first, durably; then Launch, Adjust,
// Teardown, each idempotent by sliver; Changed and Cleared tell others.
type Effect interface {
	fmt.Stringer
	effect()
}

// Launch makes the sliver run: network down, guard, network up, root, sandbox.
// What runs already is adopted. Answer with Launched or LaunchFailed.
type Launch struct {
	Sliver             string
	Place              int
	Lease              lease.ID
	Statement, Program []byte
	Share              lease.RSet // what of the lease is in force; zero: all of it
}

// Adjust puts the limits and the deadline of a lease, or the share of it that is
// given, in force, live. It says all that holds from now on.
type Adjust struct {
	Sliver    string
	Place     int
	Statement []byte
	Share     lease.RSet // as in Launch
}

// Teardown ends the sliver and removes all of it. Answer with Removed.
type Teardown struct {
	Sliver string
	Place  int
}

// Changed: the sliver is in another state.
type Changed struct {
	Sliver string
	State  State
	Reason string
}

// Cleared: nothing is left of the sliver whose last lease that was.
type Cleared struct {
	Sliver string
	Lease  lease.ID
}

func (Fact) effect()     {}
func (Cleared) effect()  {}
func (Launch) effect()   {}
func (Adjust) effect()   {}
func (Teardown) effect() {}
func (Changed) effect()  {}

func inForce(share lease.RSet) string {
	if share.IsZero() {
		return ""
	}
	return " share=" + strings.ReplaceAll(share.String(), " ", ",")
}

func (e Launch) String() string {
	return fmt.Sprintf("launch %s place=%d lease=%s", e.Sliver, e.Place, e.Lease.Short()) + inForce(e.Share)
}
func (e Adjust) String() string {
	return fmt.Sprintf("adjust %s place=%d", e.Sliver, e.Place) + inForce(e.Share)
}
func (e Teardown) String() string { return fmt.Sprintf("teardown %s place=%d", e.Sliver, e.Place) }
func (e Cleared) String() string {
	return fmt.Sprintf("cleared %s lease=%s", e.Sliver, e.Lease.Short())
}
func (e Changed) String() string {
	if e.Reason == "" {
		return fmt.Sprintf("changed %s %s", e.Sliver, e.State)
	}
	return fmt.Sprintf("changed %s %s reason=%q", e.Sliver, e.State, e.Reason)
}
