// SPDX-License-Identifier: Apache-2.0

// Auction serves allocator/1 to the node on which it runs: sealed bids, in rounds of ten
// seconds. The highest that fit win, and all of them pay what the first bid offered that
// did not. Nobody has money: each principal has 100 points, and what it paid grows again,
// one point in 36 s. Keys are free, so it is fair among those whom the owner names
// (`only` in the pool's policy). On PlanetLab, Bellagio and Mirage did so.
//
//	[pool.auction]              # policy.toml of the node
//	mechanism = "allocator"
//	part = "10%"
//
//	CGO_ENABLED=0 go build ./examples/auction
//	croft run --where 'node=…' --name auction ./auction
//	croft role try allocator auction
//	croft run --where 'node=…' --pool auction --bid 12 ./probe
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"croft/shim"
)

const (
	length = 10 * time.Second // of a round
	purse  = 100              // points that a principal has at most
	grows  = 36 * time.Second // until it has one more

	kept       = time.Minute // a verdict: who asks again is answered alike
	maxBids    = 1024        // in a round
	maxBidders = 4096        // who have less than a full purse
)

// The messages of docs/roles/allocator.md.
type (
	question struct {
		Ask  string            `json:"ask"`
		Pool string            `json:"pool"`
		By   string            `json:"by"`
		RSet map[string]uint64 `json:"rset"`
		Free map[string]uint64 `json:"free"`
		Bid  string            `json:"bid"`
		Left int64             `json:"left_ms"`
	}
	verdict struct {
		Ask   string `json:"ask"`
		Grant bool   `json:"grant,omitempty"`
		Says  string `json:"says,omitempty"`
		Wait  int64  `json:"wait_ms,omitempty"`
	}
)

// house is where the auctions are held: one for each pool, a round after the other.
type house struct {
	mu      sync.Mutex
	rounds  map[string]*round
	full    map[string]time.Time // when the purse of who has paid is full again
	decided map[string]decided
}

type round struct {
	end  time.Time
	bids []bid
}

type bid struct {
	question
	points int
}

type decided struct {
	verdict
	at time.Time
}

func open() *house {
	return &house{rounds: map[string]*round{}, full: map[string]time.Time{}, decided: map[string]decided{}}
}

// decide takes a bid, and says what became of it when its round is over.
func (h *house) decide(now time.Time, q question) verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.decided, func(_ string, d decided) bool { return now.Sub(d.at) > kept })
	maps.DeleteFunc(h.full, func(_ string, at time.Time) bool { return !at.After(now) })
	r := h.rounds[q.Pool]
	if r != nil && !now.Before(r.end) {
		h.settle(now, r, q.Free)
		delete(h.rounds, q.Pool)
		r = nil
	}
	if d, ok := h.decided[q.Ask]; ok {
		return d.verdict
	}
	if r == nil {
		r = &round{end: now.Truncate(length).Add(length)}
		h.rounds[q.Pool] = r
	}
	wait := verdict{Ask: q.Ask, Wait: r.end.Sub(now).Milliseconds() + 1}
	if slices.ContainsFunc(r.bids, func(b bid) bool { return b.Ask == q.Ask }) {
		return wait
	}
	points, err := strconv.Atoi(q.Bid)
	_, poor := h.full[q.By]
	switch has := h.has(now, q.By) - r.stakes(q.By); {
	case err != nil || points < 1:
		return no(q, "bid points, a whole number from 1 to %d", purse)
	case points > has:
		return no(q, "you have %d points for this round", has)
	case wait.Wait > q.Left:
		return no(q, "the round ends in %d ms: bid again then", wait.Wait)
	case len(r.bids) >= maxBids || !poor && len(h.full) >= maxBidders:
		return no(q, "too many bid: bid again in the next round")
	}
	r.bids = append(r.bids, bid{q, points})
	return wait
}

func no(q question, why string, args ...any) verdict {
	return verdict{Ask: q.Ask, Says: fmt.Sprintf(why, args...)}
}

// has is how many points somebody has.
func (h *house) has(now time.Time, who string) int {
	short := h.full[who].Sub(now)
	return purse - int((max(short, 0)+grows-1)/grows)
}

func (h *house) pays(now time.Time, who string, points int) {
	at := h.full[who]
	if at.Before(now) {
		at = now
	}
	if points > 0 {
		h.full[who] = at.Add(time.Duration(points) * grows)
	}
}

// stakes is what somebody has bid in a round.
func (r *round) stakes(who string) (sum int) {
	for _, b := range r.bids {
		if b.By == who {
			sum += b.points
		}
	}
	return sum
}

// settle ends a round: the highest bids that fit, up to the first that does not. What is
// free by now is less than it was if somebody else was given of it meanwhile.
func (h *house) settle(now time.Time, r *round, free map[string]uint64) {
	slices.SortFunc(r.bids, func(a, b bid) int { return cmp.Or(cmp.Compare(b.points, a.points), cmp.Compare(a.Ask, b.Ask)) })
	given := map[string]uint64{}
	won := slices.IndexFunc(r.bids, func(b bid) bool { return !b.fits(given, free) })
	price := 0
	if won >= 0 {
		price = r.bids[won].points
	} else {
		won = len(r.bids)
	}
	for i, b := range r.bids {
		v := no(b.question, "outbid: the price was %d, %d of %d bids won", price, won, len(r.bids))
		if i < won {
			v = verdict{Ask: b.Ask, Grant: true, Says: fmt.Sprintf("won at %d, with %d of %d bids", price, won, len(r.bids))}
			h.pays(now, b.By, price)
		}
		h.decided[b.Ask] = decided{v, now}
	}
}

// fits reports whether there is room for a bid beside those that are given room, and
// gives it some.
func (b bid) fits(given, free map[string]uint64) bool {
	for resource, amount := range b.RSet {
		if given[resource]+amount > min(b.Free[resource], free[resource]) {
			return false
		}
	}
	for resource, amount := range b.RSet {
		given[resource] += amount
	}
	return true
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	h := open()
	err := shim.Open().Serve(ctx, "allocator/1", func(_ context.Context, r shim.Request) (any, error) {
		var q question
		if err := json.Unmarshal(r.Ask, &q); err != nil {
			return nil, &shim.Failure{Code: "ask", Text: err.Error()}
		}
		return h.decide(time.Now(), q), nil
	})
	if ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "auction:", err)
		os.Exit(1)
	}
}
