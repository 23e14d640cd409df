// SPDX-License-Identifier: Apache-2.0

package binomial

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"croft/lease"
)

func try(t *testing.T, cfg Config) *Result {
	t.Helper()
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The figures that are published of the law.
func TestLaw(t *testing.T) {
	for _, c := range []struct {
		units, degree            int
		p                        float64
		conflict, rejected, used float64
	}{
		{10, 150, .5, .059, .011, .74}, {10, 200, .5, .412, .088, .91}, {10, 300, .5, .951, .336, 1},
		{10, 110, .7, .020, .003, .77}, {10, 125, .7, .203, .030, .88}, {10, 150, .7, .516, .093, .95}, {10, 200, .7, .952, .287, 1},
		{10, 110, .9, .314, .032, .96}, {10, 125, .9, .866, .149, 1},
		{100, 150, .5, 0, 0, .75}, {100, 200, .5, .472, .028, .97}, {100, 300, .5, 1, .333, 1},
		{100, 125, .7, .004, .0001, .88}, {100, 150, .7, .790, .053, .99}, {100, 200, .7, 1, .286, 1},
		{100, 110, .9, .329, .008, .98}, {100, 125, .9, .999, .111, 1},
	} {
		l := Law{c.units, Tickets(c.units, c.degree), c.p}
		if math.Abs(l.Conflict()-c.conflict) > .0016 || math.Abs(l.Rejected()-c.rejected) > .0006 || math.Abs(l.Used()-c.used) > .006 {
			t.Errorf("%+v: %.4f %.4f %.3f, published are %+v", l, l.Conflict(), l.Rejected(), l.Used(), c)
		}
	}
}

// Sigma is that of the normal distribution where there is much of everything.
func TestSigma(t *testing.T) {
	d := Law{1000, 1000, .5}.of(func(b int) int { return b }).times(100) // mean 50,000, deviation 158.1
	if math.Abs(d.mean()-50_000) > 1e-3 || math.Abs(math.Sqrt(d.variance())-158.114) > 1e-2 {
		t.Errorf("mean %g, deviation %g", d.mean(), math.Sqrt(d.variance()))
	}
	for off, want := range map[int]float64{0: 0, 158: 1, -316: 2, 474: 3, 632: 4, 5000: most} {
		if got := d.sigma(50_000 + off); math.Abs(got-want) > .02 {
			t.Errorf("%+d is off by %.3f, want %.3f", off, got, want)
		}
	}
}

// Tickets at a real ledger follow the law, by whatever hands they came.
func TestTrialsFollowTheLaw(t *testing.T) {
	for _, c := range []Config{
		{Units: 10, Degree: 150, Redeem: .5, Trials: 100}, {Units: 10, Degree: 125, Redeem: .7, Trials: 100, Hands: 4},
		{Units: 100, Degree: 200, Redeem: .5, Trials: 8}, {Units: 10, Degree: 1000, Redeem: .3, Trials: 10}, {Units: 3, Degree: 100, Redeem: 1, Trials: 5},
	} {
		r := try(t, c)
		if r.Sigma() > 3 || r.Proofs != 0 || r.Most > c.Units || r.Leased+r.Refused != r.Redeems {
			t.Errorf("%s: %+v is off by %.1f", c.Case(), r, r.Sigma())
		}
		t.Logf("%s: conflict %.3f, law %.3f; rejected %.4f, law %.4f; used %.3f, law %.3f: off by %.1f", c.Case(), r.Conflict(), r.Law().Conflict(),
			r.Rejected(), r.Law().Rejected(), r.Used(), r.Law().Used(), r.Sigma())
	}
}

// mutant is a ledger that gives more or less than it should.
type mutant struct {
	*lease.Ledger
	spare int // that it gives away beyond its units
}

func (m mutant) Step(now time.Time, in lease.Input) []lease.Effect {
	if issue, ok := in.(lease.Issue); ok {
		issue.RSet[lease.CPU] += uint64(m.spare)
		in = issue
	}
	return m.Ledger.Step(now, in)
}

// With a ledger that has a unit more than it says, the trials are off the law.
func TestMutantsAreOffTheLaw(t *testing.T) {
	for _, units := range []int{1, 2} {
		cfg := Config{Units: 10, Degree: 150, Redeem: .7, Trials: 200, Ledger: func(lc lease.LedgerConfig) Ledger {
			lc.Pools[0].Capacity[lease.CPU] += uint64(units)
			return mutant{lease.NewLedger(lc), units}
		}}
		if r := try(t, cfg); r.Sigma() <= 3 || r.Most <= 10 {
			t.Errorf("%d units more: off by %.1f, at most %d leased", units, r.Sigma(), r.Most)
		}
	}
}

func TestTheSameAgain(t *testing.T) {
	cfg := Config{Units: 10, Degree: 200, Redeem: .5, Trials: 20, Seed: 4}
	if a, b := try(t, cfg), try(t, cfg); !reflect.DeepEqual(a, b) {
		t.Errorf("%+v\n%+v", a, b)
	}
}

func TestNonsense(t *testing.T) {
	for _, cfg := range []Config{{Degree: 100, Redeem: .5, Trials: 1}, {Units: 1, Degree: 100, Trials: 1}, {Units: 1, Degree: 100, Redeem: math.NaN(), Trials: 1},
		{Units: 1, Degree: 100, Redeem: 1}, {Units: 100, Degree: 10_000, Redeem: 1, Trials: 1}} {
		if _, err := Run(t.Context(), cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
