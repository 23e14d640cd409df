// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"encoding/hex"
	"fmt"
)

// Kind says what a statement is. The numbers are on the wire.
type Kind uint8

// The kinds.
const (
	KindCapacity Kind = 1
	KindTicket   Kind = 2
	KindRedeem   Kind = 3
	KindAsk      Kind = 4
	KindHold     Kind = 5
	KindLease    Kind = 6
	KindClose    Kind = 7
	KindRevoke   Kind = 8
	KindReject   Kind = 9
	KindGrant    Kind = 10
)

var kindNames = map[Kind]string{
	KindCapacity: "capacity", KindTicket: "ticket", KindRedeem: "redeem", KindAsk: "ask", KindHold: "hold",
	KindLease: "lease", KindClose: "close", KindRevoke: "revoke", KindReject: "reject", KindGrant: "grant",
}

func (k Kind) String() string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// A Statement is one of the ten kinds: *Capacity, *Ticket, *Redeem, *Ask,
// *Hold, *Lease, *Close, *Revoke, *Reject, *Grant.
type Statement interface {
	Kind() Kind
	By() Principal // the issuer, whose signature it needs
	check() error  // what can be judged without any other statement
}

// Pool names one part of a node's capacity on which one mechanism allocates.
type Pool string

// The pools of the first mechanisms. The commons is what anybody may have.
const (
	PoolSharp    Pool = "sharp"
	PoolCommons  Pool = "commons"
	PoolShare    Pool = "share"
	PoolCalendar Pool = "calendar"
)

// Class says how firmly a lease binds the node. The numbers are on the wire.
type Class uint8

const (
	Hard      Class = 0 // to the end of its term
	Evictable Class = 1 // to a revoke with notice: a weighted share of what is idle
)

func (c Class) String() string {
	switch c {
	case Hard:
		return "hard"
	case Evictable:
		return "evictable"
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// Request is a wish's id, chosen by its issuer: the same id with the same bytes
// is the same wish.
type Request [16]byte

// MarshalText writes it in hex, for JSON.
func (r Request) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, r[:]), nil }

// UnmarshalText reads that.
func (r *Request) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(r)) {
		return fmt.Errorf("request of %d digits, want %d: %w", len(text), hex.EncodedLen(len(r)), ErrSyntax)
	}
	if _, err := hex.Decode(r[:], text); err != nil {
		return fmt.Errorf("request %.40q: %w: %w", text, ErrSyntax, err)
	}
	return nil
}

// Capacity is what a node sets aside for its sharp pool in one term: the root
// of every chain.
type Capacity struct {
	K       Kind      `cbor:"0,keyasint" json:"-"`
	Node    Principal `cbor:"1,keyasint" json:"node"`
	Tranche uint8     `cbor:"2,keyasint" json:"tranche"`
	RSet    RSet      `cbor:"3,keyasint" json:"rset"`
	From    int64     `cbor:"4,keyasint" json:"from"`
	Until   int64     `cbor:"5,keyasint" json:"until"`
	Degree  uint16    `cbor:"6,keyasint" json:"degree"`                       // hundredths
	Lead    uint32    `cbor:"7,keyasint,omitempty" json:"lead,omitempty"`     // seconds by which a lease may start late
	FanOut  uint16    `cbor:"40,keyasint,omitempty" json:"fan_out,omitempty"` // distinct addresses of flows that a sliver opens, in a minute; 0: the node's default
}

// Ticket is a soft claim: a promise to its holder, divisible, which may be
// refused at redemption.
type Ticket struct {
	K      Kind      `cbor:"0,keyasint" json:"-"`
	Issuer Principal `cbor:"1,keyasint" json:"issuer"`
	Node   Principal `cbor:"2,keyasint" json:"node"`
	RSet   RSet      `cbor:"3,keyasint" json:"rset"`
	From   int64     `cbor:"4,keyasint" json:"from"`
	Until  int64     `cbor:"5,keyasint" json:"until"`
	Degree uint16    `cbor:"6,keyasint" json:"degree"`
	Holder Principal `cbor:"8,keyasint" json:"holder"`
	Parent ID        `cbor:"9,keyasint" json:"parent"`
	Slot   uint8     `cbor:"10,keyasint" json:"slot"`
	FanOut uint16    `cbor:"40,keyasint,omitempty" json:"fan_out,omitempty"`
}

