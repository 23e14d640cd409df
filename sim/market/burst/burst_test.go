// SPDX-License-Identifier: Apache-2.0

package burst

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"
)

func play(t *testing.T, cfg Config) *Result {
	t.Helper()
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, n := range r.Refused {
		refused += n
	}
	if r.Proofs != 0 || r.Whole.Served+refused < r.Whole.Came || r.Most > float64(cfg.Units)+1e-6 {
		t.Errorf("%s: %+v", cfg.Case(), r)
	}
	t.Logf("%-9s used %.3f, wanted %.3f, came %d of %d, served %.3f, %v, at most %.1f", cfg.Case(), r.Whole.Used, r.Whole.Wanted, r.Whole.Came, r.Planned,
		float64(r.Whole.Served)/float64(r.Whole.Came), r.Refused, r.Most)
	return r
}

var few = Config{Units: 16, Days: 4, Peak: 300, Come: .7, Ahead: 6 * time.Hour, Seed: 1}

// The mechanisms do with the same wishes what each is for.
func TestMechanisms(t *testing.T) {
	got := map[string]*Result{}
	for _, c := range []struct {
		Mechanism
		degree int
	}{{Shares, 0}, {Calendar, 0}, {Sharp, 100}, {Sharp, 150}, {Sharp, 200}} {
		cfg := few
		cfg.Mechanism, cfg.Degree = c.Mechanism, c.degree
		r := play(t, cfg)
		got[cfg.Case()] = r
		if r.Planned != got["shares"].Planned || r.Whole.Came != got["shares"].Whole.Came || r.Whole.Wanted != got["shares"].Whole.Wanted {
			t.Errorf("%s has other wishes than shares", cfg.Case())
		}
	}
	if s := got["shares"]; s.Whole.Served != s.Whole.Came || len(s.Refused) > 0 {
		t.Errorf("shares refuse: %v", s.Refused)
	}
	if r := got["sharp-100"]; r.Refused["oversubscribed"] > 0 || r.Refused["sold out"] == 0 {
		t.Errorf("at degree 100: %v", r.Refused)
	}
	if a, b, c := got["sharp-100"].Whole.Used, got["sharp-150"].Whole.Used, got["shares"].Whole.Used; a > b-.05 || b > c+.02 {
		t.Errorf("in use are %.3f, %.3f with a degree, %.3f with shares", a, b, c)
	}
	if got["sharp-200"].Refused["oversubscribed"] <= got["sharp-150"].Refused["oversubscribed"] {
		t.Error("a larger degree refuses no more")
	}
	last := got["shares"].Slots[4*4-1] // before the deadline
	if last.Used < .99 || last.Wanted < 2 {
		t.Errorf("before the deadline: %+v", last)
	}
}

// As many want it as is said.
func TestDemand(t *testing.T) {
	cfg := Config{Units: 200, Days: 6, Peak: 300, Come: .5, Ahead: 12 * time.Hour, Seed: 3}
	end := cfg.deadline()
	for at, want := range map[time.Duration]float64{end: 3, end - doubles: quiet + (3-quiet)/2, end + time.Second: quiet} {
		if got := cfg.Demand(at); math.Abs(got-want) > 1e-9 {
			t.Errorf("at %s %.3f are wanted, want %.3f", at, got, want)
		}
	}
	came, slots := 0.0, map[time.Duration]float64{}
	list := cfg.wishes()
	for _, w := range list {
		if w.comes {
			came++
			slots[w.from/Every] += w.length.Hours()
		}
	}
	if share := came / float64(len(list)); math.Abs(share-.5) > 5*math.Sqrt(.25/float64(len(list))) {
		t.Errorf("%.3f of %d come", share, len(list))
	}
	for _, at := range []time.Duration{3, 23} { // what begins in a slot runs about as long as the slot
		want := cfg.Demand(at*Every+Every/2) * float64(cfg.Units) * Every.Hours()
		if got := slots[at]; math.Abs(got/want-1) > .25 {
			t.Errorf("slot %d: %.0f unit·hours are wanted, want %.0f", at, got, want)
		}
	}
}

func TestTheSameAgain(t *testing.T) {
	cfg := few
	cfg.Days, cfg.Mechanism, cfg.Degree = 2, Sharp, 150
	if a, b := play(t, cfg), play(t, cfg); !reflect.DeepEqual(a, b) {
		t.Errorf("%+v\n%+v", a, b)
	}
}

func TestNonsense(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no units": func(c *Config) { c.Units = 0 }, "no days": func(c *Config) { c.Days = 0 }, "nobody comes": func(c *Config) { c.Come = 0 },
		"planned for later": func(c *Config) { c.Ahead = 1000 * time.Hour }, "too much": func(c *Config) { c.Units, c.Peak = 10_000, 1000 },
	} {
		cfg := few
		change(&cfg)
		if _, err := Run(t.Context(), cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
