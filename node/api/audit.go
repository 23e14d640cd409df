// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"croft/lease"
)

// Audit answers from the node's own durable record, shows its log, and tells what
// the node as a witness has seen of others' logs.
type Audit interface {
	Flows(ctx context.Context, by Caller, slice string) ([]Flow, error)
	// Who names slices to who shows that it holds the destination, and to their owners.
	Who(ctx context.Context, by Caller, q WhoRequest) (WhoAnswer, error)
	// WhoAll names all; the unix socket alone serves it.
	WhoAll(ctx context.Context, q WhoRequest) (WhoAnswer, error)
	// Messages are what others had to say about packets of the caller's slice.
	Messages(ctx context.Context, by Caller, slice string) ([]Message, error)
	// AllMessages are those of all slices; the unix socket alone serves them.
	AllMessages(ctx context.Context) ([]Message, error)
	// Alarms is what is wrong with the record, the newest last; the unix socket
	// alone serves it.
	Alarms(ctx context.Context) ([]Alarm, error)
	// Log shows the node's log to who keeps a head of so many segments, 0 for none.
	// [ErrNoHead]: nothing is signed yet.
	Log(ctx context.Context, size uint64) (Log, error)
	// Witnessed is what this node saw of another's log.
	Witnessed(ctx context.Context, node lease.Principal) (Witnessed, error)
	// Watched is that of all nodes; the unix socket alone serves it.
	Watched(ctx context.Context) ([]Watched, error)
	// TakeFork verifies a proof that a node has signed two logs, and tells the
	// network; the unix socket alone serves it. One that proves something else, or
	// nothing, is [ErrBadRequest].
	TakeFork(ctx context.Context, fork []byte) (Watched, error)
}

// WhoRequest asks which slice sent a packet.
type WhoRequest struct {
	Src    netip.AddrPort `json:"src" doc:"as the receiver saw it"`
	Dst    netip.AddrPort `json:"dst"`
	Proto  string         `json:"proto,omitempty" enum:"tcp,udp,"`
	At     time.Time      `json:"at"`
	Within float64        `json:"within,omitempty" doc:"seconds about At; 5 unless told"`
	Prove  bool           `json:"prove,omitempty" doc:"with proofs of the rows that the node has committed to"`

	Shown   string `json:"shown,omitempty" maxLength:"4096" doc:"sightings, as text, that show that the caller holds the destination"`
	Message string `json:"message,omitempty" maxLength:"1000" doc:"kept for the owners of the slices that fit"`
}

// WhoAnswer is what one node asserts.
type WhoAnswer struct {
	Node    lease.Principal `json:"node"`
	Verdict string          `json:"verdict" doc:"exact, one of n slices, not determinable: site NAT, or none"`
	Slices  []string        `json:"slices,omitempty" doc:"those that the caller may be told"`
	Flows   []Flow          `json:"flows,omitempty"`
	NAT     bool            `json:"nat,omitempty" doc:"the source address is not the node's own: the port was not held against its record"`
	Cut     bool            `json:"cut,omitempty" doc:"there is more than one answer holds"`
	Pending *time.Time      `json:"pending,omitempty" doc:"by when all of it is committed to; absent: it is"`
	Signed  []byte          `json:"signed,omitempty" doc:"the answer as the node signs it"`
	Proofs  [][]byte        `json:"proofs,omitempty" doc:"inclusions of rows and tenures"`

	Withheld int    `json:"withheld,omitempty" doc:"how many more slices fit: they are named to who shows that it holds the destination, to their owners, and to the node's"`
	Unshown  string `json:"unshown,omitempty" doc:"why what was shown does not count"`
	Contact  string `json:"contact,omitempty" doc:"where the node's owner can be reached"`
}

// Message is what somebody had to say about a packet of a slice.
type Message struct {
	Node   lease.Principal `json:"node"`
	Slice  string          `json:"slice"`
	At     time.Time       `json:"at"`
	From   string          `json:"from,omitempty" doc:"network of who sent it; absent: it came through another node"`
	Holder bool            `json:"holder" doc:"who sent it has shown that it holds the destination"`
	Src    netip.AddrPort  `json:"src"`
	Dst    netip.AddrPort  `json:"dst"`
	Proto  string          `json:"proto,omitempty"`
	About  time.Time       `json:"about" doc:"when the packet was seen"`
	Text   string          `json:"text"`
}

