// SPDX-License-Identifier: Apache-2.0

package lease

// Bounds on everything that a stranger can make us read, keep or loop over.
const (
	// MaxStatement is the size in bytes of one signed statement. The largest
	// that the rules allow (a lease with every field and 16 ports) takes under
	// 800; the rest is room for later fields.
	MaxStatement = 1024

	// MaxDepth is the number of claims from capacity to leaf. Sixteen hands is
	// more than any market of agents has shown; each costs one signature check.
	MaxDepth = 16

	// MaxChain is the size in bytes of a whole chain as it travels.
	MaxChain = (MaxDepth + 1) * MaxStatement

	// MaxArmour is the size in bytes of a text in which tickets are looked for: a
	// mail with forty of the longest chains.
	MaxArmour = 1 << 20

	// Slots is the number of children that one claim may have at one instant.
	Slots = 64

	// MaxTranche is the number of capacities that a node may have at once:
	// enough for staggered ends without a cliff.
	MaxTranche = 16

	// MinDegree and MaxDegree bound oversubscription, in hundredths.
	MinDegree = 100
	MaxDegree = 10_000

	// MaxTerm bounds every term, in seconds (400 days): what a key that lost
	// its journal must wait out before it may sign again.
	MaxTerm = 400 * 24 * 3600

	// MaxLabel is the length in bytes of a slice's label.
	MaxLabel = 63

	// MaxPorts is the number of public ports that one lease names.
	MaxPorts = 16

	// MaxText is the length in bytes of a reason that a person reads.
	MaxText = 200

	// MaxWeight bounds the weight of an evictable lease.
	MaxWeight = 1000

	// MaxGrants is the number of grants that stand on one slice record: a team
	// and its machines.
	MaxGrants = 32

	// MaxSliceNodes is the number of nodes that a slice record names: where a
	// slice has slivers on more, who holds a grant finds the others by asking.
	MaxSliceNodes = 128

	// MaxTopics is the number of topics of which one slice record says who may
	// publish, and MaxPublishers that of the principals whom it names for all of
	// them: others have grants, or publish on a topic that anybody may.
	MaxTopics     = 16
	MaxPublishers = 16

	// MaxSliceRecord is the size in bytes of a signed slice record. The fields
	// take at most 7,500; the rest is room for later ones.
	MaxSliceRecord = 8 << 10

	// MaxAuthority is the size in bytes of a grant with its record.
	MaxAuthority = MaxStatement + MaxSliceRecord + 16

	// MaxAmount bounds one resource of one claim, so that a product with a
	// degree and a sum over all slots fit into 128 bits with room to spare.
	MaxAmount = 1 << 60

	// MaxFanOut bounds an attribute: the distinct addresses, in IPv6 /64 networks,
	// to which a sliver opens flows in any minute. A node keeps twice as many for
	// each sliver, so that none of them is forgotten too soon.
	MaxFanOut = 1024
)
