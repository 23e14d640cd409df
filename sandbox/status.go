// SPDX-License-Identifier: Apache-2.0

package sandbox

import "fmt"

// State is where a sliver is in its life.
type State string

const (
	Created  State = "created"  // known, nothing made yet
	Starting State = "starting" // being made, or waiting to be started again
	Running  State = "running"
	Stopping State = "stopping" // asked to end, still there
	Stopped  State = "stopped"  // ended; nothing left but status and logs
	Failed   State = "failed"   // never ran, or was lost; nothing left but status and logs
	Gone     State = "gone"     // removed
)

// Over reports whether no process of the sliver can be running any more.
func (s State) Over() bool { return s == Stopped || s == Failed || s == Gone }

// Why a sliver that a Status calls stopped or failed came to its end. Other
// reasons are sentences for people.
const (
	ReasonDeadline   = "the lease ended"
	ReasonStopped    = "stopped by its owner"
	ReasonExited     = "the program ended"
	ReasonWardenLost = "the warden was lost"
)

// Status is what a Runtime knows of a sliver.
type Status struct {
	Sliver   string `json:"sliver"`
	State    State  `json:"state"`
	Pid      int    `json:"pid,omitempty"` // on the node, of the first process
	Exit     *int   `json:"exit,omitempty"`
	Restarts int    `json:"restarts,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Deadline int64  `json:"deadline"` // boot clock, ns
}

// String prints a status on one line.
func (s Status) String() string {
	exit := "-"
	if s.Exit != nil {
		exit = fmt.Sprint(*s.Exit)
	}
	return fmt.Sprintf("%s %s pid=%d exit=%s restarts=%d deadline=%d reason=%q",
		s.Sliver, s.State, s.Pid, exit, s.Restarts, s.Deadline, s.Reason)
}
