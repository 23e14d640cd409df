// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"croft/gossip/alive"
	"croft/lease"
	"croft/lease/offer"
)

// ways are the round trips that a model of the network has.
type ways struct {
	mu    sync.Mutex
	real  map[lease.Principal]time.Duration // none: no answer
	asked map[lease.Principal]int
	now   int // under way
	most  int
}

func (w *ways) probe(ctx context.Context, node lease.Principal) (time.Duration, error) {
	w.mu.Lock()
	w.asked[node]++
	w.now++
	w.most = max(w.most, w.now)
	rtt, ok := w.real[node]
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.now--
		w.mu.Unlock()
	}()
	if !ok {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	select {
	case <-time.After(rtt):
		return rtt, nil
	case <-ctx.Done():
		return 0, errors.New("too late")
	}
}

func who(i int) lease.Principal { return lease.Principal{byte(i), byte(i >> 8), 1} }

// plain is n nodes along a line, ten milliseconds apart by their coordinates.
func plain(n int) (found []offer.Found) {
	for i := range n {
		var f offer.Found
		f.Offer.Node, f.Offer.Name = who(i), fmt.Sprintf("n%02d", i)
		f.Offer.Coordinate = &offer.Coordinate{Vector: [offer.Dimensions]int32{int32(i+1) * 10_000}, Error: 100}
		found = append(found, f)
	}
	return found
}

func TestTheShortListIsMeasured(t *testing.T) {
	for _, c := range []struct {
		name, query string
		from        *offer.Coordinate
		real        func(i int) time.Duration // 0: no answer
		want        []string
		asked       []int // who; nil: not looked at
	}{
		{"no question of time", "order by name limit 2", &offer.Coordinate{Error: 1}, func(int) time.Duration { return time.Millisecond },
			[]string{"n00 ~10ms", "n01 ~20ms"}, []int{}},
		{"as estimated", "rtt<35ms order by rtt", &offer.Coordinate{Error: 1}, func(i int) time.Duration { return time.Duration(i+1) * 10 * time.Millisecond },
			[]string{"n00 10ms", "n01 20ms", "n02 30ms"}, []int{0, 1, 2}},
		{"who is too far makes room", "order by rtt limit 2", &offer.Coordinate{Error: 1}, func(i int) time.Duration {
			if i < 2 {
				return 300 * time.Millisecond
			}
			return time.Duration(i+1) * 10 * time.Millisecond
		}, []string{"n02 30ms", "n03 40ms"}, []int{0, 1, 2, 3}},
		{"who is silent comes last", "rtt<25ms order by rtt", &offer.Coordinate{Error: 1}, func(i int) time.Duration {
			return time.Duration(i) * 20 * time.Millisecond // the first does not answer
		}, []string{"n01 20ms", "n00 ~10ms"}, []int{0, 1}},
		{"from nowhere", "rtt<25ms order by rtt", nil, func(i int) time.Duration { return time.Duration(i+1) * 10 * time.Millisecond },
			[]string{"n00 10ms", "n01 20ms"}, nil},
		{"none was estimated so near", "rtt<5ms", &offer.Coordinate{Error: 1}, func(i int) time.Duration { return time.Duration(i+1) * 10 * time.Millisecond },
			nil, []int{}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &ways{real: map[lease.Principal]time.Duration{}, asked: map[lease.Principal]int{}}
			for i := range 10 {
				if d := c.real(i); d > 0 {
					w.real[who(i)] = d
				}
			}
			r := &rtts{known: map[lease.Principal]trip{}, probe: w.probe}
			q, err := offer.ParseQuery(c.query)
			if err != nil {
				t.Fatal(err)
			}
			opt := offer.Options{From: c.from, Measured: r.measured, Doubted: func(o *offer.Offer) bool { return r.silent(o.Node) }}
			for range 2 { // what was measured of late is not measured again
				var got []string
				for _, f := range r.answer(t.Context(), q, plain(10), opt).Offers {
					mark := ""
					if f.Estimated {
						mark = "~"
					}
					got = append(got, fmt.Sprintf("%s %s%s", f.Offer.Name, mark, f.RTT))
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%s: %v, want %v", c.name, got, c.want)
				}
			}
			var asked []int
			for i := range 10 {
				if n := w.asked[who(i)]; n > 0 {
					asked = append(asked, i)
				}
				if n := w.asked[who(i)]; n > 1 {
					t.Errorf("%s: node %d was asked %d times", c.name, i, n)
				}
			}
			if c.asked != nil && !slices.Equal(asked, c.asked) {
				t.Errorf("%s: asked %v, want %v", c.name, asked, c.asked)
			}
		})
	}
}

// However many match, and however few of them answer, an answer comes soon.
func TestMeasuringIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &ways{real: map[lease.Principal]time.Duration{}, asked: map[lease.Principal]int{}}
		r := &rtts{known: map[lease.Principal]trip{}, probe: w.probe}
		q, _ := offer.ParseQuery("order by rtt")
		began := time.Now()
		res := r.answer(t.Context(), q, plain(2000), offer.Options{From: &offer.Coordinate{Error: 1}, Measured: r.measured})
		if len(res.Offers) != 2000 || time.Since(began) > measureLimit {
			t.Errorf("%d offers after %s", len(res.Offers), time.Since(began))
		}
		if w.most > measuring || len(w.asked) > (maxTurns+1)*shortList {
			t.Errorf("%d were asked, %d at once", len(w.asked), w.most)
		}
		for i := range 3 * maxRTTs {
			r.put(who(i), time.Second)
		}
		if len(r.known) > maxRTTs {
			t.Errorf("%d are remembered", len(r.known))
		}
		r.put(who(1), time.Second)
		<-time.After(rttValid)
		if m := r.measured(who(1)); m.RTT != 0 || r.silent(who(1)) {
			t.Errorf("after %s it is still %s", rttValid, m.RTT)
		}
		if alive.Timeout > measureLimit {
			t.Error("nobody would be found silent")
		}
	})
}
