// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"testing"
	"time"

	"croft/gossip"
	"croft/lease/offer"
)

// whereabouts is a presence of which the test says what it is.
type whereabouts struct {
	suspected chan struct{}
	at        *offer.Coordinate
}

func (w *whereabouts) Refute() <-chan struct{}       { return w.suspected }
func (w *whereabouts) Coordinate() *offer.Coordinate { return w.at }

// Who is said not to answer says that it does, at once; and where it is with its
// next offer: that is no news by itself.
func TestOffersRefuteAndSayWhere(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		here := &whereabouts{suspected: make(chan struct{}, 1)}
		m.presence = here
		m.boot()
		m.pass(aloneWait)
		count := func() int {
			m.mu.Lock()
			defer m.mu.Unlock()
			return len(m.offers)
		}
		if n := count(); n != 1 || m.offers[0].Coordinate != nil {
			t.Fatalf("%d offers at first: %+v", n, m.offers)
		}
		here.suspected <- struct{}{} // sooner than any change would be told
		m.settle()
		if n := count(); n != 2 || m.offers[1].Sequence <= m.offers[0].Sequence {
			t.Fatalf("%d offers after a suspicion", n)
		}
		m.pass(gossip.MaxGap - time.Second)
		if n := count(); n != 2 {
			t.Errorf("%d offers without any news", n)
		}
		m.pass(2 * time.Second)

		m.mu.Lock()
		here.at = &offer.Coordinate{Height: 700, Error: 90}
		m.mu.Unlock()
		before := count()
		m.pass(gossip.MaxGap - 2*time.Second)
		if n := count() - before; n != 0 {
			t.Errorf("%d offers because it has found out where it is", n)
		}
		m.pass(time.Minute)
		if last := m.offers[len(m.offers)-1]; last.Coordinate == nil || *last.Coordinate != *here.at {
			t.Errorf("it says %+v", last.Coordinate)
		}
	})
}
