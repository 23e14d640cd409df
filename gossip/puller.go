// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/judge"
)

// Pull is the asking side of one pull: what to ask a neighbour next, and what its
// answers showed.
//
//	for req, ok := pull.Next(); ok; req, ok = pull.Next() {
//		effects, err := pull.Take(now, ask(req)) // stop at an error
//	}
//
// It asks first for what differs, then for those offers that were named and are
// newer than ours. It belongs to its view: both are used by one goroutine at a time.
type Pull struct {
	view   *View
	from   lease.Principal
	began  time.Time
	digest Digest
	after  lease.Principal
	told   bool // all that differs has been told
	differ uint64
	named  map[head]uint64 // sequences
	wants  []byte          // heads
	asked  int             // offers that were wanted
	given  int
	pages  int
	news   []heardOf
}

// heardOf is an offer that a pull brought.
type heardOf struct {
	head     head
	sequence uint64
	made     int64 // Unix seconds
	closed   bool
}

// Pull begins one.
func (v *View) Pull(now time.Time, from lease.Principal) *Pull {
	return &Pull{view: v, from: from, began: now, digest: v.digest, named: map[head]uint64{}}
}

// Next returns what to ask, or false when there is nothing more.
func (p *Pull) Next() (PullRequest, bool) {
	switch {
	case p.pages == MaxPages:
		return PullRequest{}, false
	case !p.told:
		return PullRequest{Digest: p.digest, After: p.after}, true
	case len(p.wants) > 0:
		n := min(len(p.wants), PageOffers*HeadSize)
		return PullRequest{Want: p.wants[:n]}, true
	}
	return PullRequest{}, false
}

// Take judges what a page holds as if it had come by gossip, but for the pace, and
// returns what the view does. What no honest node would send is an error that
// matches lease.ErrSyntax, and ends the pull; effects are of what came before it.
func (p *Pull) Take(now time.Time, page PullPage) (effects []Effect, err error) {
	p.pages++
	if !p.told {
		err = p.read(page)
	} else {
		n := min(len(p.wants), PageOffers*HeadSize)
		p.asked += n / HeadSize
		p.given += len(page.Offers)
		p.wants = p.wants[n:]
	}
	if err != nil {
		p.pages = MaxPages
		return nil, err
	}
	for _, b := range page.Offers {
		step := p.view.Step(now, Received{Bytes: b, From: p.from, Pulled: true})
		effects = append(effects, step...)
		for _, e := range step {
			if s, ok := e.(Stored); ok {
				p.news = append(p.news, heardOf{headOf(s.Offer.Node), s.Offer.Sequence, s.Offer.Made, s.Offer.Closed})
			}
		}
		if v := step[0].(Verdict); v.Judgement == judge.Reject {
			p.pages = MaxPages
			return effects, fmt.Errorf("%s: %w", v, lease.ErrSyntax)
		}
	}
	return effects, nil
}

// read takes the names of a page, and where the next one begins.
func (p *Pull) read(page PullPage) error {
	if !page.After.IsZero() && bytes.Compare(page.After[:], p.after[:]) <= 0 {
		return fmt.Errorf("a cursor that does not move: %w", lease.ErrSyntax)
	}
	p.differ |= page.Differ
	for names := page.Names; len(names) >= NameSize; names = names[NameSize:] {
		h, sequence := head(names[:HeadSize]), binary.BigEndian.Uint64(names[HeadSize:])
		if _, again := p.named[h]; again || len(p.named) >= MaxNames {
			continue
		}
		p.named[h] = sequence
		if e := p.view.find(h); e == nil || e.offer.Sequence < sequence {
			p.wants = append(p.wants, h[:]...)
		}
	}
	p.after = page.After
	p.told = page.After.IsZero() || len(page.Offers)+len(page.Names) == 0
	return nil
}

// News is the number of offers that it brought.
func (p *Pull) News() int { return len(p.news) }

// has reports whether the neighbour has an offer of a node in our view, or a newer
// one: once all that differs has been told.
func (p *Pull) has(node lease.Principal, sequence uint64) bool {
	return p.differ&(1<<partition(node)) == 0 || p.named[headOf(node)] >= sequence
}
