// SPDX-License-Identifier: Apache-2.0

package lease

// Bounds on what the ledger keeps, loops over and writes down for strangers.
const (
	// ClockSkew is how far, in seconds, a wish may begin before the node's own
	// time: the clocks of people's machines are that far off, and a wish takes a
	// moment to arrive.
	ClockSkew = 30

	// RequestKept is for how many seconds after its term's end a request id is
	// remembered, so that a copy that was long under way is still recognised.
	RequestKept = 3600

	// MaxHolds is the number of holds that one principal may have open at one
	// node. A run asks one node for a handful; each hold costs its holder nothing.
	MaxHolds = 64

	// MaxRequests is the number of granted asks of one principal that are kept,
	// the ended ones included: about one a minute over the longest term of the
	// commons.
	MaxRequests = 1024

	// DefaultBookings is the number of granted wishes kept in all unless the
	// configuration says otherwise, about 3 KiB of memory each.
	DefaultBookings = 1 << 18

	// MaxEvictables is the number of evictable holds and leases at once: what is
	// idle is divided among all of them whenever anything begins or ends.
	MaxEvictables = 4096

	// DefaultNotice is the seconds between the revoke of an evictable lease and
	// its end: the lead by which a lease of the sharp pool may begin late.
	DefaultNotice = 20

	// DefaultNoShow is for how many seconds after its term's begin a reserved
	// lease waits to be activated.
	DefaultNoShow = 300

	// MaxWindows is how many free terms one answer holds, and MaxWindowSteps for
	// how many beginnings it judges a wish, two for each change of what is booked:
	// some milliseconds of a ledger that does nothing else meanwhile. MaxLevels bounds a drawn calendar.
	MaxWindows     = 64
	MaxWindowSteps = 1 << 12
	MaxLevels      = 1024

	// MaxTickets is the number of tickets kept at once: every slot of every
	// tranche, sixteen times over in terms to come.
	MaxTickets = 16 * MaxTranche * Slots

	// MaxRedeems is the number of granted redeems kept for one ticket: what the
	// sweep over a ticket's slots loops over.
	MaxRedeems = 1024

	// MaxTicketsOfClaim is the number of tickets kept under one that was passed
	// on or given: every slot in eight terms, one after another. A search for a
	// conflict among them takes at most the square of it.
	MaxTicketsOfClaim = 8 * Slots

	// MaxPassedOn is the number of tickets kept that came of one ticket of the
	// node's, by whatever hands, and MaxPassedOnInAll that of all, under 4 KiB of
	// memory and 1 KiB of disk each.
	MaxPassedOn      = 4096
	MaxPassedOnInAll = 1 << 16

	// MaxProofs is the number of proofs that are kept, and verified when a
	// ledger is restored: a signature check for each statement.
	MaxProofs = 256

	// MaxProofsOfSource is how many proofs about one node, or below one ticket of
	// this node, are kept before others that matter as much: some liars of one
	// market, and not one liar's whole crowd of keys.
	MaxProofsOfSource = 8

	// Refusals of wishes are signed and written down only within these numbers:
	// of asks per principal and in all, of redeems per ticket. A refusal beyond
	// them goes out unsigned, is forgotten, and promises nothing. An ask's stays
	// at least RequestKept, so strangers write at most
	// MaxRefusals × (MaxStatement + overhead), some 6 MiB, in an hour.
	MaxRefusalsOfOne    = 16
	MaxRefusals         = 4096
	MaxRefusalsOfTicket = 64

	// MaxRefusalsOfSubtree is the number of refusals kept of redeems that came
	// of one ticket of the node's, and of those redeems; MaxAttached is the size
	// in bytes of what these refusals attach, and maxAttachedToAsks of what those
	// of all asks do.
	MaxRefusalsOfSubtree = 1024
	MaxAttached          = 512 << 10
	maxAttachedToAsks    = 4 << 20

	// MaxProgram is the size in bytes of what is to run, as Activate carries it:
	// digests, arguments and environment, never an image.
	MaxProgram = 16 << 10

	// MaxFact is the size in bytes of one fact: a proof, or a refusal with what it
	// attaches, and the rest.
	MaxFact = MaxProof + 4*MaxStatement

	// capacityTerm is for how many seconds a capacity is set aside when the
	// first ticket out of it is shorter, so that one tranche serves many tickets.
	capacityTerm = 30 * 24 * 3600

	// trancheShares is into how many parts the sharp pool is cut unless a ticket
	// needs more: half of MaxTranche, so that each part's successor finds a
	// number while the part itself still runs.
	trancheShares = MaxTranche / 2
)
