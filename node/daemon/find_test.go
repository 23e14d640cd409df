// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_discovery

package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"croft/dht/index"
	"croft/dht/kad"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
)

// sources is a view and an index to find in, and what was asked of them.
type sources struct {
	view, index []offer.Found
	fails       error // after the index has shown all
	asked       []string
	walked      int // offers that were taken from the index
}

var foundAt = time.Unix(1_800_000_000, 0)

// at is an offer by "name@sequence:cpu" of one source.
func at(t *testing.T, source offer.Source, drawn ...string) (all []offer.Found) {
	t.Helper()
	for _, s := range drawn {
		var seq, cpu uint64
		name, rest, _ := strings.Cut(s, "@")
		if _, err := fmt.Sscanf(rest, "%d:%d", &seq, &cpu); err != nil {
			t.Fatal(err)
		}
		o := offer.Offer{Node: leasetest.Who(name), Name: name, Sequence: seq, Made: foundAt.Unix(), Until: foundAt.Unix() + 60, Closed: cpu == 0,
			Free: []offer.Free{{Pool: lease.PoolCommons, RSet: lease.RSet{lease.CPU: cpu}}}}
		all = append(all, offer.Found{Offer: o, Source: source})
	}
	return all
}

func (s *sources) find(t *testing.T, req offer.FindRequest) (told []string, res offer.Result, err error) {
	t.Helper()
	f := finder{
		now: func() time.Time { return foundAt },
		opt: offer.Options{Salt: []byte("seeker")},
		view: func() []offer.Found {
			s.asked = append(s.asked, "view")
			return s.view
		},
		walk: func(_ context.Context, w index.Search) iter.Seq2[offer.Found, error] {
			what := "index"
			if w.Reasons {
				what += " for reasons"
			}
			if !w.From.IsZero() {
				what += " from somewhere"
			}
			s.asked = append(s.asked, what)
			return func(yield func(offer.Found, error) bool) {
				for _, f := range s.index {
					if s.walked++; !yield(f, nil) {
						return
					}
				}
				if s.fails != nil {
					yield(offer.Found{}, s.fails)
				}
			}
		},
	}
	res, err = f.find(t.Context(), req, func(f offer.Found) error {
		told = append(told, fmt.Sprintf("%s@%d %s", f.Offer.Name, f.Offer.Sequence, f.Source))
		return nil
	})
	return told, res, err
}

