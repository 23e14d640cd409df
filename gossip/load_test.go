// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"testing"
	"time"

	"croft/lease"
	"croft/lease/judge"
	"croft/lease/leasetest"
	"croft/lease/offer"
)

// fleet is what so many nodes cost each of them: every offer is copied some times.
type fleet struct {
	nodes, copies, size int
	changing            bool // what they have changes all the time
}

// cost plays the fleet for an hour, with every node at the pace of one, and returns
// bytes per second over its last ten minutes and the stretch at its end.
func (f fleet) cost() (rate, stretch float64) {
	var load Load
	var paces [20]Pace // a sample
	total := lease.RSet{lease.CPU: 100}
	bytes, before := 0.0, 0.0
	for s := range 3600 {
		now := noon.Add(time.Duration(s) * time.Second)
		for i := range paces {
			if f.changing {
				paces[i].Changed(lease.RSet{lease.CPU: uint64(s * 37 % 100)}, total, true)
			}
			paces[i].Stretch(load.Stretch())
			if s >= i*15 && paces[i].Due(now) { // they did not all come at once
				paces[i].Published(now)
				bytes += float64(f.nodes/len(paces)) * float64(f.copies*f.size)
			}
		}
		if s%10 == 0 {
			load.Measured(now, uint64(bytes))
		}
		if s == 3000 {
			before = bytes
		}
	}
	return (bytes - before) / 600, load.Stretch()
}

func TestPeriodsStretchAboveTheBudget(t *testing.T) {
	for name, c := range map[string]struct {
		fleet
		most    float64
		stretch [2]float64
	}{
		"a thousand at rest":        {fleet{1_000, 5, 700, false}, Budget, [2]float64{1, 1}},
		"a thousand that change":    {fleet{1_000, 5, 700, true}, 1.2 * Budget, [2]float64{5, MaxStretch}},
		"four thousand at rest":     {fleet{4_000, 5, 700, false}, 4_000 * 5 * 700 / 480 * 1.1, [2]float64{1.6, MaxStretch}},
		"four thousand that change": {fleet{4_000, 5, 700, true}, 4_000 * 5 * 700 / 300 * 1.1, [2]float64{MaxStretch, MaxStretch}},
	} {
		rate, stretch := c.cost()
		t.Logf("%s: %.0f bytes/s, stretch %.1f", name, rate, stretch)
		if rate > c.most || stretch < c.stretch[0] || stretch > c.stretch[1] {
			t.Errorf("%s: %.0f bytes/s, want at most %.0f; stretch %.2f, want %v", name, rate, c.most, stretch, c.stretch)
		}
	}
}

func TestLoadForgets(t *testing.T) {
	var l Load
	if l.Stretch() != 1 {
		t.Error("it stretches before it has measured")
	}
	at, bytes := noon, uint64(0)
	step := func(n int, rate uint64) {
		for range n {
			at, bytes = at.Add(MeasureEvery), bytes+rate*uint64(MeasureEvery/time.Second)
			l.Measured(at, bytes)
		}
	}
	step(1, 0)
	step(30, 10*Budget)
	if l.Stretch() != MaxStretch {
		t.Errorf("stretch %v", l.Stretch())
	}
	step(60, Budget/2)
	if l.Stretch() != 1 {
		t.Errorf("stretch %v after ten minutes of rest", l.Stretch())
	}
	rate := l.Rate()
	l.Measured(at.Add(MeasureEvery), 5) // counted anew: no load of 2^64
	if l.Rate() != rate {
		t.Errorf("rate %v, was %v", l.Rate(), rate)
	}
	l.Measured(at.Add(MeasureEvery+time.Second), 1<<40) // too soon
	if l.Rate() != rate {
		t.Errorf("rate %v, was %v", l.Rate(), rate)
	}
}

func TestStretchedPeriodsStayWithinAnOffersTime(t *testing.T) {
	var p Pace
	p.Published(noon)
	for factor, want := range map[float64]time.Duration{0: MaxGap, 1: MaxGap, 1.2: 6 * time.Minute, 1000: LongestGap} {
		p.Stretch(factor)
		if at, _ := p.NextWake(); at.Sub(noon) != want {
			t.Errorf("stretch %v: %s, want %s", factor, at.Sub(noon), want)
		}
	}
	p.Changed(lease.RSet{}, lease.RSet{}, true)
	for factor, want := range map[float64]time.Duration{1: MinGap, 2: 2 * MinGap, 1000: MaxGap} {
		p.Stretch(factor)
		if at, _ := p.NextWake(); at.Sub(noon) != want {
			t.Errorf("a change, stretch %v: %s, want %s", factor, at.Sub(noon), want)
		}
	}
}

// Others are held to one offer in ten seconds, whatever the load: who takes less of the
// honest passes on less.
func TestOthersAreHeldToThePace(t *testing.T) {
	v, taken := NewView(ViewConfig{}), 0
	for s := range 600 {
		now := noon.Add(time.Duration(s) * time.Second)
		o := offer.Offer{Node: leasetest.Who("often"), Sequence: uint64(s + 1), Made: now.Unix(), Until: now.Unix() + 600}
		signed, err := offer.Seal(&o, leasetest.Key("often"))
		if err != nil {
			t.Fatal(err)
		}
		if v.Step(now, Received{Bytes: signed.Bytes, From: leasetest.Who("n")})[0].(Verdict).Judgement == judge.Accept {
			taken++
		}
	}
	if want := Burst + 60; taken < want-2 || taken > want {
		t.Errorf("it takes %d offers in ten minutes, want %d", taken, want)
	}
}