// Redeem is the leaf ticket's holder's wish to draw on it.
type Redeem struct {
	K        Kind      `cbor:"0,keyasint" json:"-"`
	Issuer   Principal `cbor:"1,keyasint" json:"issuer"`
	Node     Principal `cbor:"2,keyasint" json:"node"`
	RSet     RSet      `cbor:"3,keyasint" json:"rset"`
	From     int64     `cbor:"4,keyasint" json:"from"`
	Until    int64     `cbor:"5,keyasint" json:"until"`
	Parent   ID        `cbor:"9,keyasint" json:"parent"` // the ticket
	Slot     uint8     `cbor:"10,keyasint" json:"slot"`
	Slice    string    `cbor:"11,keyasint" json:"slice"` // the label; the issuer owns the slice
	Request  Request   `cbor:"12,keyasint" json:"request"`
	Replaces ID        `cbor:"13,keyasint,omitzero" json:"replaces,omitzero"` // the lease whose sliver this one continues
	Ports    []Port    `cbor:"14,keyasint,omitempty" json:"ports,omitempty"`
	Owner    Principal `cbor:"28,keyasint,omitzero" json:"owner,omitzero"` // of the slice, where it is not the issuer
	FanOut   uint16    `cbor:"40,keyasint,omitempty" json:"fan_out,omitempty"`
}

// Ask is the same wish where no ticket is needed.
type Ask struct {
	K        Kind      `cbor:"0,keyasint" json:"-"`
	Issuer   Principal `cbor:"1,keyasint" json:"issuer"`
	Node     Principal `cbor:"2,keyasint" json:"node"`
	RSet     RSet      `cbor:"3,keyasint" json:"rset"`
	From     int64     `cbor:"4,keyasint" json:"from"`
	Until    int64     `cbor:"5,keyasint" json:"until"`
	Slice    string    `cbor:"11,keyasint" json:"slice"`
	Request  Request   `cbor:"12,keyasint" json:"request"`
	Replaces ID        `cbor:"13,keyasint,omitzero" json:"replaces,omitzero"` // the lease that it renews
	Ports    []Port    `cbor:"14,keyasint,omitempty" json:"ports,omitempty"`
	Pool     Pool      `cbor:"15,keyasint" json:"pool"`
	Owner    Principal `cbor:"28,keyasint,omitzero" json:"owner,omitzero"` // of the slice, where it is not the issuer
	Class    Class     `cbor:"33,keyasint,omitempty" json:"class,omitempty"`
	Weight   uint16    `cbor:"34,keyasint,omitempty" json:"weight,omitempty"`    // of an evictable lease, 1 to 1000
	Alone    uint8     `cbor:"35,keyasint,omitempty" json:"exclusive,omitempty"` // 1: nobody else in the pool during the term
	FanOut   uint16    `cbor:"40,keyasint,omitempty" json:"fan_out,omitempty"`
	Bid      string    `cbor:"41,keyasint,omitempty" json:"bid,omitempty"` // for who allots the pool to read
}

// Hold binds the node until CommitBy. It gives no sliver and never turns into a
// lease by itself.
type Hold struct {
	K        Kind      `cbor:"0,keyasint" json:"-"`
	Node     Principal `cbor:"1,keyasint" json:"node"`
	RSet     RSet      `cbor:"3,keyasint" json:"rset"`
	From     int64     `cbor:"4,keyasint" json:"from"`
	Until    int64     `cbor:"5,keyasint" json:"until"`
	Holder   Principal `cbor:"8,keyasint" json:"holder"`
	Parent   ID        `cbor:"9,keyasint" json:"parent"`     // the redeem or ask
	CommitBy int64     `cbor:"16,keyasint" json:"commit_by"` // Unix seconds
}

