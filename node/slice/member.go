// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"time"

	"croft/lease"
)

// state is how far one node has come.
type state uint8

const (
	waiting    state = iota // a candidate that has not been asked
	drawing                 // its ticket, from the purse
	asked                   // for a hold
	held                    // its hold is in hand
	committing              // told to turn the hold into a lease
	leased                  // its lease is in hand
	activating              // told what to run
	starting                // has the program
	running
	closing // told that the claim is closed
	out     // nothing of it is wanted or had
)

// member is one candidate's part in a run.
type member struct {
	Candidate
	state  state
	draw   DrawTicket   // what the purse was told
	ask    lease.Opened // or a redeem
	hold   lease.ID
	sliver Sliver    // once leased
	wake   time.Time // when the wait for its answer ends; zero: there is none
	fuse   time.Time // when its hold falls, by the node's clock
	claim  lease.ID  // what is being closed
	close  []byte    // the statement that closes it
	why    string    // why it is out

	withheld bool // why is the purse's, not the node's
}

// has reports whether the node is bound by something of ours.
func (m *member) has() bool { return m.state >= held && m.state <= running }

// bound returns the claim that binds the node: the lease if there is one.
func (m *member) bound() lease.ID {
	if !m.sliver.Lease.IsZero() {
		return m.sliver.Lease
	}
	return m.hold
}
