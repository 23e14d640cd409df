// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"net/netip"
	"time"

	"croft/lease"
)

// Status is what a node says of itself.
type Status struct {
	Node        lease.Principal `json:"node" doc:"the node's principal"`
	Name        string          `json:"name" doc:"display name, such as uni-a/n1"`
	Tag         string          `json:"tag" doc:"mark of every kernel object of this node"`
	Version     string          `json:"version"`
	Addrs       []string        `json:"addrs" doc:"multiaddrs with the peer id, for croft up --join"`
	Peers       int             `json:"peers" doc:"connections now"`
	Known       int             `json:"known" doc:"offers in the view"`
	Reach       Reach           `json:"reach" doc:"how others reach this node"`
	Hosting     bool            `json:"hosting" doc:"false: a visitor, which hosts nothing"`
	Why         []string        `json:"why,omitempty" doc:"what keeps it from hosting"`
	Joined      bool            `json:"joined"`
	JoinedIn    float64         `json:"joined_in,omitempty" doc:"seconds from start to the first neighbour"`
	Started     time.Time       `json:"started"`
	Time        time.Time       `json:"time" doc:"the node's clock"`
	PolicyFault string          `json:"policy_fault,omitempty" doc:"why the newest policy is not in force; the one before it is"`
	Barred      string          `json:"barred,omitempty" doc:"why nothing new is granted now: clock or space"`
	Slivers     int             `json:"slivers"`
	Free        lease.RSet      `json:"free" doc:"free in the commons now"`
}

// WishRequest carries one ask, or a chain from capacity to redeem.
type WishRequest struct {
	Chain [][]byte `json:"chain" minItems:"1" maxItems:"17" doc:"signed statements, root first"`
}

// Answer is what the ledger says: signed statements, or a refusal with the
// signed reject beside it.
type Answer struct {
	Statements [][]byte `json:"statements,omitempty"`
	Refusal    *Refusal `json:"refusal,omitempty"`
	Left       int64    `json:"left,omitempty" doc:"seconds until the fuse or the end, by the node's clock"`
}

// Refusal is a node's no, with whose doing it is and why.
type Refusal struct {
	Sort   string `json:"sort" doc:"exhausted, oversubscribed, over-issued or local"`
	Reason string `json:"reason,omitempty"`
	Code   string `json:"code" doc:"sort:reason"`
	Text   string `json:"text"`

	About      lease.ID `json:"about,omitzero" doc:"the claim that is full, or was promised too often"`
	Resource   string   `json:"resource,omitempty" doc:"of which it is full"`
	Instant    int64    `json:"instant,omitempty" doc:"at which it is full, Unix seconds"`
	Attachment []byte   `json:"attachment,omitempty" doc:"what bears it out: its SHA-256 is in the signed reject"`
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Text }

// NewRefusal turns a ledger's refusal into what travels.
func NewRefusal(r *lease.Refusal) *Refusal {
	if r == nil {
		return nil
	}
	out := &Refusal{Sort: r.Sort.String(), Reason: r.Reason.String(), Code: r.Code(), Text: r.Text, About: r.About, Attachment: r.Attachment}
	if r.Instant != 0 {
		out.Resource, out.Instant = r.Resource.String(), r.Instant
	}
	return out
}

// Lease turns what travelled back into a ledger's refusal. The attachment is
// worth what the signed reject beside it says: see lease.VerifyAttachment.
func (r *Refusal) Lease() lease.Refusal {
	out := lease.Refusal{Sort: lease.ParseSort(r.Sort), Reason: lease.ParseReason(r.Reason), Text: r.Text, About: r.About,
		Instant: r.Instant, Attachment: r.Attachment}
	out.Resource, _ = lease.ParseResource(r.Resource) // a resource of tomorrow's is none of ours
	return out
}

// ActivateRequest says what the sliver is to run.
type ActivateRequest struct {
	Program json.RawMessage `json:"program" doc:"sandbox.Program"`
}

// VacancyRequest asks when a lease of the pool would be granted.
type VacancyRequest struct {
	Pool      string     `json:"pool" maxLength:"63"`
	RSet      lease.RSet `json:"rset"`
	Exclusive bool       `json:"exclusive,omitempty"`
	Length    int64      `json:"length" minimum:"1" doc:"seconds"`
	From      int64      `json:"from" doc:"Unix seconds: the earliest beginning"`
	Until     int64      `json:"until" doc:"Unix seconds: the latest beginning"`
}

