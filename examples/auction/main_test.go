// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var began = time.Unix(1_800_000_000, 0)

func asks(ask, by, bid string, cpu uint64) question {
	return question{Ask: ask, Pool: "lots", By: by, Bid: bid, RSet: map[string]uint64{"cpu": cpu}, Free: map[string]uint64{"cpu": 400}, Left: 20_000}
}

func TestTheHighestThatFitWinAtThePriceOfTheFirstThatDoesNot(t *testing.T) {
	h := open()
	bids := []question{asks("1", "alice", "7", 200), asks("2", "bob", "12", 200), asks("3", "carol", "9", 200), asks("4", "dave", "8", 1)}
	for i, q := range bids {
		at := began.Add(time.Duration(i) * time.Second)
		if v := h.decide(at, q); v.Grant || v.Says != "" || v.Wait != 10_001-int64(i)*1000 {
			t.Fatalf("%+v", v)
		}
	}
	if v := h.decide(began.Add(5*time.Second), bids[0]); v.Wait != 5001 { // the same ask is the same bid
		t.Errorf("%+v", v)
	}
	over := began.Add(length)
	want := []string{"outbid: the price was 8", "won at 8, with 2 of 4", "won at 8, with 2 of 4", "outbid: the price was 8"}
	for range 2 {
		for i, q := range bids {
			if v := h.decide(over, q); v.Wait != 0 || v.Grant != strings.HasPrefix(want[i], "won") || !strings.HasPrefix(v.Says, want[i]) {
				t.Errorf("%s: %+v, want %s", q.By, v, want[i])
			}
		}
	}
	for who, points := range map[string]int{"alice": 100, "bob": 92, "carol": 92, "dave": 100} {
		if got := h.has(over, who); got != points {
			t.Errorf("%s has %d points, want %d", who, got, points)
		}
	}
	if got := h.has(over.Add(4*grows), "bob"); got != 96 {
		t.Errorf("later bob has %d", got)
	}
}

// What is free is less by then than it was: only what there is is given.
func TestWhatIsGoneIsNotGiven(t *testing.T) {
	h := open()
	a, b := asks("1", "alice", "7", 200), asks("2", "bob", "12", 200)
	h.decide(began, a)
	h.decide(began, b)
	a.Free["cpu"] = 300
	if v := h.decide(began.Add(length), a); v.Grant || !strings.HasPrefix(v.Says, "outbid: the price was 7") {
		t.Errorf("%+v", v)
	}
	if v := h.decide(began.Add(length), b); !v.Grant {
		t.Errorf("%+v", v)
	}
}

func TestBidsThatAreNone(t *testing.T) {
	h := open()
	for _, bid := range []string{"", "0", "-1", "1.5", "much", "99999999999999999999"} {
		if v := h.decide(began, asks("x"+bid, "alice", bid, 1)); v.Grant || v.Wait != 0 || !strings.HasPrefix(v.Says, "bid points") {
			t.Errorf("%q: %+v", bid, v)
		}
	}
	if v := h.decide(began, asks("1", "alice", "60", 1)); v.Wait == 0 {
		t.Errorf("%+v", v)
	}
	if v := h.decide(began, asks("2", "alice", "41", 1)); v.Says != "you have 40 points for this round" {
		t.Errorf("%+v", v)
	}
	short := asks("3", "bob", "1", 1)
	short.Left = 9999
	if v := h.decide(began, short); !strings.HasPrefix(v.Says, "the round ends in 10001 ms") {
		t.Errorf("%+v", v)
	}
}

func TestTheHouseIsBounded(t *testing.T) {
	h := open()
	for i := range maxBids + 1 {
		v := h.decide(began, asks(fmt.Sprint(i), fmt.Sprint("somebody ", i), "1", 1))
		if (v.Wait == 0) != (i == maxBids) {
			t.Fatalf("%d: %+v", i, v)
		}
	}
	last := asks("last", "alice", "1", 1)
	h.decide(began.Add(length), last)
	if len(h.decided) != maxBids || len(h.full) != 400 {
		t.Errorf("%d verdicts, %d who paid", len(h.decided), len(h.full))
	}
	h.decide(began.Add(2*length+kept), last)
	if len(h.decided) != 1 || len(h.full) != 0 {
		t.Errorf("later %d verdicts, %d who paid", len(h.decided), len(h.full))
	}
}
