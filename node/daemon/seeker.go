// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"time"

	"croft/lease/offer"
)

// fullPage is the number of matches that a query without a limit is content with.
const fullPage = 20

// seeker is what this node knows of the others by its own probes.
type seeker struct{ o *overlay }

// Present is false also of an offer that was taken back: who fills discovery sees those
// that are told anew, and none go.
func (s seeker) Present(f *offer.Offer) bool {
	return s.o.here(f) && (s.o.gossip == nil || !s.o.gossip.Withdrawn(f.Node, f.Sequence))
}

// Options are the overlay's own, but for how far nodes are that were not measured: that
// is the role topology's to say.
func (s seeker) Options() offer.Options {
	opt := s.o.options()
	opt.From = nil
	opt.Estimate = func(f *offer.Offer) time.Duration {
		rtt, _ := s.o.estimates.of(f.Node)
		return rtt
	}
	return opt
}

func (s seeker) Answer(ctx context.Context, q offer.Query, found []offer.Found) offer.Result {
	if q.AsksRTT() {
		places := make([]place, 0, len(found))
		for _, f := range found {
			places = append(places, s.o.placeOf(&f.Offer))
		}
		s.o.estimates.learn(ctx, places)
	}
	return s.o.rtts.answer(ctx, q, found, s.Options())
}

// enough is how many matches make asking the index as well unnecessary.
func enough(req offer.FindRequest, q offer.Query) int {
	switch {
	case req.Enough > 0:
		return req.Enough
	case q.Limit > 0:
		return q.Limit
	}
	return fullPage
}

func each(list []offer.Found, do func(offer.Found) error) error {
	for _, f := range list {
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}