// Vacancies are a node's hint: nothing is held.
type Vacancies struct {
	Windows []lease.Term `json:"windows" doc:"terms, in any part of which there is room, in order"`
	Seen    int64        `json:"seen" doc:"Unix seconds: how far the node looked"`
	Refusal *Refusal     `json:"refusal,omitempty" doc:"what the first such wish would be refused for, where there are no windows"`
}

// Calendar is a node's books over time, pool by pool.
type Calendar struct {
	Now   int64          `json:"now" doc:"Unix seconds, by the node's clock"`
	Term  lease.Term     `json:"term"`
	Pools []PoolCalendar `json:"pools"`
	Idle  lease.RSet     `json:"idle" doc:"what nobody has booked now: what evictable leases divide"`
	Tree  []Promised     `json:"tree,omitempty" doc:"what is promised out of pool sharp in the term: each capacity, followed by the tickets on it"`
	More  int            `json:"more,omitempty" doc:"claims of the tree that are left out"`
}

// Promised is one claim of the tree: a capacity at depth 0, or a ticket.
type Promised struct {
	Claim   lease.ID        `json:"claim"`
	Depth   int             `json:"depth"`
	Holder  lease.Principal `json:"holder"`
	Slot    uint8           `json:"slot" doc:"of a capacity its tranche"`
	RSet    lease.RSet      `json:"rset"`
	Term    lease.Term      `json:"term"`
	Degree  uint16          `json:"degree" doc:"hundredths"`
	Drawn   lease.RSet      `json:"drawn" doc:"the most that runs through it at any instant to come"`
	Left    lease.RSet      `json:"left" doc:"what may still be promised under it, as far as this node knows"`
	Redeems int             `json:"redeems" doc:"granted directly under it, and kept"`
}

// PoolCalendar is one pool of a Calendar.
type PoolCalendar struct {
	lease.PoolRule
	Levels []lease.Level `json:"levels" doc:"what is charged, each from its instant on"`
	Seen   int64         `json:"seen" doc:"Unix seconds: where the levels end"`
	Claims []Claim       `json:"claims,omitempty" doc:"what is booked in the term"`
}

// EndRequest carries a holder's signed close.
type EndRequest struct {
	Close []byte `json:"close"`
}

// SliceRecord carries what an owner says of a slice, as it was signed.
type SliceRecord struct {
	Record []byte `json:"record" doc:"signed, docs/protocol/slices.md"`
}

// RevokeRequest is the node owner's wish to end a lease.
type RevokeRequest struct {
	Reason string `json:"reason" maxLength:"200" doc:"for the holder to read; it is signed"`
}

// IssueRequest is the node owner's wish to give a ticket.
type IssueRequest struct {
	Holder lease.Principal `json:"holder"`
	RSet   lease.RSet      `json:"rset"`
	From   int64           `json:"from" doc:"Unix seconds"`
	Until  int64           `json:"until" doc:"Unix seconds"`
	Degree uint16          `json:"degree,omitempty" doc:"hundredths, 100 or more"`
	FanOut uint16          `json:"fan_out,omitempty" doc:"distinct addresses to which a sliver opens flows in a minute; none: the node's default"`
}

// Clock is the time by which a node judges terms, beside what its wall clock says.
type Clock struct {
	Wall   time.Time `json:"wall" doc:"what the machine's clock says"`
	Ledger time.Time `json:"ledger" doc:"the time by which terms and fuses are judged"`
	Step   float64   `json:"step" doc:"seconds by which the wall clock is ahead"`
	Barred bool      `json:"barred" doc:"too far apart: nothing new is granted until they agree or the owner accepts the wall clock"`
}

