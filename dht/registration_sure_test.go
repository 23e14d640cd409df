// SPDX-License-Identifier: Apache-2.0

package dht_test

import (
	"testing"
	"time"

	"croft/dht"
)

// A registration of which it is not sure that it is where readers look is repeated soon;
// and what may be a guess is not begun with the next time.
func TestARegistrationThatIsNotSure(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var peers []dht.Key
	for i := range dht.Replicas {
		peers = append(peers, keyOf(i))
	}
	for _, c := range []struct {
		name       string
		cut        bool
		found      []dht.Key
		silent     []dht.Key
		few, homes bool
	}{
		{"all is well", false, peers, nil, false, true},
		{"a look-up was cut, and filled up", true, peers, nil, true, false},
		{"few were found", false, peers[1:], nil, true, true},
		{"a quorum answered", false, peers, peers[3:], false, true},
		{"fewer answered", false, peers, peers[2:], true, true},
	} {
		r := dht.NewRegistration(dht.RegistrationConfig{Offer: sealed(t), Self: keyOf(99)})
		routedAt(t, now, r, c.cut, c.found, c.silent...)
		if reg, told := r.Result(); reg.Few != c.few || (len(told.Homes) > 0) != c.homes {
			t.Errorf("%s: %+v, homes of %d buckets", c.name, reg, len(told.Homes))
		}
	}
}

// Once in an hour look-ups begin with nobody, however whole the homes of before are; also
// when that one was broken off, and when the clock was set.
func TestOnceInAnHourItLooksAnew(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0)
	var peers []dht.Key
	for i := range dht.Replicas {
		peers = append(peers, keyOf(i))
	}
	cfg := dht.RegistrationConfig{Offer: sealed(t), Self: keyOf(99)}
	for _, c := range []struct {
		after time.Duration
		anew  bool
	}{{0, true}, {time.Minute, false}, {dht.AnewEvery - time.Second, false}, {dht.AnewEvery, true}, {dht.AnewEvery + time.Minute, false}, {-time.Hour, true}} {
		r := dht.NewRegistration(cfg)
		_, begun, looked := routedAt(t, begin.Add(c.after), r, false, peers)
		if looked == 0 || begun != map[bool]int{false: looked}[c.anew] {
			t.Errorf("after %s: %d of %d look-ups begin with somebody", c.after, begun, looked)
		}
		_, told := r.Result()
		if c.anew && len(cfg.Before.Asked) > 0 && !cfg.Before.With(told).Anew.Equal(cfg.Before.Anew) {
			t.Errorf("after %s: broken off it counts as done", c.after)
		}
		cfg.Before = told
	}
}

// News breaks off what is under way, but never two running.
func TestNewsBreaksOffEveryOther(t *testing.T) {
	var r dht.Repeat
	for range 2 {
		if !r.Breaks() || r.Breaks() || r.Breaks() {
			t.Error("the second is broken off, or none")
		}
		r.After(dht.Registered{Holders: 8}) // it was seen through
	}
}
