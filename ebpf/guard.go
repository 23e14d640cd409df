// SPDX-License-Identifier: Apache-2.0

package ebpf

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// Port is where a guard sits: the host end of a sliver's veth in the node's
// namespace.
type Port struct {
	Sliver  string // 1 to MaxName of a-z, 0-9 and dash
	Place   int
	NetNS   string // path of the node's namespace; empty is the caller's own
	IfIndex int    // of the veth's host end in NetNS
	Class   uint32 // the sliver's HTB class in both directions; a packet waits in one of its two leaves, by skb->priority
	IFB     int    // ifindex of the node's IFB in NetNS; 0: egress is not redirected
}

// Check reports whether p can name a port.
func (p Port) Check() error {
	ok := len(p.Sliver) > 0 && len(p.Sliver) <= MaxName
	for i := 0; ok && i < len(p.Sliver); i++ {
		c := p.Sliver[i]
		ok = 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-'
	}
	if !ok {
		return fmt.Errorf("sliver %.20q: want 1 to %d of a-z, 0-9 and dash: %w", p.Sliver, MaxName, ErrField)
	}
	if p.IfIndex <= 0 || p.IFB < 0 || p.Place < 0 {
		return fmt.Errorf("port %+v: %w", p, ErrField)
	}
	return nil
}

// Guard holds the limits of all slivers of one node. It outlives the process:
// what is attached stays in force when the daemon dies, and a new Guard on the
// same node finds it. All methods may be called at once.
type Guard interface {
	// Attach puts l in force at the port, state first and then the links, so
	// that no packet passes without limits. It is idempotent: the same sliver
	// at the same port keeps its buckets and counters; at another port it moves.
	Attach(ctx context.Context, at Port, l Limits) error
	// Update puts other limits in force without a gap. Buckets keep what they
	// hold, up to the new burst. ErrNotAttached when there is no such sliver.
	Update(ctx context.Context, sliver string, l Limits) error
	// Detach ends the sliver's traffic and forgets its state; rows not yet
	// drained keep its name. It is idempotent.
	Detach(ctx context.Context, sliver string) error
	// Counters returns what was counted since Attach.
	Counters(ctx context.Context, sliver string) (Counters, error)
	// Drain closes the running epoch, unless nothing was seen in it, and hands it to keep, which returns nil
	// only when the epoch is durable; only then are its rows cleared. An epoch
	// that keep refused, or whose clearing a crash cut short, is handed over
	// again by the next Drain with the same Series and Number before the newer
	// one: keep ignores what it already has. An epoch that does not add up is
	// kept and cleared too, and then reported as ErrIdentity.
	Drain(ctx context.Context, keep func(Epoch) error) error
	// Charge takes what the node moved for a sliver on the host's side from the
	// same buckets and the same day's bytes, and adds it to the row of its
	// channel and direction. Every [ChargeUnit] begun counts as a packet. It
	// takes all or nothing: a [*Wait] says when there may be enough. Bytes above
	// the burst never pass: ErrField. ErrNotAttached when there is no such
	// sliver or its lease is over.
	Charge(ctx context.Context, sliver string, d Direction, ch Channel, bytes uint64) error
	// SetOptOut replaces the addresses to which no sliver sends, at most
	// [MaxOptOut], in one step. It holds over restarts.
	SetOptOut(ctx context.Context, addrs []netip.Addr) error
}

// Wait is the error of a [Guard].Charge that found too little.
type Wait struct {
	For    time.Duration // after it there is enough, if nobody else takes it
	Reason Reason        // what was short
}

func (w *Wait) Error() string {
	return fmt.Sprintf("over the lease (%s): wait %s", w.Reason.Meaning(), w.For)
}

// Counters are a sliver's totals in both directions.
type Counters struct {
	Egress, Ingress Count
	DailyLeft       uint64    // bytes that are left of the day; 0 too where Daily is no limit
	PacketsLeft     [2]uint64 // that the lease has room for at once, by [Direction]
}

// Count is one direction's totals. Seen is Passed and all of Dropped.
type Count struct {
	SeenPackets, SeenBytes     uint64
	PassedPackets, PassedBytes uint64
	Dropped                    [NumReasons]uint64 // packets, by reason
}

// DroppedPackets returns the sum over all reasons.
func (c Count) DroppedPackets() (n uint64) {
	for _, d := range c.Dropped {
		n += d
	}
	return n
}