// Claim is one line of the node's books.
type Claim struct {
	Lease  lease.ID        `json:"lease"`
	Holder lease.Principal `json:"holder"`
	Owner  lease.Principal `json:"owner" doc:"of the slice: the holder, unless it acts for another"`
	Slice  string          `json:"slice"`
	Sliver string          `json:"sliver,omitempty"`
	Pool   string          `json:"pool"`
	State  string          `json:"state"`
	RSet   lease.RSet      `json:"rset"`
	From   int64           `json:"from"`
	Until  int64           `json:"until"`
	Ends   int64           `json:"ends,omitempty" doc:"Unix seconds: of one that is closing, when it ends"`
	Ports  []lease.Port    `json:"ports,omitempty"`

	Class     string     `json:"class,omitempty" doc:"evictable, or nothing"`
	Weight    uint16     `json:"weight,omitempty" doc:"of an evictable lease"`
	Exclusive bool       `json:"exclusive,omitempty"`
	FanOut    uint16     `json:"fan_out,omitempty" doc:"distinct addresses to which it opens flows in a minute; none: the node's default"`
	Starts    int64      `json:"starts,omitempty" doc:"Unix seconds: when the room is free, if that is after from"`
	Share     lease.RSet `json:"share,omitzero" doc:"what is in force of an evictable lease that runs"`
	Said      string     `json:"said,omitempty" doc:"with the grant, by who allots the pool"`
}

// Sliver is one sliver as its owner sees it.
type Sliver struct {
	Claim
	Run      string    `json:"run" doc:"created, starting, running, stopping, stopped, gone or failed"`
	Reason   string    `json:"reason,omitempty"`
	Exit     *int      `json:"exit,omitempty"`
	Restarts int       `json:"restarts,omitempty"`
	Left     int64     `json:"left" doc:"seconds of the lease left, by the node's clock"`
	Addr     string    `json:"addr,omitempty" doc:"the sliver's own address, before NAT"`
	Public   string    `json:"public,omitempty" doc:"the node's address, on which leased ports answer"`
	Started  time.Time `json:"started,omitzero"`
	Signed   []byte    `json:"signed,omitempty" doc:"the lease in force"`
	End      []byte    `json:"end,omitempty" doc:"the signed close or revoke by which it ends"`
	Messages int       `json:"messages,omitempty" doc:"that others left about packets of the slice"`
}

// Way counts one direction.
type Way struct {
	SeenPackets   uint64            `json:"seen_packets"`
	SeenBytes     uint64            `json:"seen_bytes"`
	PassedPackets uint64            `json:"passed_packets"`
	PassedBytes   uint64            `json:"passed_bytes"`
	Dropped       map[string]uint64 `json:"dropped,omitempty" doc:"packets by reason"`
}

// Traffic is what the guard counted for one sliver since it started.
type Traffic struct {
	Out     Way    `json:"out"`
	In      Way    `json:"in"`
	Refused uint64 `json:"refused,omitempty" doc:"packets, both ways, by the program that fills the role packets"`
}

// Blob says how much of a blob the node has.
type Blob struct {
	Digest lease.Digest `json:"digest"`
	Size   int64        `json:"size"`
	Have   int64        `json:"have" doc:"bytes in hand; go on from here"`
	Done   bool         `json:"done"`

	Private bool   `json:"private,omitempty" doc:"the node does not pass it on; false: asking for that came too late"`
	Fetch   *Fetch `json:"fetch,omitempty" doc:"the last fetch of it from other nodes"`
}

// Flow is one recorded flow of a sliver, as it left the sliver, before NAT.
type Flow struct {
	Node      lease.Principal `json:"node"`
	Slice     string          `json:"slice"`
	Sliver    string          `json:"sliver"`
	Direction string          `json:"direction" enum:"out,in"`
	Proto     string          `json:"proto"`
	Protocol  uint8           `json:"protocol" doc:"its number; 255: ARP, 44: inbound fragments, 254: moved by the node, 253: inbound, over the quota of rows"`
	Src       netip.AddrPort  `json:"src"`
	Dst       netip.AddrPort  `json:"dst"`
	Packets   uint64          `json:"packets"`
	Bytes     uint64          `json:"bytes"`
	TCPFlags  uint8           `json:"tcp_flags,omitempty" doc:"all that were seen"`
	Detail    uint16          `json:"detail,omitempty" doc:"of a row without addresses: what the node moved"`
	First     time.Time       `json:"first"`
	Last      time.Time       `json:"last"`
}

// Check is one line of croft doctor.
type Check struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Found string `json:"found,omitempty"`
	Need  string `json:"need,omitempty" doc:"what is missing and what it costs"`
	Mend  string `json:"mend,omitempty" doc:"the command that mends it"`
}
