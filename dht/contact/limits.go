// SPDX-License-Identifier: Apache-2.0

package contact

import "time"

const (
	// MaxContacts of one sort are kept: a start from any one of them is enough, and
	// sixty-four that have all gone mean that the network has.
	MaxContacts = 64
	// MaxAddrs of one contact, each of at most MaxAddr bytes: both transports in
	// both families, or by two relays.
	MaxAddrs = 4
	MaxAddr  = 160

	// PerNetwork is how many remembered contacts may be of one /24 or /56: whoever
	// has one network cannot fill the memory with it.
	PerNetwork = 8
	// MaxMemory is the size in bytes of a written memory.
	MaxMemory = MaxContacts * (MaxAddrs*(MaxAddr+3) + 256)
	// Forgotten is how long after it was last seen a contact is not kept.
	Forgotten = 90 * 24 * time.Hour

	// MaxInvited contacts are in an invitation: the node that invites, and some
	// that will be there when it is not. MaxInvitation is its length in characters.
	MaxInvited    = 4
	MaxInvitation = 4096
	// InvitedFor is how long an invitation holds unless its maker says otherwise;
	// MaxInvitedFor at most. Addresses change, and one who has moved away should
	// not be called on for ever.
	InvitedFor    = 30 * 24 * time.Hour
	MaxInvitedFor = 366 * 24 * time.Hour

	// headStart is what each sort of contacts has over the next: a dial round half
	// the world, some lost packets, and what identifies the other side.
	headStart = 3 * time.Second
	// firstWait and lastWait are between rounds in which nobody answered, twice as
	// long each time.
	firstWait = 2 * time.Second
	lastWait  = time.Minute
)
