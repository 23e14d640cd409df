// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/judge"
	"croft/lease/offer"
)

// NoticeDomain separates signatures over notices from every other use of a key.
const NoticeDomain = "croft/notice/1\n"

// Notice tells the neighbours that a lease began or ended: what and until when,
// never whose.
type Notice struct {
	Node     lease.Principal `cbor:"1,keyasint" json:"node"`
	Sequence uint64          `cbor:"2,keyasint" json:"sequence"` // rises with every notice of the node
	Made     int64           `cbor:"3,keyasint" json:"made"`     // Unix seconds
	Until    int64           `cbor:"4,keyasint" json:"until"`    // Unix seconds; at or before Made: it ended
	RSet     lease.RSet      `cbor:"5,keyasint" json:"rset"`
}

// SealNotice signs a notice.
func SealNotice(n Notice, key lease.Signer) ([]byte, error) {
	s, err := lease.SealAs(NoticeDomain, n, key)
	if err != nil {
		return nil, fmt.Errorf("sealing notice: %w", err)
	}
	return s.Bytes(), nil
}

// OpenNotice reads a signed notice and judges it at now: errors map to verdicts
// by [Judge]. A notice counts as long as an offer does.
func OpenNotice(b []byte, now time.Time) (n Notice, err error) {
	s, err := lease.ParseSigned(b, MaxNotice)
	if err != nil {
		return Notice{}, fmt.Errorf("opening notice: %w", err)
	}
	if err := lease.Decode(s.Payload, &n, MaxNotice); err != nil {
		return Notice{}, fmt.Errorf("opening notice: %w", err)
	}
	if n.Node.IsZero() || n.Sequence == 0 || n.Made <= 0 || n.Until <= 0 || n.RSet.IsZero() ||
		n.Until > n.Made+lease.MaxTerm {
		return Notice{}, fmt.Errorf("opening notice: %w", lease.ErrField)
	}
	if err := s.VerifyAs(NoticeDomain, n.Node); err != nil {
		return Notice{}, fmt.Errorf("opening notice of %s: %w", n.Node.Short(), err)
	}
	switch made := time.Unix(n.Made, 0); {
	case made.After(now.Add(offer.MaxSkew)):
		return Notice{}, fmt.Errorf("opening notice: %w", offer.ErrEarly)
	case now.Sub(made) > offer.MaxValid*time.Second:
		return Notice{}, fmt.Errorf("opening notice: %w", offer.ErrExpired)
	}
	return n, nil
}

// Notices judges notices. Nothing is kept of them, so that all there is to hold
// against a flood is who may send any: nodes that have an offer, and each only so
// many. The zero value is ready. It is not safe for concurrent use.
type Notices struct{ sent rations[lease.Principal] }

// Receive judges a notice at now. What is known is whether a node has an offer.
func (n *Notices) Receive(now time.Time, b []byte, known func(lease.Principal) bool) (Notice, Verdict) {
	notice, err := OpenNotice(b, now)
	if err != nil {
		j, reason := judge.Of(err)
		return Notice{}, Verdict{j, reason}
	}
	n.sent.each = limit{NoticeBurst, NoticeRate}
	switch {
	case !known(notice.Node):
		return Notice{}, Verdict{judge.Ignore, judge.Stranger}
	case !n.sent.spend(now, notice.Node, 1):
		return Notice{}, Verdict{judge.Ignore, judge.TooOften}
	}
	return notice, Verdict{judge.Accept, judge.None}
}
