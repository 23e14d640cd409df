// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"math"
	"math/big"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// The exact binomial law of oversubscription, to the digits that are written.
var crowding = []struct {
	k                       int
	p                       float64
	degree                  uint16
	conflict, refused, used string
}{
	{10, .5, 150, ".059", ".011", ".74"},
	{10, .5, 200, ".412", ".088", ".91"},
	{10, .5, 300, ".951", ".336", "1.0"},
	{10, .7, 110, ".020", ".003", ".77"},
	{10, .7, 125, ".202", ".030", ".88"}, // 13 tickets
	{10, .7, 150, ".515", ".093", ".95"},
	{10, .7, 200, ".952", ".287", "1.0"},
	{10, .9, 110, ".314", ".032", ".96"},
	{10, .9, 125, ".866", ".149", "1.0"},
	{100, .5, 150, ".000", ".000", ".75"},
	{100, .5, 200, ".472", ".028", ".97"},
	{100, .5, 300, "1.0", ".333", "1.0"},
	{100, .7, 125, ".004", ".0001", ".87"},
	{100, .7, 150, ".790", ".053", ".99"},
	{100, .7, 200, "1.0", ".286", "1.0"},
	{100, .9, 110, ".329", ".008", ".98"},
	{100, .9, 125, ".999", ".111", "1.0"},
}

func TestCrowding(t *testing.T) {
	for _, c := range crowding {
		o := lease.Crowding(c.k, c.degree, c.p)
		for _, v := range []struct {
			what string
			got  float64
			want string
		}{{"conflict", o.Conflict, c.conflict}, {"refused", o.Refused, c.refused}, {"used", o.Used, c.used}} {
			want, digits := written(t, v.want)
			if math.Abs(v.got-want) > 0.5001*math.Pow10(-digits) {
				t.Errorf("K=%d p=%g degree=%d: %s %.5f, want %s", c.k, c.p, c.degree, v.what, v.got, v.want)
			}
		}
	}
}

func written(t *testing.T, s string) (value float64, digits int) {
	r, ok := new(big.Rat).SetString("0" + s)
	if !ok {
		t.Fatalf("%q is no number", s)
	}
	value, _ = r.Float64()
	for i := range s {
		if s[i] == '.' {
			digits = len(s) - i - 1
		}
	}
	return value, digits
}

// The same law in exact rationals, so that logarithms lose nothing that shows.
func TestCrowdingIsExact(t *testing.T) {
	for _, k := range []int{1, 2, 7, 10, 100} {
		for _, degree := range []uint16{100, 101, 150, 333} {
			n := int64(k*int(degree)+99) / 100
			draws := new(big.Int) // in 10^n ways
			for i := int64(k) + 1; i <= n; i++ {
				ways := new(big.Int).Binomial(n, i)
				ways.Mul(ways, new(big.Int).Exp(big.NewInt(7), big.NewInt(i), nil))
				draws.Add(draws, ways.Mul(ways, new(big.Int).Exp(big.NewInt(3), big.NewInt(n-i), nil)))
			}
			conflict := new(big.Rat).SetFrac(draws, new(big.Int).Exp(big.NewInt(10), big.NewInt(n), nil))
			want, _ := conflict.Float64()
			if got := lease.Crowding(k, degree, .7).Conflict; math.Abs(got-want) > 1e-9 {
				t.Errorf("K=%d degree=%d: %g, want %g", k, degree, got, want)
			}
		}
	}
	for _, p := range []float64{0, 1, -1, 2, math.NaN()} {
		if o := lease.Crowding(10, 150, p); !(o.Conflict >= 0 && o.Conflict <= 1) {
			t.Errorf("p=%g: %+v", p, o)
		}
	}
	if o := lease.Crowding(10, 150, 1); o.Conflict != 1 || math.Abs(o.Refused-1./3) > 1e-12 || o.Used != 1 {
		t.Errorf("certain draws: %+v", o)
	}
}

// A chain's chance is that of its worst claim, in units of the leaf.
func TestRefusalChance(t *testing.T) {
	for drawing, want := range map[string]float64{
		"cap(n1 cpu=10) -> t0(a cpu=1)":                                 0,
		"cap(n1 cpu=10 @200) -> t0(a cpu=1)":                            lease.Crowding(10, 200, .5).Refused,
		"cap(n1 cpu=10 @200) -> t0(a cpu=10 @150) -> t0(b cpu=1 @100)":  lease.Crowding(10, 200, .5).Refused,
		"cap(n1 cpu=100 @150) -> t0(a cpu=10 @150) -> t0(b cpu=1 @100)": lease.Crowding(10, 150, .5).Refused,
		"cap(n1 cpu=10 @200) -> t0(a cpu=2) -> r0(cpu=1)":               lease.Crowding(10, 200, .5).Refused,
	} {
		chain, err := lease.VerifyChain(leasetest.Draw(t, drawing).Last().Chain(), leasetest.Who("n1"))
		if err != nil {
			t.Fatal(err)
		}
		if got := lease.RefusalChance(chain, .5); got != want {
			t.Errorf("%s: %g, want %g", drawing, got, want)
		}
	}
}