// Alarm is something that is wrong with the node's record.
type Alarm struct {
	Kind string    `json:"kind" doc:"identity, gap, disk or budget"`
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Log shows a node's log: its newest head, and what the log was when it had as
// many segments as the head that the caller keeps.
type Log struct {
	Head []byte         `json:"head" doc:"signed"`
	Root *lease.Digest  `json:"root,omitempty" doc:"over the first size segments; absent where the head has no more"`
	Path []lease.Digest `json:"path,omitempty" doc:"of consistency from there to the head"`
}

// Witnessed is what a witness saw of one node's log.
type Witnessed struct {
	Word []byte `json:"word,omitempty" doc:"signed by the witness; absent: it keeps no head of that node"`
	Fork []byte `json:"fork,omitempty" doc:"a proof that the node has signed two logs"`
}

// Watched is what this node, as a witness, can say of another.
type Watched struct {
	Node    lease.Principal `json:"node"`
	Name    string          `json:"name,omitempty" doc:"as in its offer"`
	Follows bool            `json:"follows" doc:"this node is one of its witnesses"`
	State   string          `json:"state" doc:"holds, silent, doubt, or fork"`
	Size    uint64          `json:"size,omitempty" doc:"segments under the newest head"`
	First   uint64          `json:"first,omitempty" doc:"segments under the first head"`
	Seen    *time.Time      `json:"seen,omitempty" doc:"when that head was found to go on from the one before"`
	Why     string          `json:"why,omitempty" doc:"of a doubt"`
	Fork    []byte          `json:"fork,omitempty" doc:"the proof"`
}

func routeAudit(api huma.API, a Audit) {
	type flows struct {
		Slice string `query:"slice" maxLength:"63"`
	}
	type who struct{ Body WhoRequest }
	type log struct {
		Size uint64 `query:"size" doc:"segments under the head that the caller keeps; 0: none"`
	}
	type witnessed struct {
		Node lease.Principal `path:"node"`
	}
	route(api, "GET", "/v1/audit/flows", "flows", "Recorded flows of the caller's slice",
		func(ctx context.Context, i *flows) ([]Flow, error) { return a.Flows(ctx, caller(ctx), i.Slice) })
	route(api, "POST", "/v1/audit/who", "who", "Which slice sent a packet",
		func(ctx context.Context, i *who) (WhoAnswer, error) { return a.Who(ctx, caller(ctx), i.Body) })
	route(api, "GET", "/v1/audit/messages", "messages", "What others had to say about packets of the caller's slice",
		func(ctx context.Context, i *flows) ([]Message, error) { return a.Messages(ctx, caller(ctx), i.Slice) })
	route(api, "GET", "/v1/audit/log", "log", "The newest head of the node's log, and what shows that it goes on",
		func(ctx context.Context, i *log) (Log, error) { return a.Log(ctx, i.Size) })
	route(api, "GET", "/v1/audit/witnessed/{node}", "witnessed", "What the node, as a witness, saw of another's log",
		func(ctx context.Context, i *witnessed) (Witnessed, error) { return a.Witnessed(ctx, i.Node) })
}

// routeRecord serves the node's owner.
func routeRecord(api huma.API, a Audit) {
	type fork struct{ Body AccuseRequest }
	routeUpTo(api, maxProofBody, "POST", "/v1/audit/forks", "tell-fork", "Verify a proof that a node has signed two logs, and tell the network",
		func(ctx context.Context, i *fork) (Watched, error) { return a.TakeFork(ctx, i.Body.Proof) })
	type who struct{ Body WhoRequest }
	route(api, "GET", "/v1/audit/watched", "watched", "The logs of others that this node follows as a witness",
		func(ctx context.Context, _ *none) ([]Watched, error) { return a.Watched(ctx) })
	route(api, "POST", "/v1/audit/who", "who", "Which slice sent a packet",
		func(ctx context.Context, i *who) (WhoAnswer, error) { return a.WhoAll(ctx, i.Body) })
	route(api, "GET", "/v1/audit/messages", "messages", "What others had to say about packets of slices on this node",
		func(ctx context.Context, _ *none) ([]Message, error) { return a.AllMessages(ctx) })
	route(api, "GET", "/v1/audit/alarms", "alarms", "What is wrong with this node's record",
		func(ctx context.Context, _ *none) ([]Alarm, error) { return a.Alarms(ctx) })
}