// Lease is the hard claim, binding on the node. It is the packet contract: the
// sliver's limits are compiled from it and nothing else.
type Lease struct {
	K          Kind      `cbor:"0,keyasint" json:"-"`
	Node       Principal `cbor:"1,keyasint" json:"node"`
	RSet       RSet      `cbor:"3,keyasint" json:"rset"`
	From       int64     `cbor:"4,keyasint" json:"from"`
	Until      int64     `cbor:"5,keyasint" json:"until"`
	Holder     Principal `cbor:"8,keyasint" json:"holder"`
	Parent     ID        `cbor:"9,keyasint" json:"parent"` // the redeem or ask
	Slice      string    `cbor:"11,keyasint" json:"slice"`
	Replaces   ID        `cbor:"13,keyasint,omitzero" json:"replaces,omitzero"`
	Ports      []Port    `cbor:"14,keyasint,omitempty" json:"ports,omitempty"` // exact numbers
	Pool       Pool      `cbor:"15,keyasint" json:"pool"`
	Hold       ID        `cbor:"17,keyasint,omitzero" json:"hold,omitzero"`
	ActivateBy int64     `cbor:"18,keyasint,omitempty" json:"activate_by,omitempty"` // Unix seconds; the lease ends then unless activated
	Grace      uint32    `cbor:"19,keyasint,omitempty" json:"grace,omitempty"`       // seconds between a revoke and its effect
	Runtime    string    `cbor:"20,keyasint,omitempty" json:"runtime,omitempty"`     // runtime class; empty is the node's default
	BurstOut   uint64    `cbor:"21,keyasint,omitempty" json:"burst_out,omitempty"`   // bytes above egress.rate × t in any window
	BurstIn    uint64    `cbor:"22,keyasint,omitempty" json:"burst_in,omitempty"`
	Sliver     ID        `cbor:"23,keyasint,omitzero" json:"sliver,omitzero"` // the first lease of the sliver that this one continues
	Owner      Principal `cbor:"28,keyasint,omitzero" json:"owner,omitzero"`  // of the slice, where it is not the holder
	Class      Class     `cbor:"33,keyasint,omitempty" json:"class,omitempty"`
	Weight     uint16    `cbor:"34,keyasint,omitempty" json:"weight,omitempty"`
	Alone      uint8     `cbor:"35,keyasint,omitempty" json:"exclusive,omitempty"`
	Mechanism  string    `cbor:"39,keyasint,omitempty" json:"mechanism,omitempty"` // how it came about; empty is the pool's first
	FanOut     uint16    `cbor:"40,keyasint,omitempty" json:"fan_out,omitempty"`
}

// Close is a holder's end of its own lease or hold.
type Close struct {
	K      Kind      `cbor:"0,keyasint" json:"-"`
	Issuer Principal `cbor:"1,keyasint" json:"issuer"`
	Node   Principal `cbor:"2,keyasint" json:"node"`
	Claim  ID        `cbor:"9,keyasint" json:"claim"` // the lease or hold
	At     int64     `cbor:"24,keyasint" json:"at"`
	Reason string    `cbor:"25,keyasint,omitempty" json:"reason,omitempty"`
}

// Revoke is a node's end of a lease, after the grace that the lease states.
type Revoke struct {
	K      Kind      `cbor:"0,keyasint" json:"-"`
	Node   Principal `cbor:"1,keyasint" json:"node"`
	Claim  ID        `cbor:"9,keyasint" json:"claim"`
	At     int64     `cbor:"24,keyasint" json:"at"` // when it takes effect
	Reason string    `cbor:"25,keyasint,omitempty" json:"reason,omitempty"`
	Said   int64     `cbor:"38,keyasint" json:"said"` // when it was signed: the lease's grace lies between
}

// Reject is a node's signed refusal of a redeem or ask. It binds the node to its
// reasons: what is attached is named by hash.
type Reject struct {
	K        Kind      `cbor:"0,keyasint" json:"-"`
	Node     Principal `cbor:"1,keyasint" json:"node"`
	Parent   ID        `cbor:"9,keyasint" json:"parent"`
	At       int64     `cbor:"24,keyasint" json:"at"`
	Text     string    `cbor:"25,keyasint,omitempty" json:"text,omitempty"`
	Sort     Sort      `cbor:"26,keyasint" json:"sort"`
	Reason   Reason    `cbor:"27,keyasint" json:"reason"`
	Attached Digest    `cbor:"29,keyasint,omitzero" json:"attached,omitzero"`  // SHA-256 of what bears the refusal out
	About    ID        `cbor:"30,keyasint,omitzero" json:"about,omitzero"`     // the claim that is full, or was promised too often
	Lacks    uint8     `cbor:"31,keyasint,omitempty" json:"lacks,omitempty"`   // the resource's number plus one
	Instant  int64     `cbor:"32,keyasint,omitempty" json:"instant,omitempty"` // at which the claim is full, Unix seconds
}

