// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"croft/gossip"
	"croft/lease"
)

// Input is what a Hub takes.
type Input interface{ input() }

// Join subscribes to a topic, Leave ends that. Each is no error when it is so
// already.
type (
	Join  struct{ Name Name }
	Leave struct{ Name Name }
)

// Received is a message that came on a topic, Local one that somebody at this node
// wants published.
type (
	Received struct {
		Name  Name
		Bytes []byte
	}
	Local struct{ Bytes []byte }
)

// Known is a slice's record, however it came here; Unfound says that a look-up
// found none.
type (
	Known   struct{ Record lease.OpenedSlice }
	Unfound struct {
		Owner lease.Principal
		Slice string
	}
)

func (Join) input()     {}
func (Leave) input()    {}
func (Received) input() {}
func (Local) input()    {}
func (Known) input()    {}
func (Unfound) input()  {}

// Effect is what a Hub wants done or known.
type Effect interface{ effect() }

// Verdict answers each Received, Local and Join, always as the first effect.
type Verdict gossip.Verdict

// Delivered is a message for those here who subscribe.
type Delivered struct{ Message Opened }

// Fetch wants a slice's newest record looked up, and told as Known.
type Fetch struct {
	Owner lease.Principal
	Slice string
}

func (Verdict) effect()   {}
func (Delivered) effect() {}
func (Fetch) effect()     {}
