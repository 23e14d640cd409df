// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	slivernet "croft/ebpf/net"
	"croft/gossip/alive"
	"croft/lease"
	"croft/lease/offer"
	"croft/lease/sign"
	"croft/node"
	"croft/node/api"
	"croft/node/door"
	"croft/sandbox"
	"croft/sandbox/swarm/stream"
)

// Deps is everything of the world that a daemon touches. Each seam takes and
// returns messages, so that what fills it can be another process, another
// tenant, or a model.
type Deps struct {
	Key   *sign.Key
	Clock Clock
	Log   *slog.Logger

	// OpenJournal opens the node's journal and returns its records. It is called
	// again after a journal failed.
	OpenJournal func() (OpenJournal, [][]byte, error)

	// Socket opens the door of this machine's people: whoever may connect owns
	// the way in.
	Socket func() (net.Listener, error)

	Discovery   api.Discovery // query → offers, with reasons: the built-in tenant; nil: there is none
	Seeker      Seeker        // what the node knows of others besides their offers; nil: nothing
	Measures    Measures      // what was measured of other nodes, for the role monitor; nil: nothing is
	Whereabouts Whereabouts   // where this node and others are, for the role topology; nil: it does not know
	Contacts    FirstContacts // of nodes without neighbours, and for others, by the role bootstrap; nil: none

	Footing Footing // on whom this node stands in the network; nil: nobody can say

	// View is what gossip told of nodes that are there, not to be changed; nil: nothing.
	View func() []*offer.Opened

	Gossip   Publisher    // offers, notices → whoever wants to know
	Presence Presence     // who is there; nil: a visitor does not watch
	Rumours  Rumours      // proofs ↔ everybody; nil: a visitor hears of none
	Forks    Rumours      // the same of forked logs
	Wire     Wire         // bytes to and from other nodes
	Reach    Reachability // how others reach this node; nil: nothing is known
	Overlay  api.Overlay  // whom this node is connected to, and what it knows of them
	Slices   SliceIndex   // records of slices, where every node finds them; may be nil

	Topics SliceTopics // of slices; nil: none
	Paths  Paths       // the ways to others; nil: nothing is known of them

	// OpenOffer reads an offer as [offer.Open] does, site certificates checked, which
	// it is if nil. Who has many nodes in one process reads each offer once for all.
	// OpenRegistered is the same for what is registered with this node, and what it is
	// told by those with whom others did.
	OpenOffer      func([]byte) (*offer.Opened, error)
	OpenRegistered func([]byte) (*offer.Opened, error)

	// OnPresence hears whom this node suspects and leaves out; may be nil. It must not
	// block.
	OnPresence func(alive.Effect)

	// OptOuts are the addresses that asked to be left alone; nil: a visitor sends to
	// nobody. Courtesy opens the door of the page that tells them how; nil: there is
	// none.
	OptOuts  *optouts
	Courtesy func() (net.Listener, error)

	// Own reports whether an address is this machine's, and not one that a
	// translator shows for it; nil: all are.
	Own func(netip.Addr) bool

	Hosting *Hosting // nil: a visitor
}

// Hosting is what a node needs to run slivers.
type Hosting struct {
	Network Network
	Guard   ebpf.Guard
	Runtime sandbox.Runtime
	Blobs   BlobStore
	Swarm   Swarm // gets blobs from other nodes; nil: only their owners bring them
	Audit   AuditStore
	Log     AuditLog // of the same record; nil: it is not signed
	Taps    Taps     // nil: packets cannot be captured
	Doors   Doors    // nil: slivers have no way to ask the node

	Programs PacketPrograms // nil: all packets that the guard lets pass do
}

// OpenJournal is a journal until it is closed.
type OpenJournal interface {
	node.Journal
	io.Closer
}

// Publisher tells the network what this node offers and has leased out.
type Publisher interface {
	// Publish makes a signed offer known and keeps it known until the next.
	Publish(ctx context.Context, o offer.Opened) error
	// Withdraw tells the others that there is none any more. It is the last call.
	Withdraw(ctx context.Context, closed offer.Opened) error
	// Tell sends a signed notice of a lease, once, to whoever is there.
	Tell(ctx context.Context, notice []byte) error
	// Known is the number of offers in the view.
	Known() int
	// Stretch is by how much this node's periods are to be longer, so that what all
	// tell one another stays within the budget; 1 is not at all.
	Stretch() float64
}