// Grant lets another principal act on a slice of the issuer's for a term, or on
// all of them: a team mate, a keeper, the issuer's other device. It stands on one
// record of the slice and falls with it.
type Grant struct {
	K        Kind      `cbor:"0,keyasint" json:"-"`
	Issuer   Principal `cbor:"1,keyasint" json:"issuer"` // owns the slice
	From     int64     `cbor:"4,keyasint" json:"from"`
	Until    int64     `cbor:"5,keyasint" json:"until"`
	Holder   Principal `cbor:"8,keyasint" json:"holder"`
	Slice    string    `cbor:"11,keyasint,omitempty" json:"slice,omitempty"` // its label; empty is every slice of the issuer's
	Verbs    Verbs     `cbor:"36,keyasint" json:"verbs"`
	Sequence uint64    `cbor:"37,keyasint" json:"sequence"` // of the slice record
}

// Verbs is what a grant allows. The bits are on the wire.
type Verbs uint16

const (
	VerbRun     Verbs = 1 << iota // lease for the slice, and start slivers
	VerbRenew                     // renew, grow and shrink its leases
	VerbStop                      // close its leases
	VerbLogs                      // read what its slivers wrote
	VerbExec                      // run commands in its slivers
	VerbAudit                     // read its recorded traffic
	VerbPublish                   // publish on its topics

	AllVerbs Verbs = 1<<iota - 1
)

// Port is a public port of the node that is forwarded to the sliver. In a wish
// Number 0 asks for any; in a lease it is exact.
type Port struct {
	_      struct{} `cbor:",toarray"`
	Proto  Proto    `json:"proto"`
	Number uint16   `json:"number"` // on the node
	Inside uint16   `json:"inside"` // in the sliver
}

// Proto is a transport by its IP protocol number.
type Proto uint8

const (
	TCP Proto = 6
	UDP Proto = 17
)

func (p Proto) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return fmt.Sprintf("proto(%d)", uint8(p))
}

func (*Capacity) Kind() Kind { return KindCapacity }
func (*Ticket) Kind() Kind   { return KindTicket }
func (*Redeem) Kind() Kind   { return KindRedeem }
func (*Ask) Kind() Kind      { return KindAsk }
func (*Hold) Kind() Kind     { return KindHold }
func (*Lease) Kind() Kind    { return KindLease }
func (*Close) Kind() Kind    { return KindClose }
func (*Revoke) Kind() Kind   { return KindRevoke }
func (*Reject) Kind() Kind   { return KindReject }
func (*Grant) Kind() Kind    { return KindGrant }

func (c *Capacity) By() Principal { return c.Node }
func (t *Ticket) By() Principal   { return t.Issuer }
func (r *Redeem) By() Principal   { return r.Issuer }
func (a *Ask) By() Principal      { return a.Issuer }
func (h *Hold) By() Principal     { return h.Node }
func (l *Lease) By() Principal    { return l.Node }
func (c *Close) By() Principal    { return c.Issuer }
func (r *Revoke) By() Principal   { return r.Node }
func (r *Reject) By() Principal   { return r.Node }
func (g *Grant) By() Principal    { return g.Issuer }

// Term returns the interval during which the claim holds.
func (c *Capacity) Term() Term { return Term{c.From, c.Until} }
func (t *Ticket) Term() Term   { return Term{t.From, t.Until} }
func (r *Redeem) Term() Term   { return Term{r.From, r.Until} }
func (a *Ask) Term() Term      { return Term{a.From, a.Until} }
func (h *Hold) Term() Term     { return Term{h.From, h.Until} }
func (l *Lease) Term() Term    { return Term{l.From, l.Until} }
func (g *Grant) Term() Term    { return Term{g.From, g.Until} }