func TestFindAsksTheViewFirstAndTellsAtOnce(t *testing.T) {
	broken := errors.New("reading bucket cpu/1: no holder of the index answered")
	for _, c := range []struct {
		name  string
		req   offer.FindRequest
		view  string
		index string
		fails error

		asked, told, final, missed string
		walked                     int
		more                       bool
	}{
		{name: "the view is enough", req: offer.FindRequest{View: true, Enough: 2}, view: "a@1:900 b@1:900", index: "c@1:900",
			asked: "view", told: "a@1 view, b@1 view", final: "a@1 view, b@1 view"},
		{name: "the view is thin", req: offer.FindRequest{View: true}, view: "a@1:900", index: "a@1:900 c@1:900",
			asked: "view, index", told: "a@1 view, c@1 dht", final: "a@1 view, c@1 dht", walked: 2},
		{name: "the view is off", req: offer.FindRequest{}, view: "a@1:900", index: "b@1:900",
			asked: "index", told: "b@1 dht", final: "b@1 dht", walked: 1},
		{name: "the index knows better", req: offer.FindRequest{View: true, Query: "cpu>=500"}, view: "a@1:900 b@1:900 c@1:100", index: "a@2:100 b@2:0 c@2:900",
			asked: "view, index", told: "a@1 view, b@1 view, c@2 dht", final: "c@2 dht", walked: 3},
		{name: "the first few end the search", req: offer.FindRequest{Query: "limit 2"}, index: "a@1:900 b@1:900 c@1:900",
			asked: "index from somewhere", told: "a@1 dht, b@1 dht", final: "a@1 dht, b@1 dht", walked: 2, more: true},
		{name: "an order wants all", req: offer.FindRequest{Query: "order by -cpu limit 2", View: true}, view: "a@1:100", index: "b@1:200 c@1:300",
			asked: "view, index", told: "c@1 dht, b@1 dht", final: "b@1 dht, c@1 dht", walked: 2},
		{name: "so does to spread", req: offer.FindRequest{Query: "limit 1 spread by site"}, index: "a@1:100 b@1:200",
			asked: "index", told: "one of them", walked: 2},
		{name: "reasons are of everybody", req: offer.FindRequest{Query: "cpu>=100", Explain: true}, index: "a@1:100",
			asked: "index for reasons", told: "a@1 dht", final: "a@1 dht", walked: 1},
		{name: "a part could not be read", req: offer.FindRequest{View: true}, view: "a@1:900", fails: broken,
			asked: "view, index", told: "a@1 view", final: "a@1 view", missed: broken.Error()},
		{name: "nobody else is there", req: offer.FindRequest{}, fails: kad.ErrAlone, asked: "index"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &sources{view: at(t, offer.View, strings.Fields(c.view)...), index: at(t, offer.DHT, strings.Fields(c.index)...), fails: c.fails}
			told, res, err := s.find(t, c.req)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(s.asked, ", "); got != c.asked || s.walked != c.walked {
				t.Errorf("asked %s, took %d; want %s and %d", got, s.walked, c.asked, c.walked)
			}
			if c.told == "one of them" {
				if len(told) != 1 || len(res.Offers) != 1 || res.Matched != 2 {
					t.Errorf("told %v of %d", told, res.Matched)
				}
				return
			}
			if len(s.asked) == 1 && s.asked[0] == "view" || c.name == "the index knows better" {
				slices.Sort(told) // of the view, in an order that is the seeker's own
			}
			if got := strings.Join(told, ", "); got != c.told {
				t.Errorf("told %s, want %s", got, c.told)
			}
			var final []string
			for _, f := range res.Offers {
				final = append(final, fmt.Sprintf("%s@%d %s", f.Offer.Name, f.Offer.Sequence, f.Source))
			}
			slices.Sort(final)
			if got := strings.Join(final, ", "); got != c.final || res.Missed != c.missed || res.More != c.more {
				t.Errorf("result %s (%q, more %v), want %s (%q, %v)", got, res.Missed, res.More, c.final, c.missed, c.more)
			}
		})
	}
}

// Who knows something already does not wait long for the index, and says so.
func TestFindGivesTheIndexAMomentOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := finder{
			now:  func() time.Time { return foundAt },
			view: func() []offer.Found { return at(t, offer.View, "a@1:900") },
			walk: func(ctx context.Context, _ index.Search) iter.Seq2[offer.Found, error] {
				return func(yield func(offer.Found, error) bool) {
					<-ctx.Done()
					yield(offer.Found{}, ctx.Err())
				}
			},
		}
		quiet := func(offer.Found) error { return nil }
		began := time.Now()
		res, err := f.find(t.Context(), offer.FindRequest{View: true}, quiet)
		if err != nil || res.Matched != 1 || res.Missed != "the index was asked for 2s and no longer" || time.Since(began) != thinLimit {
			t.Errorf("after %s: %+v, %v", time.Since(began), res, err)
		}
		if _, err := f.find(t.Context(), offer.FindRequest{}, quiet); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("knowing nothing: %v", err)
		}
	})
}

func TestFindFailsWhereNothingCouldBeRead(t *testing.T) {
	s := &sources{fails: index.ErrNoHolder}
	if _, _, err := s.find(t, offer.FindRequest{}); !errors.Is(err, index.ErrNoHolder) {
		t.Errorf("nothing read: %v", err)
	}
	if _, _, err := s.find(t, offer.FindRequest{Query: "cpuu>1"}); !errors.Is(err, offer.ErrQuery) {
		t.Errorf("no query: %v", err)
	}
	gone := errors.New("who asked is gone")
	f := finder{now: time.Now, view: func() []offer.Found { return at(t, offer.View, "a@1:900") }}
	f.now = func() time.Time { return foundAt }
	if _, err := f.find(t.Context(), offer.FindRequest{View: true, Enough: 1}, func(offer.Found) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("nobody listens: %v", err)
	}
}