// Wire carries bytes between nodes.
type Wire interface {
	// Pipe opens bytes to a node, which may be this one.
	Pipe(ctx context.Context, to lease.Principal) (net.Conn, error)
	// Channels gives the end-to-end channels that callers open to this node.
	// Each connection's RemoteAddr is the caller's principal.
	Channels() net.Listener
	Addrs() []string // multiaddrs with the peer id
	Peers() int
}

// Network is the plumbing of slivers: see package ebpf/net.
type Network interface {
	Add(ctx context.Context, s slivernet.Sliver) (slivernet.Attachment, error)
	// SourcePorts are those that Add gives.
	SourcePorts(s slivernet.Sliver) [2]uint16
	Up(ctx context.Context, sliver string) error
	Remove(ctx context.Context, sliver string) error
	Slivers(ctx context.Context) ([]string, error)
	// Counters are what is counted of each sliver beside its guard.
	Counters(ctx context.Context) ([]slivernet.Counters, error)
	// Queues says what waits for a sliver's rates, and what found no room.
	Queues(ctx context.Context, sliver string) (slivernet.Queues, error)
	Close() error
}

// BlobStore keeps blobs by digest.
type BlobStore interface {
	Has(d lease.Digest) (size int64, ok bool)
	// Begin makes room for a blob and returns where to go on.
	Begin(d lease.Digest, size int64) (offset int64, err error)
	// Append adds bytes and returns where to go on; what is there already is passed over.
	Append(d lease.Digest, offset int64, piece []byte) (next int64, err error)
	// Keep marks a blob that is arriving as not for other nodes, and reports whether it
	// is none.
	Keep(d lease.Digest) (private bool, err error)
	Private(d lease.Digest) bool
	// Finish checks the digest of all that was appended.
	Finish(ctx context.Context, d lease.Digest) error
	// GC drops what keep does not name, unless it is young.
	GC(keep func(lease.Digest) bool, now time.Time) error
}

// Swarm gets blobs into the store from other nodes: see package sandbox/swarm.
type Swarm interface {
	Fetch(ctx context.Context, w stream.Want, progress func(have, of, from int)) error
	// Known are nodes that asked this one for a blob lately.
	Known(d lease.Digest) []lease.Principal
}

// AuditStore is the node's durable record of flows.
type AuditStore interface {
	Append(e ebpf.Epoch) error
	AppendTenure(t audit.Tenure) error
	Tenures() (audit.Tenures, error)
	Flows(ctx context.Context, q audit.Flows) (audit.Page, error)
	Who(ctx context.Context, q audit.Who) (audit.Finding, error)
	// Rows yields what Flows returns, without an end; after an error nothing.
	Rows(ctx context.Context, q audit.Flows) iter.Seq2[audit.Row, error]
}

// Taps are where a sliver's packets can be heard: see package ebpf/net.
type Taps interface {
	Tap(ctx context.Context, sliver string, snap int, f slivernet.Filter) (Tap, error)
}

// Tap is one capture under way.
type Tap interface {
	slivernet.Source
	io.Closer
}

// Doors makes the sockets of slivers: see package node/door.
type Doors interface {
	// Open makes a sliver's socket anew, in the directory that it had before. None but
	// its users are let in.
	Open(sliver string, of door.Users) (l net.Listener, dir string, err error)
	Remove(sliver string) error
}

// AuditLog is that record made tamper-evident.
type AuditLog interface {
	// Turn closes, signs and drops what is due, and returns a new head, if there
	// is one.
	Turn(ctx context.Context, now time.Time, key lease.Signer) (*audit.OpenedHead, error)
	// Head returns the newest head, and false before the first.
	Head() (audit.OpenedHead, bool)
	// Growth shows the log to who keeps a head of so many segments; 0 for none.
	Growth(size uint64) (audit.Growth, error)
	// Prove opens rows of a closed segment, with the tenures of their slivers.
	Prove(segment uint64, leaves ...uint64) (*audit.Inclusion, error)
	// Alarms returns what is wrong with the record, the newest last.
	Alarms() ([]audit.Alarm, error)
}
