// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"io"
	"net"

	"croft/lease"
	"croft/lease/offer"
	"croft/sandbox"
)

// Claims is the ledger as a caller meets it. A refusal is in the Answer; an
// error means that there is none.
type Claims interface {
	Wish(ctx context.Context, by Caller, chain [][]byte) (Answer, error)
	Commit(ctx context.Context, by Caller, hold lease.ID) (Answer, error)
	Activate(ctx context.Context, by Caller, id lease.ID, program []byte) (Answer, error)
	End(ctx context.Context, by Caller, close []byte) (Answer, error)
	// Tickets are those that the caller holds of this node.
	Tickets(ctx context.Context, by Caller) ([]HeldTicket, error)
	Vacancies(ctx context.Context, by Caller, req VacancyRequest) (Vacancies, error)
}

// Slivers are the caller's on this node: of his slices, or of the slice whose
// owner's grant he shows. Any other is [ErrNoSliver].
type Slivers interface {
	Slivers(ctx context.Context, by Caller) ([]Sliver, error)
	Logs(ctx context.Context, by Caller, sliver string, opt sandbox.LogOptions, w io.Writer) error
	Exec(ctx context.Context, by Caller, sliver string, cmd sandbox.Exec, stdio sandbox.IO) (int, error)
	Traffic(ctx context.Context, by Caller, sliver string) (Traffic, error)
	// Figures are of the slivers of a slice, or of all, whose output or recorded
	// traffic the caller may read.
	Figures(ctx context.Context, by Caller, slice string) ([]Figures, error)
}

// Blobs takes what slivers are made of, by digest.
type Blobs interface {
	// Blob tells how much of a blob of size bytes is in hand, and makes room for
	// the rest. A private one is not for other nodes.
	Blob(ctx context.Context, by Caller, digest lease.Digest, size int64, private bool) (Blob, error)
	// Append adds what r gives at offset to a blob of size bytes in all.
	Append(ctx context.Context, by Caller, digest lease.Digest, offset, size int64, r io.Reader) (Blob, error)
	// Fetch has the node get a blob from others, and does not wait for it.
	Fetch(ctx context.Context, by Caller, digest lease.Digest, req FetchRequest) (Blob, error)
}

// Discovery finds nodes. What goes in and comes out goes as JSON over a socket:
// here a successor takes over.
type Discovery interface {
	Find(ctx context.Context, req offer.FindRequest) (offer.Result, error)
	// Seek is Find for who does not wait for the end: it tells each match as soon as
	// it is sure to be an answer.
	Seek(ctx context.Context, req offer.FindRequest, tell func(offer.Found) error) (offer.Result, error)
}

// Slices keeps what owners say of their slices. What it returns is the record
// that counts as far as this node knows.
type Slices interface {
	// Tell gives this node a record of a slice that has slivers here.
	Tell(ctx context.Context, by Caller, record []byte) (SliceRecord, error)
	// Publish has others keep a record too.
	Publish(ctx context.Context, record []byte) (SliceRecord, error)
	// Record looks one up; [ErrNoRecord] if there is none.
	Record(ctx context.Context, owner lease.Principal, label string) (SliceRecord, error)
}

// Owner is what only the unix socket serves.
type Owner interface {
	Status(ctx context.Context) (Status, error)
	Doctor(ctx context.Context) ([]Check, error)
	Issue(ctx context.Context, req IssueRequest) (Answer, error)
	Books(ctx context.Context) ([]Claim, error)
	// AllFigures are of every sliver.
	AllFigures(ctx context.Context) ([]Figures, error)
	// Policy is what the node goes by.
	Policy(ctx context.Context) (Policy, error)
	// Reload reads the policy's file again. The error is ErrPolicy if the old one
	// stays in force.
	Reload(ctx context.Context) (Policy, error)
	// Calendar is the books over a term; a zero Until is a day on.
	Calendar(ctx context.Context, term lease.Term) (Calendar, error)
	Revoke(ctx context.Context, claim lease.ID, reason string) (Answer, error)
	// Pipe opens bytes to a node; it may be this one.
	Pipe(ctx context.Context, node lease.Principal) (net.Conn, error)
}

// Clocks is the node's time as its owner sees and sets it; the unix socket alone
// serves it.
type Clocks interface {
	Clock(ctx context.Context) (Clock, error)
	// AcceptClock has terms judged by the machine's clock as it is set now.
	AcceptClock(ctx context.Context) (Clock, error)
}

// Node is everything behind the routes.
type Node struct {
	Claims    Claims
	Slivers   Slivers
	Blobs     Blobs
	Audit     Audit
	Exports   Exports
	Slices    Slices
	Topics    Topics
	Discovery Discovery
	Owner     Owner
	Clocks    Clocks
	Conflicts Conflicts
	OptOuts   OptOuts
	Invites   Inviter
	Overlay   Overlay
	Roles     Roles
	Updates   Updates
	Charges   Charges

	Obsolescence Obsolescence
}
