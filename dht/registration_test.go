// SPDX-License-Identifier: Apache-2.0

package dht_test

import (
	"slices"
	"testing"
	"time"

	"croft/dht"
	"croft/lease/offer"
	"croft/lease/sign"
)

// routed plays a registration to its end: whom each look-up finds is fixed, everybody
// keeps what it is asked to, but for the silent. It returns who was asked, and how many look-ups begin with
// somebody.
func routed(t *testing.T, r *dht.Registration, found []dht.Key, silent ...dht.Key) (asked []dht.Key, begun, looked int) {
	t.Helper()
	return routedAt(t, time.Unix(1_800_000_000, 0), r, false, found, silent...)
}

// routedAt is that at an instant, with look-ups that may be cut.
func routedAt(t *testing.T, now time.Time, r *dht.Registration, cut bool, found []dht.Key, silent ...dht.Key) (asked []dht.Key, begun, looked int) {
	t.Helper()
	for todo := []dht.IndexInput{dht.Tick{}}; len(todo) > 0; todo = todo[1:] {
		for _, e := range r.Step(now, todo[0]) {
			switch e := e.(type) {
			case dht.Route:
				if looked++; len(e.Before) > 0 {
					begun++
				}
				todo = append(todo, dht.Routed{Key: e.Key, Peers: found, Cut: cut})
			case dht.Send:
				if !slices.Contains(asked, e.To) {
					asked = append(asked, e.To)
				}
				if slices.Contains(silent, e.To) {
					todo = append(todo, dht.Unheard{Number: e.Number})
					continue
				}
				todo = append(todo, dht.Replied{Number: e.Number, Response: dht.Response{Status: slices.Repeat([]dht.Status{dht.Stored}, len(e.Request.Buckets))}})
			case dht.Ended:
				return asked, begun, looked
			}
		}
	}
	t.Fatal("it waits for nothing")
	return nil, 0, 0
}

func sealed(t *testing.T) *offer.Opened {
	t.Helper()
	key := sign.FromSeed([32]byte{1})
	o, err := offer.Seal(&offer.Offer{Node: key.Principal(), Sequence: 1, Made: 1_800_000_000, Until: 1_800_000_300}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &o
}

// A repeat begins with the holders of before, and soon after tells hardly any but
// those that have come closer since; a later one tells all, who may have lost it.
func TestARepeatTellsNewcomers(t *testing.T) {
	o := sealed(t)
	var peers []dht.Key
	for i := range dht.Replicas + 1 {
		peers = append(peers, keyOf(i))
	}
	first, late := peers[:dht.Replicas], peers[1:]
	cfg := dht.RegistrationConfig{Offer: o, Self: keyOf(99)}
	r := dht.NewRegistration(cfg)
	asked, begun, looked := routed(t, r, first)
	if len(asked) != len(first) || begun != 0 || looked == 0 {
		t.Fatalf("at first %d are asked, %d look-ups of %d begin with somebody", len(asked), begun, looked)
	}
	_, cfg.Before = r.Result()
	for _, c := range []struct {
		name  string
		soon  bool
		found []dht.Key
		want  int
	}{
		{"soon, the same", true, first, 1},          // somebody, to know that they are to be reached
		{"soon, somebody is closer", true, late, 2}, // it, and who is not among them any more
		{"later", false, first, len(first)},
	} {
		cfg.Soon = c.soon
		r := dht.NewRegistration(cfg)
		asked, begun, looked := routed(t, r, c.found)
		if len(asked) != c.want || begun != looked {
			t.Errorf("%s: %d are asked, want %d; %d of %d look-ups begin with somebody", c.name, len(asked), c.want, begun, looked)
		}
		if reg, told := r.Result(); reg.Holders+reg.Kept < len(c.found) || len(told.Asked) != len(c.found) || len(told.Homes) != looked {
			t.Errorf("%s: %+v, with %d in %d places", c.name, reg, len(told.Asked), len(told.Homes))
		}
	}
	if all := cfg.Before.With(dht.Told{Asked: map[dht.Key]dht.Placed{late[len(late)-1]: {}}}); len(all.Asked) != len(peers) || len(cfg.Before.Asked) != len(first) {
		t.Errorf("together %d, before %d", len(all.Asked), len(cfg.Before.Asked))
	}
}

// A look-up begins with those of the last time only where all that a bucket has are there and
// answered: another may have taken the place of one that is gone, farther away.
func TestOnlyWholeHomesAreBegunWith(t *testing.T) {
	o := sealed(t)
	var peers []dht.Key
	for i := range dht.Replicas {
		peers = append(peers, keyOf(i))
	}
	for _, c := range []struct {
		name   string
		found  []dht.Key
		silent []dht.Key
		want   bool
	}{
		{"all answered", peers, nil, true},
		{"few were found", peers[:5], nil, false},
		{"one was silent", peers, peers[4:5], false},
	} {
		cfg := dht.RegistrationConfig{Offer: o, Self: keyOf(99)}
		r := dht.NewRegistration(cfg)
		routed(t, r, c.found, c.silent...)
		_, cfg.Before = r.Result()
		if _, begun, looked := routed(t, dht.NewRegistration(cfg), peers); looked == 0 || begun != map[bool]int{true: looked}[c.want] {
			t.Errorf("%s: %d of %d look-ups begin with somebody", c.name, begun, looked)
		}
	}
}

// A repeat that nobody answers is known to be one: it asks also those that held the offer.
func TestARepeatThatNobodyAnswers(t *testing.T) {
	var peers []dht.Key
	for i := range dht.Replicas {
		peers = append(peers, keyOf(i))
	}
	cfg := dht.RegistrationConfig{Offer: sealed(t), Self: keyOf(99), Soon: true}
	r := dht.NewRegistration(cfg)
	routed(t, r, peers)
	_, cfg.Before = r.Result()
	for _, c := range []struct {
		silent              []dht.Key
		holders, mute, kept int
	}{
		{nil, 1, 0, 7},
		{peers[:1], 7, 1, 0},
		{peers, 0, 8, 0},
	} {
		r := dht.NewRegistration(cfg)
		routed(t, r, peers, c.silent...)
		if reg, _ := r.Result(); reg.Holders != c.holders || reg.Silent != c.mute || reg.Kept != c.kept {
			t.Errorf("with %d silent: %+v", len(c.silent), reg)
		}
	}
}
